"""A layer that stands in several chains: one tree that hides for the snapshotter what it must hide in each of them (spec H9)."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.delta import PutTree
from cstore.errors import ContentError
from cstore.hub.layout import COVER, cover_at
from cstore.hub.parts import stored_part
from cstore.layer.entry import Kind, whiteout
from cstore.mend.laid import LaidTree
from cstore.origin import room

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cstore.delta import Entries
    from cstore.layer.entry import Entry
    from cstore.model.chain import LayerID
    from cstore.model.digest import Digest
    from cstore.source.fetch import FetchedLayer
    from cstore.store import Store

__all__ = ["Chained", "Shown", "cover", "covers", "fetched_chained", "hides", "is_opaque", "laid", "stored_chained"]

_DIGITS = 12
_SPECIAL = (Kind.CHARACTER, Kind.BLOCK, Kind.FIFO)


@frozen(kw_only=True)
class Chained:
    """The tree of a layer as it is in one chain."""

    tree: Entries = field(repr=False)
    hidden: frozenset[bytes] = field(repr=False)
    """What it hides, but for what members of the tar do."""
    entries: int
    size: int
    """Bytes of content."""
    holes: int = 0
    special: int = 0
    """How many entries are whiteouts, devices and fifos."""
    names: frozenset[bytes] | None = field(default=None, repr=False)
    """The paths of all entries, where they are known already."""


@frozen
class Shown:
    """The tree of a layer that hides all that is to be hidden in each of its chains."""

    path: str
    """Where it is in the hub."""
    cover: PutTree | None = None
    """What puts it; None where it is that of one chain."""


@frozen
class _Cover:
    """A tree with more whiteouts at its end."""

    _tree: Entries
    _more: tuple[bytes, ...]

    @property
    def whiteouts(self) -> int:
        """How many whiteouts it has that a publisher has to look for."""
        return self._tree.whiteouts + len(self._more)

    def walk(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield each entry with the bytes of its content, as `Tree.walk` does."""
        yield from self._tree.walk()
        yield from ((whiteout(path), iter(())) for path in self._more)


def is_opaque(layer: FetchedLayer | tuple[Store, LayerID]) -> bool:
    """Whether a layer has directories that show nothing of what is below, so that what it hides depends on its chain."""
    if isinstance(layer, tuple):
        return bool(stored_part(*layer).opaque)
    return bool(layer.scan.shape.opaque)


def fetched_chained(layer: FetchedLayer) -> Chained:
    """Return a layer that was just fetched, in its chain."""
    scan, hidden = layer.scan, frozenset(layer.tree.hidden())
    return Chained(
        tree=layer.tree,
        hidden=hidden,
        entries=scan.entries,
        size=scan.content,
        holes=scan.holes,
        special=scan.special + len(hidden),
    )


def stored_chained(store: Store, layer: LayerID) -> Chained:
    """Return a layer of a store, in its chain there; all is read from its `diff`.

    Raises:
        ContentError: that cannot be read.
    """
    tree = laid(store.root, f"{store.layout.tree(layer)}/diff")
    names: set[bytes] = set()
    hidden: set[bytes] = set()
    size = special = 0
    for entry, _ in tree.walk():
        names.add(entry.path)
        size += entry.size
        special += entry.kind in _SPECIAL
        if entry.is_whiteout:
            hidden.add(entry.path)
    return Chained(tree=tree, hidden=frozenset(hidden), entries=len(names), size=size, special=special, names=frozenset(names))


def hides(root: Path, place: str, chained: Iterable[Chained]) -> bool:
    """Whether the tree at a place hides all that is to be hidden in each of these chains."""
    try:
        there = {entry.path for entry, _ in laid(root, place).walk()}
    except ContentError:
        return False
    return all(chain.hidden <= there for chain in chained)


def laid(root: Path, place: str) -> LaidTree:
    """Return the tree that lies at a place below a store or hub; symlinks lead to it only within the repository.

    Walking it raises a ContentError where it cannot be read.
    """

    def opened() -> int:
        with room(root, place) as found:
            if found is None:
                raise ContentError(f"{root / place}: expected a layer's tree, found none that can be read")
            return os.dup(found.file)

    return LaidTree(at=str(root / place), open=opened)


def covers(path: str, diff: Digest) -> bool:
    """Whether a path is that of a tree which covers chains with a diff."""
    return path.rpartition("/")[2].startswith(f"{COVER}{diff.hex[:_DIGITS]}")


def cover(digest: Digest, diff: Digest, chained: Iterable[Chained]) -> PutTree | None:
    """Return the step that puts one tree for all chains; None where the first one's hides all that is to be hidden.

    Args:
        digest: of the layer's blob.
        diff: its diff ID; several blobs may have the same.
        chained: the layer in each of its chains, the one whose tree is taken first.
    """
    first, *others = chained
    more = tuple(sorted({path for other in others for path in other.hidden} - _all_hidden(first)))
    if not more:
        return None
    hidden = hashlib.sha256(b"\0".join(sorted(first.hidden | {*more}))).hexdigest()
    return PutTree(
        path=cover_at(digest, diff.hex[:_DIGITS] + hidden[:_DIGITS]),
        tree=_Cover(first.tree, more),
        inside="",
        files={},
        directories=(),
        entries=first.entries + len(more),
        size=first.size,
        holes=first.holes,
        special=first.special + len(more),
    )


def _all_hidden(chained: Chained) -> frozenset[bytes]:
    """Return all that a tree hides, or has itself: a whiteout of its own name would come twice."""
    names = chained.names if chained.names is not None else {entry.path for entry, _ in chained.tree.walk()}
    return chained.hidden | names
