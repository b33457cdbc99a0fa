from __future__ import annotations

import json
from typing import Any

import pytest

from cstore.errors import FormatError
from cstore.index.index import own_form
from cstore.index.lock import announcement
from cstore.mend.draft import Draft, lock_of
from cstore.verification.reading import IndexFile

A, B = "a" * 64, "b" * 64


def drafted(*values: object, data: bytes | None = None) -> Draft:
    made = json.dumps(values).encode() if data is None else data
    return Draft.of("images", IndexFile(made, list(values)))


def test_records_that_stay_keep_their_bytes() -> None:
    data = b'[ {"names": ["x"], "id": "%s", "more": 1e5}, {"id":"%s"} ]' % (A.encode(), B.encode())
    draft = drafted(*json.loads(data), data=data)
    assert draft.data is None
    draft.by_id()[B].set("digest", "d")
    assert draft.data == own_form([b'{"names": ["x"], "id": "%s", "more": 1e5}' % A.encode(), b'{"id":"%s","digest":"d"}' % B.encode()])


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (None, []),
        (7, []),
        ({"names": ["x"]}, [{"names": ["x"]}]),
        ({"id": 7, "layer": B}, [{"layer": B}]),
        ({"id": ""}, [{"id": ""}]),
        ({"id": A, "created": "", "names": ["x"]}, [{"id": A, "names": ["x"]}]),
        ({"id": A, "Names": 7, "digest": 1.5}, [{"id": A}]),
        ({"id": A, "ID": 7}, [{"id": A}]),
    ],
)
def test_what_readers_cannot_decode_goes_and_nothing_else(value: object, left: list[dict[str, Any]]) -> None:
    assert [record.after for record in drafted(value)] == left


def test_members_count_in_whatever_case_they_are_written() -> None:
    data = b'[{"ID": "%s", "NAMES": ["x"], "more": 1e5, "Digest": "d"}]' % A.encode()
    draft = drafted(*json.loads(data), data=data)
    (record,) = draft
    assert (record.id, record.get("names"), record.get("layer")) == (A, ["x"], None)
    record.set("names", ["x"])
    assert draft.data is None
    record.set("names", ["y"])
    record.set("digest", "")
    assert draft.data == own_form([b'{"ID":"%s","NAMES":["y"],"more":1e5}' % A.encode()])


def test_of_a_member_in_several_cases_the_last_counts_and_is_the_one_that_stays() -> None:
    (record,) = drafted({"id": A, "names": ["x"], "Names": ["y"]})
    assert record.get("names") == ["y"]
    record.set("names", ["z"])
    assert record.after == {"id": A, "Names": ["z"]}


@pytest.mark.parametrize("name", ["id", "Id"])
def test_a_lock_announces_its_index_in_whatever_case_ids_are_written(name: str) -> None:
    data = own_form([b'{"%s":"%s"}' % (name.encode(), A.encode())])
    assert lock_of("images", data) == announcement(data, own=name == "id")


def test_an_empty_value_leaves_a_member_out() -> None:
    (record,) = drafted({"id": A, "names": ["x"], "digest": "d"})
    record.set("names", [])
    record.set("metadata", "")
    assert record.after == {"id": A, "digest": "d"}


def test_two_records_of_one_id_are_an_error() -> None:
    draft = drafted({"id": A, "created": ""}, {"id": A})
    with pytest.raises(FormatError, match="expected an ID of its own"):
        _ = draft.data
