"""Flat trees whose files are hard links to those of layers in the same repository, which an ingest need not read again (spec H10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.layer.entry import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cstore.layer.merging import Merged, Source

__all__ = ["Linkable", "LinkedTree"]

_LARGEST = 4 << 20
"""Bytes above which a transaction stores a file in chunks, whose list no hard link copies; an ingest never does."""


@frozen
class Linkable:
    """The tree of a layer to whose files hard links may lead."""

    path: str
    """Of its `diff`, relative to the hub."""
    is_ingested: bool
    """Whether it is known that an ingest publishes it: then the size of a file does not matter."""


@frozen
class LinkedTree:
    """A flat tree in which files that are the same in a layer are hard links to that."""

    _tree: Merged
    _layers: Mapping[str, Linkable] = field(repr=False)
    """By the ID of the part."""

    @property
    def whiteouts(self) -> int:
        """None, as in any flat tree."""
        return self._tree.whiteouts

    def walk(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield each entry with the bytes of its content; the target of a link out of the tree begins with a slash.

        A blob is read only where a file is not the same in its layer, as one that others may not read there. No link leads to a link:
        an ingest makes them all at its end, in no known order.
        """
        targets, reads = self._survey()
        linked: dict[bytes, bytes] = {}
        for entry, content, source in self._tree.traced(reads=reads):
            if entry.kind is Kind.HARDLINK:
                yield (_link(entry, linked[entry.target]) if entry.target in linked else entry), content
                continue
            target = self._target(entry, source)
            if target is None:
                yield entry, content
                continue
            if entry.path in targets:
                linked[entry.path] = target
            yield _link(entry, target), iter(())

    def _survey(self) -> tuple[set[bytes], bool]:
        """Return which entries hard links of the tree lead to, and whether a file is not to be had by a link."""
        targets: set[bytes] = set()
        reads = False
        for entry, _, source in self._tree.traced(reads=False):
            if entry.kind is Kind.HARDLINK:
                targets.add(entry.target)
            elif entry.size and self._target(entry, source) is None:
                reads = True
        return targets, reads

    def _target(self, entry: Entry, source: Source | None) -> bytes | None:
        if entry.kind is not Kind.FILE or source is None or not source.is_same or entry.pieces is not None:
            return None
        layer = self._layers.get(source.part)
        if layer is None or (entry.size > _LARGEST and not layer.is_ingested):
            return None
        return b"/" + layer.path.encode() + b"/" + source.path


def _link(entry: Entry, target: bytes) -> Entry:
    return Entry(entry.path, Kind.HARDLINK, entry.mode, entry.uid, entry.gid, entry.mtime, target=target)
