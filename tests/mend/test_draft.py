from __future__ import annotations

import json
from typing import Any

import pytest

from cstore.errors import FormatError
from cstore.index.index import own_form
from cstore.mend.draft import Draft
from cstore.verification.reading import IndexFile

A, B = "a" * 64, "b" * 64


def drafted(*values: object, data: bytes | None = None) -> Draft:
    made = json.dumps(values).encode() if data is None else data
    return Draft.of("images", IndexFile(made, list(values)))


def test_records_that_stay_keep_their_bytes() -> None:
    data = b'[ {"names": ["x"], "id": "%s", "more": 1e5}, {"id":"%s"} ]' % (A.encode(), B.encode())
    draft = drafted(*json.loads(data), data=data)
    assert draft.index is None
    draft.by_id()[B].set("digest", "d")
    assert draft.index is not None
    assert draft.index.data == own_form(
        [b'{"names": ["x"], "id": "%s", "more": 1e5}' % A.encode(), b'{"id":"%s","digest":"d"}' % B.encode()]
    )


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (None, []),
        (7, []),
        ({"names": ["x"]}, []),
        ({"id": 7}, []),
        ({"id": ""}, []),
        ({"id": A, "created": "", "names": ["x"]}, [{"id": A, "names": ["x"]}]),
        ({"id": A, "Names": 7, "digest": 1.5}, [{"id": A}]),
    ],
)
def test_what_readers_cannot_decode_goes(value: object, left: list[dict[str, Any]]) -> None:
    assert [record.after for record in drafted(value)] == left


def test_an_empty_value_leaves_a_member_out() -> None:
    (record,) = drafted({"id": A, "names": ["x"], "digest": "d"})
    record.set("names", [])
    record.set("metadata", "")
    assert record.after == {"id": A, "digest": "d"}


def test_two_records_of_one_id_are_an_error() -> None:
    draft = drafted({"id": A, "created": ""}, {"id": A})
    with pytest.raises(FormatError, match="expected an ID of its own"):
        _ = draft.index
