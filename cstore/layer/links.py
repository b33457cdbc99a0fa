"""The files of a layer that layers above hide, and the hard links to them that are still seen (spec E3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from cstore.layer.entry import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Fate", "Links"]

_HARDLINK = Kind.HARDLINK
"""Looked up once: a layer may have a million entries."""


@frozen
class Fate:
    """What becomes of the entries of one part that are no directories."""

    hidden: set[bytes] = field(factory=set)
    """Those that are not written, or by another name."""
    moved: dict[bytes, bytes] = field(factory=dict)
    """Hidden files of which a hard link is seen: the first such name gets the content."""
    targets: dict[bytes, bytes] = field(factory=dict)
    """Hard links whose own target is hidden, and what they are links to now."""


class Links:
    """The files of one part, and the hard links to them."""

    def __init__(self, dress: Callable[[Entry], Entry | None]) -> None:
        self.fate = Fate()
        self._dress = dress
        self._hidden: dict[bytes, Entry] = {}
        """Files that are hidden: of some, a link may be seen."""
        self._left_out: set[bytes] = set()
        self._files: dict[bytes, bytes] = {}
        """For each hard link the file that it is a name of."""

    def take(self, entry: Entry, *, is_hidden: bool) -> Entry | None:
        """Take the next entry that is no directory, and return how it is in the tree; None where it is not.

        A link that stands for a hidden file is returned as that file.
        """
        path, fate = entry.path, self.fate
        if entry.kind is not _HARDLINK:
            if is_hidden:
                fate.hidden.add(path)
                self._hidden[path] = entry
                return None
            seen = self._dress(entry)
            if seen is None:
                self._left_out.add(path)
            return seen
        file = self._files[path] = self._files.get(entry.target, entry.target)
        if is_hidden or file in self._left_out:
            fate.hidden.add(path)
            return None
        if file in self._hidden and file not in fate.moved:
            fate.hidden.add(path)
            seen = self._dress(self._hidden[file])
            if seen is None:
                self._left_out.add(file)
                return None
            fate.moved[file] = path
            return evolve(seen, path=path)
        if entry.target in fate.hidden:
            fate.targets[path] = fate.moved.get(file, file)
        return entry
