"""The shape of a layer's tree: what its tar leaves unsaid, and what it asks to hide of the chain below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from cstore.errors import ContentError
from cstore.layer.entry import Entry, Kind, shown
from cstore.layer.names import MARK, Mark, mark, parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Shape", "ShapeBuilder"]

_MOST_BYTES = 256 << 20


@frozen(kw_only=True)
class Shape:
    """What must be known of a whole layer before the first entry of its tree is written."""

    has_top: bool
    """Whether the tar has an entry for the top directory."""
    early: Mapping[bytes, Entry]
    """Directories whose entry comes after something in them, the top directory among them wherever its entry is."""
    implied: frozenset[bytes]
    """Directories without an entry of their own."""
    inherited: frozenset[bytes]
    """Those of them, and the top directory where it has no entry, that take mode and owner from the chain below."""
    whiteouts: frozenset[bytes]
    """Paths of the chain below that are hidden."""
    opaque: Mapping[bytes, frozenset[bytes]]
    """Directories that show nothing of the chain below, each with the names that this layer has in it."""


class ShapeBuilder:
    """Takes the members of a tar one by one, and refuses what could not be written as a tree.

    Most of what it refuses podman refuses too, so that it could never be pulled; what podman would tame instead are names that lead
    through a symlink, or through a file that comes later (spec A11 to A14).
    """

    def __init__(self, at: str) -> None:
        self._at = at
        self._kinds: dict[bytes, Kind] = {}
        self._implied: set[bytes] = set()
        self._early: dict[bytes, Entry] = {}
        self._marks: list[tuple[Mark, bytes]] = []
        self._opaque: set[bytes] = set()
        self._bytes = 0
        self._known: bytes | None = None

    def add(self, entry: Entry) -> bool:
        """Take the next member, and tell whether it becomes an entry of the tree; marks do not.

        Raises:
            ContentError: the member cannot stand where its name says.
        """
        path, kind = entry.path, entry.kind
        if MARK in path and (marked := mark(path, self._at)):
            self._note(marked)
            return False
        if not path:
            if kind is not Kind.DIRECTORY or path in self._early:
                raise self._refused(entry, "expected the top directory once, found it twice or as something else")
            self._early[path] = entry
        elif path in self._kinds:
            raise self._refused(entry, "expected a name once, found it twice")
        elif path in self._implied:
            if kind is not Kind.DIRECTORY:
                raise self._refused(entry, f"expected a directory, since other members are in it, found a {kind.value}")
            self._implied.discard(path)
            self._early[path] = entry
        else:
            self._imply(parent(path))
        if kind is Kind.HARDLINK and self._kinds.get(entry.target, Kind.DIRECTORY) is Kind.DIRECTORY:
            raise self._refused(entry, f"expected a hard link to an earlier file of this layer, found one to {shown(entry.target)}")
        if path:
            self._kinds[path] = kind
            self._account(path)
        if entry.xattrs and entry.is_opaque:
            self._opaque.add(path)
        return True

    def finish(self) -> Shape:
        """Return the shape of the whole layer."""
        marks = self._marks_that_count()
        whited = {path for what, path in marks if what is Mark.WHITEOUT}
        for what, path in marks:
            self._imply(path if what is Mark.OPAQUE else parent(path))
        replaced = {path for path in whited if path in self._kinds or path in self._implied}
        directories = {b"", *self._implied, *(path for path, kind in self._kinds.items() if kind is Kind.DIRECTORY)}
        opaque = (self._opaque | replaced | {path for what, path in marks if what is Mark.OPAQUE}) & directories
        inside = _inside(opaque, directories) if opaque else set()
        fresh = self._implied & (replaced | inside)
        has_top = b"" in self._early
        whiteouts = whited - replaced
        return Shape(
            has_top=has_top,
            early=self._early,
            implied=frozenset(self._implied),
            inherited=frozenset(self._implied - fresh) | (frozenset() if has_top else {b""}),
            whiteouts=frozenset(whiteouts),
            opaque=_names_in(opaque | inside, [*self._kinds, *self._implied, *whiteouts]) if opaque else {},
        )

    def _marks_that_count(self) -> list[tuple[Mark, bytes]]:
        """Return the marks without those inside of what the layer makes a file, or removes altogether (spec W11)."""
        gone = {path for what, path in self._marks if what is Mark.WHITEOUT and path not in self._kinds and path not in self._implied}
        known: dict[bytes, bool] = {b"": True}

        def counts(directory: bytes) -> bool:
            passed = []
            while directory not in known:
                passed.append(directory)
                if directory in gone or self._kinds.get(directory, Kind.DIRECTORY) is not Kind.DIRECTORY:
                    known[directory] = False
                    break
                directory = parent(directory)
            known.update(dict.fromkeys(passed, known[directory]))
            return known[directory]

        return [(what, path) for what, path in self._marks if counts(path if what is Mark.OPAQUE else parent(path))]

    def _imply(self, directory: bytes) -> None:
        # Members mostly come directory by directory; what is a directory stays one.
        if directory == self._known:
            return
        self._known = directory
        while directory and directory not in self._implied:
            kind = self._kinds.get(directory)
            if kind is Kind.DIRECTORY:
                return
            if kind is not None:
                raise ContentError(
                    f"{self._at}: member {shown(directory)}: expected a directory, since other members are in it, found a {kind.value}"
                )
            self._implied.add(directory)
            self._account(directory)
            directory = parent(directory)

    def _note(self, marked: tuple[Mark, bytes]) -> None:
        if marked[0] is not Mark.IGNORED:
            self._marks.append(marked)
            self._account(marked[1])

    def _account(self, path: bytes) -> None:
        """Bound the memory that the names of one layer can take."""
        self._bytes += len(path)
        if self._bytes > _MOST_BYTES:
            raise ContentError(f"{self._at}: expected names of up to {_MOST_BYTES} bytes in all, found more")

    def _refused(self, entry: Entry, why: str) -> ContentError:
        return ContentError(f"{self._at}: member {shown(entry.name)}: {why}")


def _inside(opaque: set[bytes], directories: set[bytes]) -> set[bytes]:
    """Return the directories that are somewhere in an opaque one."""
    inside: set[bytes] = set()
    for path in sorted(directories - {b""}):
        above = parent(path)
        if above in opaque or above in inside:
            inside.add(path)
    return inside


def _names_in(directories: Iterable[bytes], paths: Iterable[bytes]) -> dict[bytes, frozenset[bytes]]:
    names: dict[bytes, set[bytes]] = {directory: set() for directory in directories}
    for path in paths:
        directory, _, name = path.rpartition(b"/")
        if directory in names:
            names[directory].add(name)
    return {directory: frozenset(found) for directory, found in names.items()}
