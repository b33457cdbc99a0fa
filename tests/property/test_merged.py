"""Merged stacks of layers are what the layers make one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from cstore.hub.parts import fetched_part
from cstore.layer.merging import merge
from cstore.model.about import About
from cstore.source.fetch import Fetcher
from cstore.store import Store
from tests.images import hardlink, tar
from tests.layer.stacks import applied, image_of, merged, nodes, trees
from tests.property.strategies import linked_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cstore.layer.entry import Entry
    from tests.images import Member
    from tests.layer.stacks import Content, Node


def of_parts(tars: Sequence[bytes]) -> tuple[list[tuple[Entry, bytes]], int]:
    """Return the merged tree of an image's layers, and how many entries were counted."""
    image, fetcher = image_of(tars), Fetcher()
    try:
        fetcher.fetch(image, Store.new("/nonexistent", About()))
        tree = merge([fetched_part(fetcher.layers[layer]) for layer in image.chain], at="image")
        return [(entry, b"".join(content)) for entry, content in tree.walk()], tree.counts.entries
    finally:
        fetcher.close()


@given(st.lists(linked_layers(), max_size=4))
def test_the_merged_tree_is_what_the_layers_make_one_after_the_other(stack: Sequence[tuple[Content, tuple[Member, ...]]]) -> None:
    """Spec E1: a flat tree shows what a container of the image shows. Spec E4: a directory comes before what is in it, no name twice."""
    tars = [tar(*members) for _, members in stack]
    found, count = of_parts(tars)
    written: dict[bytes, Node | None] = nodes((entry, [content]) for entry, content in found)
    assert written == applied([content for content, _ in stack])
    assert len(found) == count
    if stack:
        assert written == merged([nodes(tree.walk()) for tree in trees(tars)])


def test_the_stacks_have_links_to_hidden_files() -> None:
    """The strategy makes what it is for."""
    counted = {"links": 0}

    @given(linked_layers())
    def count(layer: tuple[Content, tuple[Member, ...]]) -> None:
        counted["links"] += any(member.kind == hardlink("a", "b").kind for member in layer[1])

    count()
    assert counted["links"] > 20
