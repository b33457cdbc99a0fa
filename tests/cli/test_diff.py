from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cstore.model.chain import parse_layer_id
from cstore.publish.batch import publishing
from cstore.store import Store
from tests.cli.program import call
from tests.publish.stores import DAY, IMAGES, NEW, OLD, TOOL, copy, exact

if TYPE_CHECKING:
    from pathlib import Path


OLD_ID, NEW_ID, TOOL_ID = (IMAGES[tag].id for tag in ("old", "new", "tool"))
NOTHING: dict[str, object] = {
    "names": {"added": [], "removed": [], "moved": []},
    "images": {"added": [], "removed": [], "changed": []},
    "layers": {"added": [], "removed": [], "changed": []},
    "layout": None,
    "retired": [],
}


@pytest.fixture
def later(tmp_path: Path, store: Path, made: dict[str, str]) -> Path:
    """The store as it is later: one name moved to another image, one added, one removed with its image."""
    root = tmp_path / "later"
    copy(store, root)
    with publishing(root, today=DAY) as batch:
        batch.add(made["tool"], name=TOOL)
        batch.tag(TOOL, OLD)
        batch.remove(NEW)
        batch.add(made["old"], name="example.org/kept:1")
    return root


def top(root: Path, image: str) -> str:
    layer = Store.open(root).image(image).layer
    assert layer is not None
    return layer


def test_a_store_does_not_differ_from_its_copy(tmp_path: Path, store: Path) -> None:
    copy(store, tmp_path / "copy")
    done = call("diff", store, tmp_path / "copy")
    assert (done.code, done.out, done.err) == (0, "no difference\n", "")
    done = call("diff", store, tmp_path / "copy", "--json")
    assert (done.code, done.json) == (0, NOTHING)


def test_what_differs_as_text(store: Path, later: Path) -> None:
    done = call("diff", store, later)
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines() == [
        f"removed name {NEW}: image {NEW_ID[:12]}",
        f"moved name {OLD}: from image {OLD_ID[:12]} to {TOOL_ID[:12]}",
        f"added name example.org/kept:1: image {OLD_ID[:12]}",
        f"added name {TOOL}: image {TOOL_ID[:12]}",
        f"removed image {NEW_ID}",
        f"changed image {OLD_ID}: names",
        f"added image {TOOL_ID}",
        f"retired {top(store, NEW)}: 2026-01-02",
        "names: 2 added, 1 removed, 1 moved; images: 1 added, 1 removed, 1 changed; retired: 1 changed",
    ]


def test_the_other_way_round(store: Path, later: Path) -> None:
    done = call("diff", later, store)
    assert done.code == 1
    assert done.out.splitlines() == [
        f"removed name example.org/kept:1: image {OLD_ID[:12]}",
        f"removed name {TOOL}: image {TOOL_ID[:12]}",
        f"moved name {OLD}: from image {TOOL_ID[:12]} to {OLD_ID[:12]}",
        f"added name {NEW}: image {NEW_ID[:12]}",
        f"removed image {TOOL_ID}",
        f"changed image {OLD_ID}: names",
        f"added image {NEW_ID}",
        f"no longer retired {top(store, NEW)}",
        "names: 1 added, 2 removed, 1 moved; images: 1 added, 1 removed, 1 changed; retired: 1 changed",
    ]


def test_what_differs_as_json(store: Path, later: Path) -> None:
    done = call("diff", store, later, "--json")
    assert done.code == 1
    assert done.json == {
        "names": {
            "added": [{"name": "example.org/kept:1", "image": OLD_ID}, {"name": TOOL, "image": TOOL_ID}],
            "removed": [{"name": NEW, "image": NEW_ID}],
            "moved": [{"name": OLD, "from": OLD_ID, "to": TOOL_ID}],
        },
        "images": {"added": [TOOL_ID], "removed": [NEW_ID], "changed": [{"id": OLD_ID, "members": ["names"]}]},
        "layers": {"added": [], "removed": [], "changed": []},
        "layout": None,
        "retired": [{"layer": top(store, NEW), "from": None, "to": "2026-01-02"}],
    }


def test_layers_and_the_layout(tmp_path: Path, made: dict[str, str]) -> None:
    """The base of both is packed in two ways: its blobs differ, its layer does not."""
    for name, tag, layout in (("a", "old", "direct"), ("b", "new", "sharded")):
        call("add", tmp_path / name, made[tag], "--name", OLD, "--layout", layout)
    gone, come = top(tmp_path / "a", OLD), top(tmp_path / "b", OLD)
    shared = Store.open(tmp_path / "a").chain(parse_layer_id(gone, "id"))[0].id
    lines = call("diff", tmp_path / "a", tmp_path / "b").out.splitlines()
    assert lines[0] == "changed layout: from direct to sharded"
    assert lines[-4:] == [
        f"removed layer {gone}",
        f"changed layer {shared}: compressed-diff-digest, compressed-size, compression",
        f"added layer {come}",
        "names: 1 moved; images: 1 added, 1 removed; layers: 1 added, 1 removed, 1 changed; layout: 1 changed",
    ]
    assert call("diff", tmp_path / "a", tmp_path / "b", "--json").json["layout"] == {"from": "direct", "to": "sharded"}


def test_a_store_that_another_writer_has_written_anew_does_not_differ(tmp_path: Path, store: Path) -> None:
    root = tmp_path / "anew"
    copy(store, root)
    for path in (root / "overlay-images/images.json", root / "overlay-layers/layers.json"):
        path.write_text(json.dumps([{**record, "metadata": ""} for record in reversed(json.loads(path.read_bytes()))]))
    assert call("diff", store, root).code == 0


def test_names_that_cannot_be_printed_are_escaped(tmp_path: Path, store: Path) -> None:
    root = tmp_path / "odd"
    copy(store, root)
    path = root / "overlay-images/images.json"
    records = json.loads(path.read_bytes())
    records[0]["names"].append("\x1b[2J\nx")
    path.write_text(json.dumps(records))
    done = call("diff", store, root)
    assert done.out.splitlines()[0] == f"added name \\x1b[2J\\nx: image {records[0]['id'][:12]}"
    assert call("diff", store, root, "--json").json["names"]["added"] == [{"name": "\x1b[2J\nx", "image": records[0]["id"]}]


@pytest.mark.parametrize("damaged", ["a", "b"])
def test_a_store_that_cannot_be_read_is_an_error(tmp_path: Path, store: Path, damaged: str) -> None:
    stores = {"a": store, "b": tmp_path / "b"}
    copy(store, stores["b"])
    (stores[damaged] / "overlay-images/images.json").write_bytes(b"garbage")
    done = call("diff", stores["a"], stores["b"])
    assert (done.code, done.out) == (3, "")
    assert done.sentence.startswith("cstore: images.json: expected JSON, found 7 bytes")


def test_where_no_store_is(tmp_path: Path, store: Path) -> None:
    for arguments in ((store, tmp_path / "none"), (tmp_path / "none", store)):
        done = call("diff", *arguments)
        assert (done.code, done.sentence) == (3, f"cstore: {tmp_path / 'none'}: expected an image store, found nothing")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_two_stores_are_wanted(store: Path, count: int) -> None:
    assert call("diff", *[store] * count).code == 2


def test_comparing_touches_nothing(store: Path, later: Path) -> None:
    before = exact(store), exact(later)
    call("diff", store, later)
    call("diff", store, later, "--json")
    assert (exact(store), exact(later)) == before
