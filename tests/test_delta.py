from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.delta import Delta, PutDirectory, PutSymlink, PutTree, Remove, ReplaceIndex, Step, file_of
from tests.images import Image, directory, file, tar

if TYPE_CHECKING:
    from tests.stores import Planner

FILE = file_of("a", b"12345")
SYMLINK = PutSymlink(path="b", target="../c")
INDEX = ReplaceIndex(path="c", lock_path="d", data=b"[]", lock=bytes(64))
REMOVE = Remove(path="e")
DIRECTORY = PutDirectory(path="f")


@pytest.fixture
def tree(planner: Planner) -> PutTree:
    image = Image(layers=(tar(directory("d"), file("d/f", b"1234567")),))
    (step,) = [step for step in planner.plan(planner.add(image, "a.b/c")) if isinstance(step, PutTree)]
    return step


@pytest.mark.parametrize(("step", "size"), [(FILE, 5), (SYMLINK, 4), (INDEX, 2), (REMOVE, 0), (DIRECTORY, 0)])
def test_what_a_step_writes(step: Step, size: int) -> None:
    assert step.size == Delta((step,)).size == size


def test_a_file_can_be_opened_again_and_again() -> None:
    for _ in range(2):
        with FILE.open() as opened:
            assert opened.read() == b"12345"


def test_what_a_tree_writes(tree: PutTree) -> None:
    assert (tree.size, tree.entries, tree.directories) == (7, 2, ("empty",))
    assert list(tree.files) == ["link"]
    assert Delta((tree,)).size == 7 + 12
    assert Delta((tree,)).entries == 2


def test_what_a_delta_writes(tree: PutTree) -> None:
    delta = Delta((tree, FILE, SYMLINK, INDEX, REMOVE, DIRECTORY))
    assert delta.size == 19 + 5 + 4 + 2
    assert delta.entries == 2 + 4
    assert tuple(delta) == delta.steps
    assert delta


def test_an_empty_delta() -> None:
    assert not Delta()
    assert (list(Delta()), Delta().size, Delta().entries) == ([], 0, 0)


def test_bytes_are_not_printed() -> None:
    assert repr(INDEX) == "ReplaceIndex(path='c', lock_path='d')"
    assert repr(FILE) == "PutFile(path='a', size=5)"


def test_a_delta_is_moved_into_a_directory_and_taken_out_of_it_again() -> None:
    index = ReplaceIndex(path="overlay-images/images.json", lock_path="overlay-images/images.lock", data=b"[]\n", lock=b"")
    inner = Delta((file_of("cstore.json", b"1"), PutSymlink(path="a", target="../b"), index))
    outer = Delta((file_of("stores/status.json", b"2"), *inner.placed_in("stores/one"), Remove(path="stores/one-more")))
    assert [step.path for step in outer] == [
        "stores/status.json",
        "stores/one/cstore.json",
        "stores/one/a",
        "stores/one/overlay-images/images.json",
        "stores/one-more",
    ]
    (moved,) = [step for step in outer if isinstance(step, ReplaceIndex)]
    assert moved.lock_path == "stores/one/overlay-images/images.lock"
    assert outer.part_in("stores/one") == inner
    assert [step.path for step in outer.part_outside(["stores/one"])] == ["stores/status.json", "stores/one-more"]
    assert outer.part_outside([]) == outer
