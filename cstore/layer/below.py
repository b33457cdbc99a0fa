"""What a chain of layers shows at some paths: mode and owner of directories, and the names in them.

It is found by one pass over the entries of each layer, from the top one down, without ever holding a tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from cstore.layer.entry import Entry, Kind
from cstore.layer.names import Mark, mark, parent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = ["NOTHING", "Below", "look"]


@frozen
class Below:
    """What was found in a chain."""

    directories: Mapping[bytes, Entry]
    """The directories that were asked for and have an entry somewhere in the chain that is not hidden above it."""
    names: Mapping[bytes, frozenset[bytes]]
    """The visible names in each directory that was asked for."""


NOTHING = Below({}, {})
"""What is below a base layer."""


def look(layers: Iterable[Iterable[Entry]], directories: Collection[bytes], listings: Collection[bytes]) -> Below:
    """Look for directories and for the names in others.

    Args:
        layers: the entries of each layer of the chain as their tars have them, top layer first. No more layers are read than needed.
        directories: paths whose mode and owner are wanted.
        listings: paths of which the names in them are wanted.

    Raises:
        ContentError: a layer's tar is damaged.
        FormatError: a layer's tar-split is damaged.
    """
    view = _View(directories, listings)
    if view.is_complete:
        return view.result()
    for entries in layers:
        view.descend(entries)
        if view.is_complete:
            break
    return view.result()


class _View:
    """The view from above into a chain, layer by layer; what a layer hides is gone for all below it."""

    def __init__(self, directories: Collection[bytes], listings: Collection[bytes]) -> None:
        self._wanted = set(directories)
        self._listed = set(listings)
        self._names: dict[bytes, set[bytes]] = {path: set() for path in listings}
        self._hidden: dict[bytes, set[bytes]] = {path: set() for path in listings}
        self._directories: dict[bytes, Entry] = {}
        self._on_the_way = {b""}
        for path in (*directories, *listings):
            step = path
            while step not in self._on_the_way:
                self._on_the_way.add(step)
                step = parent(step)

    @property
    def is_complete(self) -> bool:
        return not self._wanted and not self._listed

    def result(self) -> Below:
        return Below(self._directories, {path: frozenset(names) for path, names in self._names.items()})

    def descend(self, entries: Iterable[Entry]) -> None:
        """Look at the next layer down."""
        layer = _Layer(self._listed)
        for entry in entries:
            layer.take(entry)
            if entry.path in self._wanted and entry.kind is Kind.DIRECTORY:
                self._directories[entry.path] = entry
                self._wanted.discard(entry.path)
                if self.is_complete:
                    return
        for path in self._listed:
            self._names[path] |= layer.names[path] - self._hidden[path]
            self._hidden[path] |= layer.hidden[path]
        self._close(layer.gone & self._on_the_way, layer.emptied & self._on_the_way)

    def _close(self, gone: set[bytes], emptied: set[bytes]) -> None:
        """Give up what this layer hides of the layers below it."""
        if not gone and not emptied:
            return
        lost: set[bytes] = set()
        for path in sorted(self._on_the_way):
            above = parent(path)
            if path in gone or (path and (above in lost or above in emptied)):
                lost.add(path)
        self._wanted -= lost
        self._listed -= lost | emptied


class _Layer:
    """What one layer shows and hides."""

    def __init__(self, listed: Collection[bytes]) -> None:
        self.names: dict[bytes, set[bytes]] = {path: set() for path in listed}
        """The names that it has in the listed directories."""
        self.hidden: dict[bytes, set[bytes]] = {path: set() for path in listed}
        """The names that it hides there."""
        self._seen: set[bytes] = set()
        self.gone: set[bytes] = set()
        """Paths at which nothing of the layers below is seen: whiteouts, and all but directories."""
        self.emptied: set[bytes] = set()
        """Directories in which nothing of the layers below is seen."""

    def take(self, entry: Entry) -> None:
        """Take the next member."""
        marked = (Mark.WHITEOUT, entry.path) if entry.is_whiteout else mark(entry.path, "layer below")
        if marked:
            self._mark(*marked)
            return
        if entry.kind is not Kind.DIRECTORY:
            self.gone.add(entry.path)
        elif entry.is_opaque:
            self.emptied.add(entry.path)
        self._see(entry.path)

    def _mark(self, what: Mark, path: bytes) -> None:
        if what is Mark.OPAQUE:
            self.emptied.add(path)
            self._see(path)
        elif what is Mark.WHITEOUT:
            self.gone.add(path)
            _note(self.hidden, path)
            self._see(parent(path))

    def _see(self, path: bytes) -> None:
        """Note a path and the directories above it, if their names are wanted."""
        while self.names and path and path not in self._seen:
            self._seen.add(path)
            _note(self.names, path)
            path = parent(path)


def _note(names: dict[bytes, set[bytes]], path: bytes) -> None:
    directory = parent(path)
    if directory in names:
        names[directory].add(path.rpartition(b"/")[2])
