"""Planning: images that come, come again, and share layers. `test_plan_names.py` has those that move and go."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from cstore.delta import PutTree
from cstore.model.about import About
from cstore.model.chain import layer_ids
from cstore.model.digest import Digest
from cstore.planning import plan
from cstore.store import Store
from tests.images import CREATED, Image, digest_of, directory, file, image_index, json_of, tar
from tests.stores import TODAY, Planner, content, drop, lines, tag

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.changes import Change

BASE, TOP, OTHER = tar(directory("a")), tar(file("a/b", b"1")), tar(file("a/c", b"2"))
ONE = Image(layers=(BASE, TOP), compression=("gzip", "zstd"))
TWO = Image(layers=(BASE, OTHER), labels={"x": "<&>"})


def records(planner: Planner, what: str = "images") -> dict[str, dict[str, Any]]:
    """Return the records of an index on the disk, by ID."""
    return {value["id"]: value for value in json.loads((planner.root / f"overlay-{what}" / f"{what}.json").read_bytes())}


def ids(image: Image) -> tuple[str, ...]:
    return layer_ids([Digest.parse(diff_id) for diff_id in image.diff_ids])


class Watch:
    """Notes what touches files, while it is told to."""

    def __init__(self) -> None:
        self.is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.is_on and event.partition(".")[0] in ("open", "os", "shutil", "tempfile", "subprocess", "fcntl", "pathlib", "socket"):
            self.seen.append(f"{event} {arguments}")


WATCH = Watch()


def test_planning_touches_no_file(tmp_path: Path, planner: Planner) -> None:
    adds = [planner.add(ONE, "a.b/c:1"), planner.add([TWO], "a.b/d:1")]
    changes: list[Change] = [*adds, tag("a.b/c:1", "a.b/e:1"), drop("a.b/d:1")]
    store = Store.new(tmp_path / "nowhere" / "at" / "all", About())
    layers = planner.fetcher.layers
    for change in adds:
        planner.fetcher.fetch(change.image, store)
    ground = store.ground({layer: layers[layer].parent for layer in layers})
    WATCH.is_on = True
    delta = plan(store, changes, layers, ground, TODAY)
    WATCH.is_on = False
    assert WATCH.seen == []
    assert len([step for step in delta if isinstance(step, PutTree)]) == 2
    assert not (tmp_path / "nowhere").exists()
    WATCH.is_on = True
    (tmp_path / "nowhere").exists()
    (tmp_path / "seen").write_bytes(b"")
    WATCH.is_on = False
    assert len(WATCH.seen) == 1
    assert lines(plan(store, changes, layers, ground, TODAY)) == lines(delta)


def test_the_record_of_an_image(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1", "d"))
    manifest, config = json_of(ONE.manifest), json_of(ONE.config)
    keys = [digest_of(config), f"manifest-{ONE.digest}", "manifest"]
    assert records(planner) == {
        ONE.id: {
            "id": ONE.id,
            "digest": ONE.digest,
            "names": ["docker.io/library/d:latest", "a.b/c:1"],
            "layer": ids(ONE)[1],
            "big-data-names": keys,
            "big-data-sizes": dict(zip(keys, (len(config), len(manifest), len(manifest)), strict=True)),
            "big-data-digests": dict(zip(keys, (digest_of(config), ONE.digest, ONE.digest), strict=True)),
            "created": CREATED,
        }
    }


def test_the_records_of_its_layers(planner: Planner) -> None:
    history: list[dict[str, object]] = [{"created": "2023-01-01T00:00:00Z"}, {"empty_layer": True}, {}]
    image = Image(layers=ONE.layers, compression=ONE.compression, history=history)
    planner.do(planner.add(image, "a.b/c:1"))
    base, top = ids(image)
    shared = {"uidset": [0], "gidset": [0]}
    blobs = [{"compressed-diff-digest": digest_of(blob), "compressed-size": len(blob)} for blob in image.blobs]
    diffs = [{"diff-digest": digest_of(layer), "diff-size": len(layer)} for layer in image.layers]
    assert records(planner, "layers") == {
        base: {"id": base, "created": "2023-01-01T00:00:00Z", **blobs[0], **diffs[0], "compression": 2, **shared},
        top: {"id": top, "parent": base, "created": CREATED, **blobs[1], **diffs[1], "compression": 4, **shared},
    }


def test_an_image_without_layers(planner: Planner) -> None:
    planner.do(planner.add(Image(), "a.b/c:1"))
    (record,) = records(planner).values()
    assert "layer" not in record
    assert records(planner, "layers") == {}


def test_what_is_there_already_is_an_empty_delta(planner: Planner) -> None:
    changes = [planner.add(ONE, "a.b/c:1"), planner.add([TWO], "a.b/d:1")]
    planner.do(*changes)
    assert not planner.plan(*changes)
    assert not planner.plan(tag("a.b/c:1", "a.b/c:1"), planner.add(ONE))
    assert not planner.plan()


def test_an_image_that_comes_and_goes_in_one_batch_leaves_nothing(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    assert not planner.plan(planner.add(TWO, "a.b/d:1"), drop("a.b/d:1"))
    assert not planner.plan(planner.add(TWO))


def test_a_name_that_moves_to_and_fro_in_one_batch_changes_nothing(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    assert not planner.plan(planner.add(TWO, "a.b/c:1"), planner.add(ONE, "a.b/c:1"))
    assert not planner.plan(drop("a.b/c:1"), planner.add(ONE, "a.b/c:1"))


def test_a_second_name_only_changes_the_record(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    before = (planner.root / "overlay-images/images.json").read_bytes()
    for change in (planner.add(ONE, "d"), tag("a.b/c:1", "d"), tag(ONE.id, "d"), tag(f"a.b/c@{ONE.digest}", "d")):
        delta = planner.plan(change)
        assert lines(delta) == ["index overlay-images/images.json"]
        new = before.replace(b'"names":["a.b/c:1"]', b'"names":["docker.io/library/d:latest","a.b/c:1"]')
        assert content(delta, "overlay-images/images.json") == new


def test_the_same_image_through_an_image_index_brings_only_that(planner: Planner, tmp_path: Path) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    delta = planner.do(planner.add([ONE, Image(platform="linux/arm64")], "a.b/c:1"))
    index = image_index(tmp_path / "x", [ONE, Image(platform="linux/arm64")])
    key = f"manifest-{digest_of(index)}"
    paths = [planner.store.layout.big_data(planner.store.image(ONE.id).id, key), "overlay-images/images.json"]
    assert lines(delta) == [f"file {paths[0]}", f"index {paths[1]}"]
    assert content(delta, paths[0]) == index
    record = records(planner)[ONE.id]
    assert (record["big-data-names"][-1], record["big-data-sizes"][key]) == (key, len(index))
    assert planner.store.image(f"a.b/c@{digest_of(index)}").id == ONE.id


def test_the_same_image_compressed_otherwise_brings_only_its_manifest(planner: Planner) -> None:
    other = Image(layers=ONE.layers, compression="none")
    assert other.id == ONE.id
    planner.do(planner.add(ONE, "a.b/c:1"))
    delta = planner.do(planner.add(other, "a.b/c:1"))
    assert [line.split("/")[0] for line in lines(delta)] == ["file overlay-images", "index overlay-images"]
    assert records(planner)[ONE.id]["digest"] == ONE.digest
    assert planner.store.image(f"a.b/c@{other.digest}").id == ONE.id


def test_two_images_share_what_is_the_same(planner: Planner) -> None:
    first = planner.do(planner.add(ONE, "a.b/c:1"))
    second = planner.do(planner.add(TWO, "a.b/d:1"))
    assert [step.path for step in first if isinstance(step, PutTree)] == [f"overlay/{layer}" for layer in ids(ONE)]
    assert [step.path for step in second if isinstance(step, PutTree)] == [f"overlay/{ids(TWO)[1]}"]
    assert list(records(planner, "layers")) == [*ids(ONE), ids(TWO)[1]]
    assert list(records(planner)) == [ONE.id, TWO.id]


def test_in_one_batch_too(planner: Planner) -> None:
    delta = planner.do(planner.add(ONE, "a.b/c:1"), planner.add(TWO, "a.b/d:1"))
    assert [step.path for step in delta if isinstance(step, PutTree)] == [f"overlay/{layer}" for layer in (*ids(ONE), ids(TWO)[1])]
    assert lines(delta).count("index overlay-images/images.json") == 2


def test_adding_leaves_the_other_records_as_they_are(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    for what in ("images", "layers"):
        before = (planner.root / f"overlay-{what}" / f"{what}.json").read_bytes()
        after = content(planner.plan(planner.add(TWO, "a.b/d:1")), f"overlay-{what}/{what}.json")
        assert after.startswith(before[:-3] + b",\n")


def test_the_same_delta_for_the_same_input(tmp_path: Path) -> None:
    deltas = []
    for name in ("one", "two"):
        planner = Planner(tmp_path / name / "store")
        (tmp_path / name).mkdir()
        delta = planner.plan(planner.add(ONE, "a.b/c:1"), planner.add(TWO, "a.b/d:1"))
        deltas.append([(line, step.size) for line, step in zip(lines(delta), delta, strict=True)])
        planner.close()
    assert deltas[0] == deltas[1]
