from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import FormatError
from cstore.model.about import About
from cstore.model.chain import LayerID
from cstore.pruning import plan_prune, unreferenced
from cstore.store import Store
from tests.images import json_of
from tests.stores import TODAY, content, lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

A, B, C, D = (LayerID(letter * 64) for letter in "abcd")
IMAGE = "1" * 64
DAY = dt.timedelta(days=1)
GRACE = 14 * DAY
OLD, YOUNG = TODAY - GRACE, TODAY - GRACE + DAY


def make(root: Path, parents: Mapping[LayerID, Any], images: list[dict[str, Any]], retired: Mapping[LayerID, dt.date]) -> Store:
    """Write a store whose layers have these parents, with links called as the layers' first letters."""
    for room in ("overlay-layers", "overlay-images"):
        (root / room).mkdir()
    layers = [{"id": layer, **({"parent": parent} if parent else {}), "created": None} for layer, parent in parents.items()]
    (root / "overlay-layers/layers.json").write_bytes(json_of(layers))
    (root / "overlay-images/images.json").write_bytes(json_of([{"id": IMAGE, "created": None, **image} for image in images]))
    (root / "cstore.json").write_bytes(json_of(About(retired=dict(retired)).to_dict()))
    for layer in parents:
        (root / "overlay" / layer).mkdir(parents=True)
        (root / "overlay" / layer / "link").write_text(layer[0])
    return Store.open(root)


def removed(store: Store) -> list[str]:
    """Return the first letters of the layers that are pruned, in order."""
    delta = plan_prune(store, GRACE, TODAY)
    links = [line.removeprefix("remove overlay/l/") for line in lines(delta) if line.startswith("remove overlay/l/")]
    trees = [line.removeprefix("remove overlay/")[0] for line in lines(delta) if line.startswith("remove overlay/") and "/l/" not in line]
    assert trees == links
    return links


CHAIN = {A: None, B: A, C: B}


@pytest.mark.parametrize(
    ("parents", "images", "unused"),
    [
        pytest.param(CHAIN, [{"layer": C}], {}, id="all are used"),
        pytest.param(CHAIN, [{"layer": B}], {C: B}, id="the top is not"),
        pytest.param(CHAIN, [], CHAIN, id="none is"),
        pytest.param(CHAIN, [{"mapped-layers": [C]}], {}, id="as mapped layers"),
        pytest.param({**CHAIN, D: B}, [{"layer": D}], {C: B}, id="a branch"),
        pytest.param({A: None}, [{"layer": D}], {A: None}, id="an image whose layer is missing"),
        pytest.param({A: B, B: A}, [{"layer": A}], {}, id="a loop that is used"),
        pytest.param({A: B, B: A}, [], {A: B, B: A}, id="a loop that is not"),
    ],
)
def test_layers_that_no_image_needs(tmp_path: Path, parents: dict[LayerID, Any], images: list[dict[str, Any]], unused: object) -> None:
    store = make(tmp_path, parents, images, {})
    assert unreferenced(store.lineage(), store.all_images()) == unused


@pytest.mark.parametrize(
    ("parents", "layer", "retired", "gone"),
    [
        pytest.param(CHAIN, C, {}, [], id="all are used"),
        pytest.param(CHAIN, C, {C: OLD}, [], id="retired, but used again"),
        pytest.param(CHAIN, B, {C: OLD}, ["c"], id="retired for the whole grace period"),
        pytest.param(CHAIN, B, {C: YOUNG}, [], id="retired a day less"),
        pytest.param(CHAIN, None, {A: OLD, B: OLD, C: OLD}, ["c", "b", "a"], id="children first"),
        pytest.param(CHAIN, None, {A: OLD, B: OLD, C: YOUNG}, [], id="what a younger one builds on stays"),
        pytest.param(CHAIN, None, {A: YOUNG, B: YOUNG, C: OLD}, ["c"], id="an older one on younger ones"),
        pytest.param({**CHAIN, D: A}, None, {A: OLD, B: OLD, C: OLD, D: YOUNG}, ["c", "b"], id="branches"),
        pytest.param({**CHAIN, D: None}, None, {A: OLD, B: OLD, C: OLD, D: OLD}, ["c", "b", "a", "d"], id="two chains"),
        pytest.param({A: B, B: A}, None, {A: OLD, B: OLD}, ["a", "b"], id="a loop"),
        pytest.param({A: D}, None, {A: OLD}, ["a"], id="on a layer that is missing"),
        pytest.param(CHAIN, B, {C: TODAY + DAY}, [], id="retired tomorrow"),
    ],
)
def test_what_is_pruned(
    tmp_path: Path, parents: dict[LayerID, Any], layer: str | None, retired: dict[LayerID, dt.date], gone: list[str]
) -> None:
    images = [{"layer": layer}] if layer else []
    assert removed(make(tmp_path, parents, images, retired)) == gone


def test_nothing_to_prune_is_an_empty_delta(tmp_path: Path) -> None:
    assert not plan_prune(make(tmp_path, CHAIN, [{"layer": B}], {C: YOUNG}), GRACE, TODAY)


def test_what_was_never_noted_as_retired_is_noted_as_of_today(tmp_path: Path) -> None:
    delta = plan_prune(make(tmp_path, CHAIN, [{"layer": A}], {}), GRACE, TODAY)
    assert lines(delta) == ["file cstore.json"]
    noted = About(retired={B: TODAY, C: TODAY}).to_dict()
    assert content(delta, "cstore.json") == json_of(noted).replace(b" ", b"") + b"\n"


def test_without_a_grace_period_it_goes_at_once(tmp_path: Path) -> None:
    delta = plan_prune(make(tmp_path, CHAIN, [{"layer": A}], {}), dt.timedelta(0), TODAY)
    assert [line for line in lines(delta) if "/l/" in line] == ["remove overlay/l/c", "remove overlay/l/b"]
    assert "file cstore.json" not in lines(delta)


@pytest.mark.parametrize("retired", [pytest.param({B: OLD}, id="used again"), pytest.param({D: OLD}, id="without record")])
def test_what_is_not_retired_any_more_is_forgotten(tmp_path: Path, retired: dict[LayerID, dt.date]) -> None:
    delta = plan_prune(make(tmp_path, CHAIN, [{"layer": C}], retired), GRACE, TODAY)
    assert lines(delta) == ["file cstore.json"]
    assert content(delta, "cstore.json") == b'{"version":1,"layout":"direct","retired":{}}\n'


def test_a_layer_to_prune_without_a_link(tmp_path: Path) -> None:
    store = make(tmp_path, {A: None}, [], {A: OLD})
    (tmp_path / "overlay" / A / "link").unlink()
    with pytest.raises(FormatError) as error:
        plan_prune(store, GRACE, TODAY)
    assert str(error.value) == f"{tmp_path}/overlay/{A}/link: expected the link of a layer, found none"


def test_a_malformed_record(tmp_path: Path) -> None:
    store = make(tmp_path, {A: "x"}, [], {})
    with pytest.raises(FormatError, match=r'^layers\[0\]\.parent: expected an ID of 64 hexadecimal digits, found "x"$'):
        plan_prune(store, GRACE, TODAY)
