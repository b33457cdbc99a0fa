from __future__ import annotations

import copy

import pytest

from cstore.errors import FormatError
from cstore.model.layer import COMPRESSIONS, LayerRecord

ID = "1" * 64
SHA = "sha256:" + "ab" * 32
FULL: dict[str, object] = {
    "id": ID,
    "names": ["a"],
    "parent": "2" * 64,
    "metadata": "m",
    "mountlabel": "l",
    "created": "2023-11-14T22:13:20.123456789Z",
    "compressed-diff-digest": SHA,
    "compressed-size": 5,
    "diff-digest": "sha256:" + "cd" * 32,
    "toc-digest": "sha256:" + "ef" * 32,
    "diff-size": -1,
    "compression": 2,
    "uidset": [0, 1000],
    "gidset": [0],
    "flags": {"incomplete": True},
    "uidmap": [{"container_id": 0, "host_id": 1, "size": 2}],
    "gidmap": [{"container_id": 0, "host_id": 1, "size": 2}],
    "big-data-names": ["b"],
}
BARE: dict[str, object] = {"id": ID, "created": "0001-01-01T00:00:00Z"}


def test_every_member_is_read() -> None:
    record = LayerRecord.from_dict(FULL)
    assert (record.id, record.names, record.parent, record.metadata, record.mountlabel) == (ID, ("a",), "2" * 64, "m", "l")
    assert (str(record.compressed_diff_digest), record.compressed_size) == (SHA, 5)
    assert (str(record.diff_digest), record.diff_size, record.compression) == ("sha256:" + "cd" * 32, -1, 2)
    assert str(record.toc_digest) == "sha256:" + "ef" * 32
    assert (record.uidset, record.gidset, record.flags) == ((0, 1000), (0,), {"incomplete": True})
    assert record.uidmap == record.gidmap == ({"container_id": 0, "host_id": 1, "size": 2},)
    assert (record.big_data_names, record.created.text) == (("b",), "2023-11-14T22:13:20.123456789Z")
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
    assert LayerRecord.from_dict(value).to_dict() == before
    assert value == before


def test_members_are_written_in_gos_order() -> None:
    written = LayerRecord.from_dict(dict(reversed([*FULL.items(), ("unknown", 1)]))).to_dict()
    assert list(written) == [*FULL, "unknown"]


@pytest.mark.parametrize("empty", [None, "", 0, [], {}], ids=["null", "text", "number", "array", "object"])
def test_empty_members_are_left_out(empty: object) -> None:
    kinds: dict[type, tuple[str, ...]] = {
        str: ("parent", "metadata", "mountlabel", "compressed-diff-digest", "diff-digest", "toc-digest"),
        int: ("compressed-size", "diff-size", "compression"),
        list: ("names", "uidset", "gidset", "uidmap", "gidmap", "big-data-names"),
        dict: ("flags",),
    }
    keys = [key for kind, keys in kinds.items() for key in keys if empty is None or isinstance(empty, kind)]
    assert LayerRecord.from_dict({**BARE, **dict.fromkeys(keys, empty)}).to_dict() == BARE


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        pytest.param({"id": "x"}, 'layers[3].id: expected an ID of 64 hexadecimal digits, found "x"', id="id"),
        pytest.param({"names": "a"}, 'layers[3].names: expected an array, found "a"', id="names"),
        pytest.param({"parent": "../x"}, 'layers[3].parent: expected an ID of 64 hexadecimal digits, found "../x"', id="parent"),
        pytest.param({"metadata": 1}, "layers[3].metadata: expected text, found 1", id="metadata"),
        pytest.param({"mountlabel": []}, "layers[3].mountlabel: expected text, found an array", id="mountlabel"),
        pytest.param({"created": 0}, "layers[3].created: expected a time such as 2026-11-24T02:23:13.059Z, found 0", id="created"),
        pytest.param({"compressed-diff-digest": 1}, "layers[3].compressed-diff-digest: expected a digest, found 1", id="blob digest"),
        pytest.param({"compressed-size": "5"}, 'layers[3].compressed-size: expected a whole number, found "5"', id="blob size"),
        pytest.param({"diff-digest": "sha256:12"}, 'layers[3].diff-digest: expected a digest, found "sha256:12"', id="diff ID"),
        pytest.param({"toc-digest": "x"}, 'layers[3].toc-digest: expected a digest, found "x"', id="TOC"),
        pytest.param({"diff-size": 1.5}, "layers[3].diff-size: expected a whole number, found 1.5", id="diff size"),
        pytest.param({"compression": "gzip"}, 'layers[3].compression: expected a whole number, found "gzip"', id="compression"),
        pytest.param({"uidset": [True]}, "layers[3].uidset[0]: expected a whole number, found true", id="uidset"),
        pytest.param({"gidset": 0}, "layers[3].gidset: expected an array, found 0", id="gidset"),
        pytest.param({"flags": []}, "layers[3].flags: expected an object, found an array", id="flags"),
        pytest.param({"uidmap": {}}, "layers[3].uidmap: expected an array, found an object", id="uidmap"),
        pytest.param({"gidmap": ""}, 'layers[3].gidmap: expected an array, found ""', id="gidmap"),
        pytest.param({"big-data-names": [None]}, "layers[3].big-data-names[0]: expected text, found nothing", id="big data"),
        pytest.param({"Parent": ""}, 'layers[3].Parent: expected the member "parent", found one that differs from it in case', id="case"),
    ],
)
def test_a_wrong_member_is_named(members: dict[str, object], sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        LayerRecord.from_dict({**BARE, **members}, "layers[3]")
    assert str(error.value) == sentence


def test_compressions_are_numbered_as_containers_storage_does() -> None:
    assert COMPRESSIONS == {"none": 0, "gzip": 2, "zstd": 4}
