from __future__ import annotations

import copy

import pytest

from cstore.errors import FormatError
from cstore.model.digest import Digest
from cstore.model.image import ImageRecord

ID = "1" * 64
SHA = "sha256:" + "ab" * 32
INDEX = "sha256:" + "cd" * 32
CONFIG = "sha256:" + "1" * 64
FULL: dict[str, object] = {
    "id": ID,
    "digest": SHA,
    "names": ["example.org/b:1", "example.org/a:1"],
    "names-history": ["example.org/c:1"],
    "layer": "2" * 64,
    "mapped-layers": ["3" * 64],
    "metadata": '{"signature-sizes":[]}',
    "big-data-names": [CONFIG, f"manifest-{INDEX}", "manifest"],
    "big-data-sizes": {"manifest": 7, CONFIG: 0},
    "big-data-digests": {f"manifest-{INDEX}": INDEX, "manifest": SHA, CONFIG: CONFIG},
    "created": "2023-11-14T22:13:20.123456789+01:00",
    "flags": {"x": {"y": [1, None]}},
}
BARE: dict[str, object] = {"id": ID, "created": "0001-01-01T00:00:00Z"}


def test_every_member_is_read() -> None:
    record = ImageRecord.from_dict(FULL)
    assert (record.id, str(record.digest), record.layer) == (ID, SHA, "2" * 64)
    assert (record.names, record.names_history) == (("example.org/b:1", "example.org/a:1"), ("example.org/c:1",))
    assert (record.mapped_layers, record.metadata) == (("3" * 64,), '{"signature-sizes":[]}')
    assert record.big_data_names == (CONFIG, f"manifest-{INDEX}", "manifest")
    assert record.big_data_sizes == {"manifest": 7, CONFIG: 0}
    assert record.big_data_digests["manifest"] == Digest.parse(SHA)
    assert record.created.text == "2023-11-14T22:13:20.123456789+01:00"
    assert record.flags == {"x": {"y": [1, None]}}
    assert record.unrecognized == {}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(FULL, id="all members"),
        pytest.param(BARE, id="no more than must be"),
        pytest.param({**BARE, "new-in-podman-9": {"a": [1, "é"]}, "zero": 0, "null": None, "empty": []}, id="unknown fields"),
        pytest.param({**FULL, "x": 1.5}, id="all members and an unknown field"),
    ],
)
def test_reading_and_writing_back_changes_nothing(value: dict[str, object]) -> None:
    before = copy.deepcopy(value)
    assert ImageRecord.from_dict(value).to_dict() == before
    assert value == before


def test_members_and_maps_are_written_in_gos_order() -> None:
    written = ImageRecord.from_dict(dict(reversed([*FULL.items(), ("unknown", 1)]))).to_dict()
    assert list(written) == [*FULL, "unknown"]
    assert list(written["big-data-sizes"]) == ["manifest", CONFIG]  # type: ignore[call-overload]
    assert list(written["big-data-digests"]) == ["manifest", f"manifest-{INDEX}", CONFIG]  # type: ignore[call-overload]


@pytest.mark.parametrize("empty", [None, "", [], {}], ids=["null", "text", "array", "object"])
def test_empty_members_are_left_out(empty: object) -> None:
    kinds: dict[type, tuple[str, ...]] = {
        str: ("digest", "layer", "metadata"),
        list: ("names", "names-history", "mapped-layers", "big-data-names"),
        dict: ("big-data-sizes", "big-data-digests", "flags"),
    }
    keys = [key for kind, keys in kinds.items() for key in keys if empty is None or isinstance(empty, kind)]
    assert ImageRecord.from_dict({**BARE, **dict.fromkeys(keys, empty)}).to_dict() == BARE


@pytest.mark.parametrize("members", [{}, {"created": None}], ids=["absent", "null"])
def test_no_time_is_the_zero_time(members: dict[str, object]) -> None:
    assert ImageRecord.from_dict({"id": ID, **members}).to_dict() == BARE


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        pytest.param({"id": None}, "images[2].id: expected an ID of 64 hexadecimal digits, found nothing", id="id"),
        pytest.param({"digest": "sha256:12"}, 'images[2].digest: expected a digest, found "sha256:12"', id="digest"),
        pytest.param({"names": "a"}, 'images[2].names: expected an array, found "a"', id="names"),
        pytest.param({"names": [1]}, "images[2].names[0]: expected text, found 1", id="a name"),
        pytest.param({"names-history": {}}, "images[2].names-history: expected an array, found an object", id="names-history"),
        pytest.param({"layer": 0}, "images[2].layer: expected an ID of 64 hexadecimal digits, found 0", id="layer"),
        pytest.param(
            {"mapped-layers": ["../x"]}, 'images[2].mapped-layers[0]: expected an ID of 64 hexadecimal digits, found "../x"', id="mapped"
        ),
        pytest.param({"metadata": {}}, "images[2].metadata: expected text, found an object", id="metadata"),
        pytest.param({"big-data-names": [[]]}, "images[2].big-data-names[0]: expected text, found an array", id="big-data-names"),
        pytest.param(
            {"big-data-sizes": {"manifest": 1.5}}, "images[2].big-data-sizes['manifest']: expected a whole number, found 1.5", id="size"
        ),
        pytest.param({"big-data-sizes": []}, "images[2].big-data-sizes: expected an object, found an array", id="sizes"),
        pytest.param(
            {"big-data-digests": {"manifest": "x"}}, "images[2].big-data-digests['manifest']: expected a digest, found \"x\"", id="digests"
        ),
        pytest.param({"created": ""}, 'images[2].created: expected a time such as 2026-11-24T02:23:13.059Z, found ""', id="created"),
        pytest.param({"flags": 1}, "images[2].flags: expected an object, found 1", id="flags"),
        pytest.param({"Id": ID}, 'images[2].Id: expected the member "id", found one that differs from it in case', id="case"),
    ],
)
def test_a_wrong_member_is_named(members: dict[str, object], sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        ImageRecord.from_dict({**BARE, **members}, "images[2]")
    assert str(error.value) == sentence


def test_a_record_is_an_object() -> None:
    with pytest.raises(FormatError, match=r"^images\[0\]: expected an object, found an array$"):
        ImageRecord.from_dict([], "images[0]")


@pytest.mark.parametrize(
    ("digest", "has"),
    [
        pytest.param(SHA, True, id="its own"),
        pytest.param(INDEX, True, id="a manifest in its big data"),
        pytest.param(CONFIG, False, id="its config"),
        pytest.param("sha256:" + "00" * 32, False, id="another one"),
    ],
)
def test_by_which_digests_it_is_found(digest: str, has: bool) -> None:  # noqa: FBT001 - a column of the table
    assert ImageRecord.from_dict(FULL).has_digest(Digest.parse(digest)) is has


def test_a_record_without_digests_is_found_by_none() -> None:
    assert not ImageRecord.from_dict(BARE).has_digest(Digest.parse(SHA))
