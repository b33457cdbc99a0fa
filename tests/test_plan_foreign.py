"""Planning changes of stores that other programs wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cstore.model.chain import layer_ids
from cstore.model.digest import Digest
from cstore.model.layout import link_candidates
from tests.images import Image, digest_of, directory, file, json_of, tar
from tests.stores import TODAY, content, drop, lines, tag

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores import Planner

BASE, TOP, OTHER = tar(directory("a")), tar(file("a/b", b"1")), tar(file("a/c", b"2"))
ONE = Image(layers=(BASE, TOP))
TWO = Image(layers=(BASE, OTHER))
BASE_ID, TOP_ID = layer_ids([Digest.parse(diff_id) for diff_id in ONE.diff_ids])
ELSE = "e" * 64
INDEXES = ("overlay-images/images.json", "overlay-layers/layers.json")
EXOTIC = '"exotic" : [1.10, 12345678901234567890123, "\\u00e9"], "created":"2023-11-14T22:13:20.5Z"'


@pytest.fixture
def foreign(planner: Planner) -> Path:
    """A store as another program would have it: indented, other links, no cstore.json, empty locks, unknown members."""
    planner.do(planner.add(ONE, "a.b/c:1", "a.b/c:2"))
    root = planner.root
    (root / "cstore.json").unlink()
    for name in INDEXES:
        values = json.loads((root / name).read_bytes())
        for value in values:
            del value["created"]
        data = json.dumps(values, indent="  ").replace("\n  }", f",\n    {EXOTIC}\n  }}").encode()
        (root / name).write_bytes(data)
        (root / name).with_suffix(".lock").write_bytes(b"")
    link = (root / "overlay" / BASE_ID / "link").read_text()
    (root / "overlay" / "l" / link).rename(root / "overlay" / "l" / "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    (root / "overlay" / BASE_ID / "link").write_text("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return root


def with_records(root: Path, name: str, *records: dict[str, Any]) -> None:
    values = json.loads((root / name).read_bytes())
    (root / name).write_bytes(json_of([*values, *records]))


def records(data: bytes) -> list[bytes]:
    """Return the records of an index that is indented by two spaces."""
    return [b"{" + record.rsplit(b"}", 1)[0] + b"}" for record in data.split(b"\n  {")[1:]]


def test_what_is_there_already_writes_nothing(planner: Planner, foreign: Path) -> None:
    assert not planner.plan(planner.add(ONE, "a.b/c:1"), tag("a.b/c:1", "a.b/c:2"))
    assert (planner.store.has_about, planner.store.images.is_own) == (False, False)
    assert not (foreign / "cstore.json").exists()


def test_its_layers_are_built_on_and_its_links_are_kept(planner: Planner, foreign: Path) -> None:
    delta = planner.do(planner.add(TWO, "a.b/d:1"))
    new = layer_ids([Digest.parse(diff_id) for diff_id in TWO.diff_ids])[1]
    assert "file cstore.json" not in lines(delta)
    assert [line for line in lines(delta) if line.startswith("tree")] == [f"tree overlay/{new}"]
    assert (foreign / "overlay" / new / "lower").read_bytes() == b"l/ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert (foreign / "overlay" / new / "lower-layers").read_text() == BASE_ID
    assert (foreign / "overlay" / new / "link").read_text() == next(iter(link_candidates(new)))


@pytest.mark.parametrize("name", INDEXES)
def test_records_that_did_not_change_keep_their_bytes(planner: Planner, foreign: Path, name: str) -> None:
    before = records((foreign / name).read_bytes())
    after = content(planner.plan(planner.add(TWO, "a.b/d:1")), name)
    assert after.startswith(b"[\n" + b",\n".join(before) + b",\n{")


def test_unknown_members_of_a_record_that_changed_keep_their_bytes(planner: Planner, foreign: Path) -> None:
    data = content(planner.plan(drop("a.b/c:1")), INDEXES[0])
    assert b'"exotic":[1.10, 12345678901234567890123, "\\u00e9"],"created":"2023-11-14T22:13:20.5Z"}' in data
    assert b'"names":["a.b/c:2"]' in data
    before = json.loads((foreign / INDEXES[0]).read_bytes())
    assert json.loads(data) == [{**before[0], "names": ["a.b/c:2"]}]


def test_a_record_with_next_to_nothing_is_completed_when_its_image_comes(planner: Planner, foreign: Path) -> None:
    bare = {"id": ONE.id, "names": ["a.b/c:1"], "created": None, "x": 1}
    (foreign / INDEXES[0]).write_bytes(json_of([bare]))
    planner.do(planner.add(ONE, "a.b/c:1"))
    (value,) = json.loads((foreign / INDEXES[0]).read_bytes())
    assert (value["digest"], value["layer"], value["names"]) == (ONE.digest, TOP_ID, ["a.b/c:1"])
    config = digest_of(json_of(ONE.config))
    assert value["big-data-digests"] == {"manifest": ONE.digest, f"manifest-{ONE.digest}": ONE.digest, config: config}
    assert (value["created"], value["x"]) == (None, 1)


def test_layers_whose_records_are_missing_are_put_again(planner: Planner, foreign: Path) -> None:
    (foreign / INDEXES[1]).write_bytes(b"[]")
    delta = planner.plan(planner.add(ONE, "a.b/c:1"))
    assert [line for line in lines(delta) if line.startswith("tree")] == [f"tree overlay/{BASE_ID}", f"tree overlay/{TOP_ID}"]


def test_retiring_in_it_writes_a_cstore_json(planner: Planner, foreign: Path) -> None:
    delta = planner.do(drop("a.b/c:1"), drop("a.b/c:2"))
    assert lines(delta)[0] == "file cstore.json"
    assert json.loads((foreign / "cstore.json").read_bytes()) == {
        "version": 1,
        "layout": "direct",
        "retired": {BASE_ID: TODAY.isoformat(), TOP_ID: TODAY.isoformat()},
    }


def test_unknown_members_of_cstore_json_are_kept(planner: Planner, foreign: Path) -> None:
    (foreign / "cstore.json").write_bytes(b'{"version":1,"layout":"direct","retired":{},"x":[1]}')
    planner.do(drop("a.b/c:1"), drop("a.b/c:2"))
    assert json.loads((foreign / "cstore.json").read_bytes())["x"] == [1]


@pytest.mark.parametrize(
    ("record", "retired"),
    [
        pytest.param({"layer": TOP_ID}, (), id="as its top layer"),
        pytest.param({"layer": BASE_ID}, (TOP_ID,), id="below"),
        pytest.param({"mapped-layers": [TOP_ID]}, (), id="as a mapped layer"),
        pytest.param({"metadata": TOP_ID, "flags": {"x": TOP_ID}}, (TOP_ID, BASE_ID), id="only in words"),
    ],
)
def test_a_layer_that_an_image_of_it_uses_is_not_retired(
    planner: Planner, foreign: Path, record: dict[str, Any], retired: tuple[str, ...]
) -> None:
    with_records(foreign, INDEXES[0], {"id": ELSE, "created": None, **record})
    planner.do(drop("a.b/c:1"), drop("a.b/c:2"))
    assert planner.store.about.retired.keys() == set(retired)


def test_nor_is_one_on_which_a_layer_builds_that_no_image_uses(planner: Planner, foreign: Path) -> None:
    with_records(foreign, INDEXES[1], {"id": ELSE, "parent": BASE_ID, "created": None})
    planner.do(drop("a.b/c:1"), drop("a.b/c:2"))
    assert planner.store.about.retired.keys() == {TOP_ID}


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param([], id="none of them there"),
        pytest.param([{"id": TOP_ID, "parent": BASE_ID, "created": None}], id="the base is missing"),
        pytest.param([{"id": TOP_ID, "parent": BASE_ID, "created": None}, {"id": BASE_ID, "parent": TOP_ID, "created": None}], id="a loop"),
    ],
)
def test_an_image_with_a_broken_chain_can_go(planner: Planner, foreign: Path, layers: list[dict[str, Any]]) -> None:
    (foreign / INDEXES[1]).write_bytes(json_of(layers))
    planner.do(drop("a.b/c:1"), drop("a.b/c:2"))
    assert list(planner.store.all_images()) == []
    assert planner.store.about.retired.keys() <= {layer["id"] for layer in layers}


@pytest.mark.parametrize("more", [{}, {"mapped-layers": [ELSE]}], ids=["alone", "mapped"])
def test_a_chain_that_an_image_leaves_is_retired(planner: Planner, foreign: Path, more: dict[str, Any]) -> None:
    """Other programs give layers other IDs, as those that they know by the table of contents of a blob."""
    records = json.loads((foreign / INDEXES[0]).read_bytes())
    records[0].update(layer=ELSE, **more)
    (foreign / INDEXES[0]).write_bytes(json_of(records))
    with_records(foreign, INDEXES[1], {"id": ELSE, "parent": BASE_ID})
    planner.do(planner.add(ONE, "a.b/c:1"))
    assert planner.store.image("a.b/c:1").layer == TOP_ID
    assert dict(planner.store.about.retired) == ({} if more else {ELSE: TODAY})
    assert not planner.plan(planner.add(ONE, "a.b/c:1"))


def test_an_image_that_never_had_a_name_stays(planner: Planner, foreign: Path) -> None:
    with_records(foreign, INDEXES[0], {"id": ELSE, "created": None})
    planner.do(tag(ELSE, "a.b/c:1"), drop("a.b/c:1"))
    assert [(record.id, record.names) for record in planner.store.all_images()] == [(ONE.id, ("a.b/c:2",)), (ELSE, ())]
