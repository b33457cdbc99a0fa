"""Planning: names that move and go, images and layers that go with them."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from cstore.errors import NotFoundError
from cstore.model.chain import layer_ids
from cstore.model.digest import Digest
from tests.images import Image, directory, file, tar
from tests.stores import TODAY, content, drop, lines, tag

if TYPE_CHECKING:
    from cstore.changes import Change
    from tests.stores import Planner

BASE, TOP, OTHER = tar(directory("a")), tar(file("a/b", b"1")), tar(file("a/c", b"2"))
ONE = Image(layers=(BASE, TOP))
TWO = Image(layers=(BASE, OTHER))
SAME_LAYERS = Image(layers=(BASE, TOP), labels={"other": "config"})
LOWER = Image(layers=(BASE,))


def ids(image: Image) -> tuple[str, ...]:
    return layer_ids([Digest.parse(diff_id) for diff_id in image.diff_ids])


def names(planner: Planner) -> dict[str, tuple[str, ...]]:
    return {record.id: record.names for record in planner.store.all_images()}


def retired(planner: Planner) -> dict[str, dt.date]:
    return {str(layer): day for layer, day in planner.store.about.retired.items()}


def test_a_name_that_moves_leaves_its_old_image_in_the_same_step(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1", "a.b/c:2"), planner.add(TWO, "a.b/d:1"))
    delta = planner.do(planner.add(TWO, "a.b/c:1"))
    assert lines(delta) == ["index overlay-images/images.json"]
    assert names(planner) == {ONE.id: ("a.b/c:2",), TWO.id: ("a.b/c:1", "a.b/d:1")}


def test_so_does_one_that_is_moved_by_tagging(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1", "a.b/c:2"), planner.add(TWO, "a.b/d:1"))
    planner.do(tag("a.b/d:1", "a.b/c:1"))
    assert names(planner) == {ONE.id: ("a.b/c:2",), TWO.id: ("a.b/c:1", "a.b/d:1")}


def test_an_image_whose_last_name_moves_goes_and_its_layers_are_retired(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    delta = planner.do(planner.add(TWO, "a.b/c:1"))
    assert lines(delta)[0] == "file cstore.json"
    assert lines(delta)[-2:] == ["index overlay-images/images.json", f"remove overlay-images/{ONE.id}"]
    assert names(planner) == {TWO.id: ("a.b/c:1",)}
    assert retired(planner) == {ids(ONE)[1]: TODAY}
    assert planner.store.layers.raw(ids(ONE)[1]) is not None


@pytest.mark.parametrize("name", ["a.b/c:1", "docker.io/library/d:latest", "d", "registry.hub.docker.com/library/d"])
def test_a_name_is_taken_away(planner: Planner, name: str) -> None:
    planner.do(planner.add(ONE, "a.b/c:1", "d"))
    delta = planner.do(drop(name))
    assert lines(delta) == ["index overlay-images/images.json"]
    left = "docker.io/library/d:latest" if name == "a.b/c:1" else "a.b/c:1"
    assert names(planner) == {ONE.id: (left,)}


def test_with_its_last_name_an_image_goes(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1", "d"))
    delta = planner.do(drop("d"), drop("a.b/c:1"))
    assert lines(delta) == ["file cstore.json", "index overlay-images/images.json", f"remove overlay-images/{ONE.id}"]
    assert content(delta, "overlay-images/images.json") == b"[]"
    assert retired(planner) == dict.fromkeys(ids(ONE), TODAY)


@pytest.mark.parametrize(
    ("kept", "gone"),
    [
        pytest.param(TWO, ids(ONE)[1:], id="shares the base"),
        pytest.param(SAME_LAYERS, (), id="shares all layers"),
        pytest.param(LOWER, ids(ONE)[1:], id="is the image below"),
    ],
)
def test_layers_that_another_image_uses_are_not_retired(planner: Planner, kept: Image, gone: tuple[str, ...]) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"), planner.add(kept, "a.b/d:1"))
    planner.do(drop("a.b/c:1"))
    assert retired(planner) == dict.fromkeys(gone, TODAY)


def test_nor_are_layers_below_those_of_another_image(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"), planner.add(LOWER, "a.b/d:1"))
    planner.do(drop("a.b/d:1"))
    assert retired(planner) == {}


@pytest.mark.parametrize("order", [("a.b/c:1", "a.b/d:1"), ("a.b/d:1", "a.b/c:1")])
def test_two_images_that_go_together_take_what_they_share(planner: Planner, order: tuple[str, ...]) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"), planner.add(TWO, "a.b/d:1"))
    planner.do(*map(drop, order))
    assert retired(planner) == dict.fromkeys({*ids(ONE), *ids(TWO)}, TODAY)


def test_or_one_after_the_other_each_with_its_day(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"), planner.add(TWO, "a.b/d:1"))
    planner.do(drop("a.b/c:1"))
    planner.today = TODAY + dt.timedelta(days=3)
    planner.do(drop("a.b/d:1"))
    assert retired(planner) == {ids(ONE)[1]: TODAY, ids(ONE)[0]: planner.today, ids(TWO)[1]: planner.today}


def test_a_layer_that_is_wanted_again_is_retired_no_longer(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    planner.do(drop("a.b/c:1"))
    delta = planner.do(planner.add(TWO, "a.b/d:1"))
    assert lines(delta)[:2] == ["file cstore.json", f"tree overlay/{ids(TWO)[1]}"]
    assert retired(planner) == {ids(ONE)[1]: TODAY}
    delta = planner.do(planner.add(ONE, "a.b/c:1"))
    assert not [line for line in lines(delta) if line.startswith(("tree", "symlink")) or "layers" in line]
    assert retired(planner) == {}


def test_an_image_that_goes_while_another_comes_keeps_what_that_one_wants(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    planner.do(drop("a.b/c:1"), planner.add(SAME_LAYERS, "a.b/d:1"))
    assert (names(planner), retired(planner)) == ({SAME_LAYERS.id: ("a.b/d:1",)}, {})


def test_a_later_change_sees_what_an_earlier_one_did(planner: Planner) -> None:
    planner.do(
        planner.add(ONE, "a.b/c:1"),
        tag("a.b/c:1", "a.b/c:2"),
        planner.add(TWO, "a.b/c:1"),
        drop("a.b/c:2"),
        tag("a.b/c:1", "a.b/c:3"),
        drop("a.b/c:1"),
    )
    assert names(planner) == {TWO.id: ("a.b/c:3",)}
    assert list(planner.store.about.retired) == []


def test_an_image_without_a_name_is_not_added(planner: Planner) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    assert not planner.plan(planner.add(TWO))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param([drop("a.b/x")], 'expected an image "a.b/x", found none', id="no such name"),
        pytest.param([tag("a.b/x", "a.b/y")], 'expected an image "a.b/x", found none', id="nothing to tag"),
        pytest.param([drop("A B")], 'expected an image "A B", found none', id="no name at all"),
        pytest.param(
            [drop(ONE.id)], f'expected one of the names of an image, found "{ONE.id}", which is its ID or digest', id="drop an ID"
        ),
        pytest.param(
            [drop(f"a.b/c@{ONE.digest}")],
            f'expected one of the names of an image, found "a.b/c@{ONE.digest}", which is its ID or digest',
            id="drop a digest",
        ),
        pytest.param(
            [drop("a.b/c:1"), drop("a.b/c:1")], 'expected an image "a.b/c:1", found that an earlier change took it away', id="drop it twice"
        ),
        pytest.param(
            [drop("a.b/c:1"), tag("a.b/c:1", "a.b/c:2")],
            'expected an image "a.b/c:1", found that an earlier change took it away',
            id="tag what was dropped",
        ),
    ],
)
def test_a_change_of_what_is_not_there(planner: Planner, changes: list[Change], said: str) -> None:
    planner.do(planner.add(ONE, "a.b/c:1"))
    before = json.loads((planner.root / "overlay-images/images.json").read_bytes())
    with pytest.raises(NotFoundError) as error:
        planner.do(*changes)
    assert str(error.value) == f"{planner.root}: {said}"
    assert json.loads((planner.root / "overlay-images/images.json").read_bytes()) == before
