"""The order of steps, and what they hold."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.delta import PutTree, ReplaceIndex
from cstore.index.lock import announcement
from cstore.model.chain import LayerID, layer_ids
from cstore.model.digest import Digest
from cstore.model.layout import Form, big_data_file, link_candidates
from cstore.steps import Outcome, delta_of, pruning
from tests.images import Image, directory, file, json_of, tar
from tests.stores import TODAY, Planner, content, drop, lines

if TYPE_CHECKING:
    from cstore.delta import Delta

BASE, TOP, OTHER = tar(directory("a")), tar(file("a/b", b"1")), tar(file("a/c", b"2"))
ONE = Image(layers=(BASE, TOP))
TWO = Image(layers=(BASE, OTHER))
(BASE_ID, TOP_ID), (_, OTHER_ID) = (layer_ids([Digest.parse(diff_id) for diff_id in image.diff_ids]) for image in (ONE, TWO))
LINKS = {layer: next(iter(link_candidates(layer))) for layer in (BASE_ID, TOP_ID, OTHER_ID)}


def big_data(image: Image) -> list[str]:
    keys = [f"sha256:{image.id}", f"manifest-{image.digest}", "manifest"]
    return [f"file overlay-images/{image.id}/{big_data_file(key)}" for key in keys]


def tree(delta: Delta, path: str) -> PutTree:
    (step,) = [step for step in delta if isinstance(step, PutTree) and step.path == path]
    return step


def test_the_steps_that_make_a_store(planner: Planner) -> None:
    assert lines(planner.plan(planner.add(ONE, "a.b/c:1"))) == [
        "index overlay-layers/layers.json",
        "index overlay-images/images.json",
        "file cstore.json",
        f"tree overlay/{BASE_ID}",
        f"tree overlay/{TOP_ID}",
        f"symlink overlay/l/{LINKS[BASE_ID]}",
        f"symlink overlay/l/{LINKS[TOP_ID]}",
        f"file overlay-layers/{BASE_ID}.tar-split.gz",
        f"file overlay-layers/{TOP_ID}.tar-split.gz",
        "index overlay-layers/layers.json",
        *big_data(ONE),
        "index overlay-images/images.json",
    ]


def test_the_steps_that_replace_an_image(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    assert lines(planner.plan(planner.add(TWO, "a.b/c:1"))) == [
        "file cstore.json",
        f"tree overlay/{OTHER_ID}",
        f"symlink overlay/l/{LINKS[OTHER_ID]}",
        f"file overlay-layers/{OTHER_ID}.tar-split.gz",
        "index overlay-layers/layers.json",
        *big_data(TWO),
        "index overlay-images/images.json",
        f"remove overlay-images/{ONE.id}",
    ]


def test_the_steps_that_make_a_sharded_store(planner: Planner) -> None:
    planner.form = Form.SHARDED
    shards = sorted({layer[:2] for layer in (BASE_ID, TOP_ID)})
    assert lines(planner.do(planner.add(ONE, "a.b/c:1"))) == [
        "index overlay-layers/layers.json",
        "index overlay-images/images.json",
        "file cstore.json",
        *(f"file {room}/.cvmfscatalog" for room in ("overlay", "overlay-images", "overlay-layers")),
        *(f"file pool/{shard}/.cvmfscatalog" for shard in shards),
        f"tree pool/{BASE_ID[:2]}/{BASE_ID}",
        f"symlink overlay/{BASE_ID}",
        f"tree pool/{TOP_ID[:2]}/{TOP_ID}",
        f"symlink overlay/{TOP_ID}",
        f"symlink overlay/l/{LINKS[BASE_ID]}",
        f"symlink overlay/l/{LINKS[TOP_ID]}",
        f"file overlay-layers/{BASE_ID}.tar-split.gz",
        f"file overlay-layers/{TOP_ID}.tar-split.gz",
        "index overlay-layers/layers.json",
        *big_data(ONE),
        "index overlay-images/images.json",
    ]
    assert (planner.root / "overlay" / TOP_ID).readlink().parts == ("..", "pool", TOP_ID[:2], TOP_ID)
    assert json.loads((planner.root / "cstore.json").read_bytes())["layout"] == "sharded"


def test_a_new_shard_gets_its_catalog_and_no_other_is_put_again(planner: Planner) -> None:
    planner.form = Form.SHARDED
    planner.do(planner.add(ONE, "a.b/c:1"))
    catalogs = [line for line in lines(planner.plan(planner.add(TWO, "a.b/d:1"))) if line.endswith(".cvmfscatalog")]
    is_new = OTHER_ID[:2] not in (BASE_ID[:2], TOP_ID[:2])
    assert catalogs == [f"file pool/{OTHER_ID[:2]}/.cvmfscatalog"] * is_new


@pytest.mark.parametrize(
    ("form", "entries", "has_catalog"),
    [
        pytest.param(Form.SHARDED, 1000, True, id="sharded, big"),
        pytest.param(Form.SHARDED, 999, False, id="sharded, small"),
        pytest.param(Form.DIRECT, 1000, False, id="direct, big"),
    ],
)
def test_a_big_layer_has_a_catalog_of_its_own(planner: Planner, form: Form, entries: int, has_catalog: bool) -> None:  # noqa: FBT001 - a column
    planner.form = form
    image = Image(layers=(tar(*(file(str(number)) for number in range(entries))),))
    (step,) = [step for step in planner.plan(planner.add(image, "a.b/c:1")) if isinstance(step, PutTree)]
    assert step.entries == entries
    assert (".cvmfscatalog" in step.files) is has_catalog


def test_what_lies_beside_a_diff(planner: Planner) -> None:
    delta = planner.plan(planner.add(Image(layers=(BASE, TOP, OTHER)), "a.b/c:1"))
    base, middle, top = (step for step in delta if isinstance(step, PutTree))
    links = [step.files["link"] for step in (base, middle, top)]
    assert (base.files, base.directories) == ({"link": links[0]}, ("empty",))
    assert middle.files == {"link": links[1], "lower": b"l/" + links[0], "lower-layers": BASE_ID.encode()}
    assert top.files == {
        "link": links[2],
        "lower": b"l/" + links[1] + b":l/" + links[0],
        "lower-layers": f"{TOP_ID}:{BASE_ID}".encode(),
    }
    assert middle.directories == top.directories == ()


def test_a_layer_on_layers_that_the_store_has(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    delta = planner.plan(planner.add(Image(layers=(BASE, TOP, OTHER)), "a.b/d:1"))
    (top,) = (step for step in delta if isinstance(step, PutTree))
    assert top.files["lower"] == f"l/{LINKS[TOP_ID]}:l/{LINKS[BASE_ID]}".encode()
    assert top.files["lower-layers"] == f"{TOP_ID}:{BASE_ID}".encode()


def test_indexes_come_with_their_locks(planner: Planner) -> None:
    delta = planner.plan(planner.add(ONE, "a.b/c:1"))
    indexes = [step for step in delta if isinstance(step, ReplaceIndex)]
    assert len(indexes) == 4
    for step in indexes:
        assert step.lock == announcement(step.data, own=True)
        assert step.lock_path == step.path.replace(".json", ".lock")


def test_links_of_layers_whose_ids_begin_alike(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    (_, fetched) = planner.fetcher.layers.values()
    alike = [LayerID("e" * 15 + digit * 49) for digit in "01"]
    layers = [evolve(fetched, id=alike[0], parent=TOP_ID), evolve(fetched, id=alike[1], parent=alike[0])]
    store = planner.store
    outcome = Outcome(
        layers=layers,
        made=dict.fromkeys(alike, "2023-11-14T22:13:20Z"),
        big_data={},
        images=store.images,
        retired={},
        removed=[],
    )
    delta = delta_of(store, store.ground({layer.id: layer.parent for layer in layers}), outcome, TODAY)
    first, second = (tree(delta, f"overlay/{layer}").files for layer in alike)
    assert first["link"] != second["link"]
    assert second["link"].startswith(first["link"])
    below = f"l/{LINKS[TOP_ID]}:l/{LINKS[BASE_ID]}".encode()
    assert second["lower"] == b"l/" + first["link"] + b":" + below
    assert [line for line in lines(delta) if "/l/" in line] == [f"symlink overlay/l/{files['link'].decode()}" for files in (first, second)]


def test_nothing_to_do_is_no_step(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    store = planner.store
    outcome = Outcome(layers=[], made={}, big_data={}, images=store.images, retired={}, removed=[])
    assert not delta_of(store, store.ground({}), outcome, TODAY)
    assert not pruning(store, [], [], {})


@pytest.mark.parametrize("form", list(Form))
def test_the_steps_that_prune(planner: Planner, form: Form) -> None:
    planner.form = form
    planner.do(planner.add(ONE, "a.b/c:1"))
    planner.do(drop("a.b/c:1"))
    delta = pruning(planner.store, [TOP_ID], [BASE_ID], {BASE_ID: TODAY})
    assert lines(delta) == [
        "file cstore.json",
        "index overlay-layers/layers.json",
        f"remove overlay-layers/{TOP_ID}.tar-split.gz",
        f"remove overlay/l/{LINKS[TOP_ID]}",
        f"remove overlay/{TOP_ID}",
        *([f"remove pool/{TOP_ID[:2]}"] if form is Form.SHARDED else []),
    ]
    assert [value["id"] for value in json.loads(content(delta, "overlay-layers/layers.json"))] == [BASE_ID]
    assert json.loads(content(delta, "cstore.json"))["retired"] == {BASE_ID: TODAY.isoformat()}


def test_a_shard_stays_as_long_as_a_layer_is_in_it(planner: Planner) -> None:
    planner.form = Form.SHARDED
    planner.do(planner.add(ONE, "a.b/c:1"))
    planner.do(drop("a.b/c:1"))
    beside = LayerID(TOP_ID[:2] + BASE_ID[2:])
    removed = [line for line in lines(pruning(planner.store, [TOP_ID, BASE_ID], [beside], {})) if line.startswith("remove pool/")]
    assert removed == [f"remove pool/{TOP_ID[:2]}/{TOP_ID}", f"remove pool/{BASE_ID[:2]}"]


def test_retiring_otherwise_without_pruning_only_writes_cstore_json(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    day = dt.date(2020, 2, 29)
    delta = pruning(planner.store, [], [BASE_ID, TOP_ID], {TOP_ID: day})
    assert lines(delta) == ["file cstore.json"]
    assert (
        content(delta, "cstore.json")
        == json_of({"version": 1, "layout": "direct", "retired": {TOP_ID: "2020-02-29"}}).replace(b" ", b"") + b"\n"
    )
