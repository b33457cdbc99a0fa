"""Stacks of layers: what podman shows of them is what their images say."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st

from cstore.layer.entry import Kind
from tests.images import tar
from tests.layer.stacks import applied, merged, nodes, trees
from tests.property.strategies import arranged, layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.images import Member
    from tests.layer.stacks import Content

Layer = tuple["Content", tuple["Member", ...]]
D, F = Kind.DIRECTORY, Kind.FILE


def _layer(wanted: dict[bytes, tuple[Kind, int, int]], *marks: tuple[str, bytes], top: int | None = None) -> Layer:
    return arranged(wanted, marks, top, random.Random(0))  # noqa: S311 - an order, no secret


FULL = _layer(
    {b"a": (D, 0o1777, 1), b"a/b": (D, 0o700, 2), b"a/b/c": (F, 0o755, 0), b"a/c": (F, 0o755, 0), b"b": (D, 0o700, 1)}, top=0o1777
)


@example([FULL, _layer({}, ("opaque", b""))])
@example([FULL, _layer({b"c": (F, 0o755, 0)}, ("opaque", b""), ("whiteout", b"b"))])
@example([FULL, _layer({b"a/b/a": (F, 0o755, 0)})])
@example([FULL, _layer({b"a/b/a": (F, 0o755, 0)}, ("whiteout", b"a"))])
@example([FULL, _layer({b"a/b/a": (F, 0o755, 0)}, ("opaque", b"a"))])
@example([FULL, _layer({b"a/b": (D, 0o711, 0)}, ("whiteout", b"a/b"), ("opaque", b"a/b"))])
@example([FULL, _layer({b"a": (F, 0o755, 0)}), _layer({b"a/b/b": (F, 0o755, 0)})])
@example([FULL, _layer({}, ("whiteout", b"a")), _layer({b"a/b/b": (F, 0o755, 0)}, ("opaque", b"a"))])
@example([FULL, _layer({}, ("whiteout", b"a/b")), _layer({}, ("whiteout", b"a/b/c"))])
@example([FULL, _layer({}, ("device", b"a/c")), _layer({}, ("opaque", b"a"))])
@example([FULL, _layer({b"b/b": (F, 0o755, 0)}), _layer({b"b/c": (F, 0o755, 0)}), _layer({}, ("opaque", b"b"))])
@given(st.lists(layers(), min_size=1, max_size=4))
def test_overlay_shows_what_the_image_says(stack: Sequence[Layer]) -> None:
    """Layers are applied one after another; a whiteout or an opaque mark hides only what was there before its layer.

    Directories that a layer only implies keep the mode and owner that the chain below gives them, the top directory too.
    """
    written = [nodes(tree.walk()) for tree in trees([tar(*members) for _, members in stack])]
    assert merged(written) == applied([content for content, _ in stack])


@given(st.lists(layers(), min_size=2, max_size=3))
def test_whiteouts_are_only_of_names_that_are_not_in_the_layer(stack: Sequence[Layer]) -> None:
    """A tree holds a name once: a whiteout never stands where the layer has something."""
    for tree in trees([tar(*members) for _, members in stack]):
        nodes(tree.walk())


@given(st.lists(layers(), min_size=1, max_size=3))
def test_a_tree_is_the_same_whenever_it_is_walked(stack: Sequence[Layer]) -> None:
    """Same input, same bytes: a tree may be walked as often as wanted."""
    tars = [tar(*members) for _, members in stack]
    first = [[entry for entry, _ in tree.walk()] for tree in trees(tars)]
    assert first == [[entry for entry, _ in tree.walk()] for tree in trees(tars)]
