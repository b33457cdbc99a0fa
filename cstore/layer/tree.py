"""The second reading of a layer: its tree as a stream of entries, in an order in which it can be written down at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import evolve, field, frozen

from cstore.errors import ContentError
from cstore.layer.entry import Entry, Kind, shown, whiteout
from cstore.layer.names import MARK, mark, parent
from cstore.layer.scan import kept_xattrs
from cstore.layer.tar import Stream, TarReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cstore.layer.below import Below
    from cstore.layer.shape import Shape

__all__ = ["Reading", "Tree"]

_TOP = Entry(b"", Kind.DIRECTORY, 0o555, 0, 0, 0)
_IMPLIED = Entry(b"", Kind.DIRECTORY, 0o755, 0, 0, 0)


class Reading(Stream, Protocol):
    """A reading of a layer's tar."""

    def finish(self) -> int:
        """See that all of it was as it should be, at its end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@frozen(kw_only=True)
class Tree:
    """The tree of one layer, to be walked as often as wanted; each walk reads the blob anew."""

    at: str
    """What errors call the layer."""
    shape: Shape = field(repr=False)
    below: Below = field(repr=False)
    """What the chain below shows, of what the shape asks for."""
    open: Callable[[], Reading] = field(repr=False, eq=False)

    @property
    def whiteouts(self) -> int:
        """How many whiteouts it has besides those that are members of the tar."""
        return len(self.hidden())

    def walk(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield each entry of the tree with the bytes of its content; the content must be read before the next entry.

        The first entry is the top directory. Every directory comes before what is in it, a hard link after its target, and
        whiteouts come last, in the order of their names. At the end the blob is verified once more.

        Raises:
            ContentError: the blob is no longer what the first reading found.
        """
        reader = self.open()
        try:
            tar = TarReader(reader, self.at)
            made = {b""}
            yield self._directory(b""), iter(())
            for entry in tar:
                path = entry.path
                if path in made or (MARK in path and mark(path, self.at)):
                    continue
                above = parent(path)
                if above not in made:
                    for directory in self._missing(above, made):
                        yield self._directory(directory), iter(())
                if entry.kind is Kind.DIRECTORY:
                    made.add(path)
                elif entry.kind is Kind.HARDLINK and parent(entry.target) not in made:
                    raise self._changed(entry.target)
                yield (_cleaned(entry) if entry.xattrs else entry), tar.content()
            for path in sorted(self.shape.implied):
                for directory in self._missing(path, made):
                    yield self._directory(directory), iter(())
            for hidden in self.hidden():
                yield whiteout(hidden), iter(())
            reader.finish()
        finally:
            reader.close()

    def _missing(self, directory: bytes, made: set[bytes]) -> list[bytes]:
        """Return the directories above an entry that are still to be made, the highest first."""
        missing: list[bytes] = []
        while directory not in made:
            if directory not in self.shape.implied and directory not in self.shape.early:
                raise self._changed(directory)
            made.add(directory)
            missing.append(directory)
            directory = parent(directory)
        return missing[::-1]

    def _changed(self, path: bytes) -> ContentError:
        return ContentError(f"{self.at}: expected what the first reading found, found something in {shown(path)}")

    def _directory(self, path: bytes) -> Entry:
        """Return the entry of a directory that is made before its own entry comes, if one does."""
        own = self.shape.early.get(path)
        if own is not None:
            return _cleaned(own)
        there = self.below.directories.get(path) if path in self.shape.inherited else None
        return evolve(_cleaned(there or (_IMPLIED if path else _TOP)), path=path)

    def hidden(self) -> list[bytes]:
        """Return the paths of the whiteouts that it has besides those that are members of the tar, in their order."""
        hidden = set(self.shape.whiteouts)
        for directory, own in self.shape.opaque.items():
            for name in self.below.names.get(directory, frozenset()) - own:
                hidden.add(directory + b"/" + name if directory else name)
        return sorted(hidden)


def _cleaned(entry: Entry) -> Entry:
    return evolve(entry, xattrs=kept_xattrs(entry)) if entry.xattrs else entry
