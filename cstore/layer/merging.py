"""The trees of an image's layers merged into one, as overlay shows them (spec E1 to E6).

The layers are read twice, the top one first. The first reading takes their headers alone, and finds what is hidden; the second one
streams what is not. Names are kept between the two, contents never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from cstore.errors import ContentError
from cstore.layer.entry import Entry, Kind, plain
from cstore.layer.links import Fate, Links
from cstore.layer.names import is_reserved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from cstore.layer.shape import Shape

    Stream = Iterator[tuple[Entry, Iterator[bytes]]]

__all__ = ["Counts", "Merged", "Part", "Source", "merge"]

_MOST_BYTES = 256 << 20
_DIRECTORY = Kind.DIRECTORY
_HARDLINK = Kind.HARDLINK
_SPECIAL = (Kind.CHARACTER, Kind.BLOCK, Kind.FIFO)
_TOP = Entry(b"", _DIRECTORY, 0o555, 0, 0, 0)
_NONE: Iterator[bytes] = iter(())


@frozen(kw_only=True)
class Part:
    """One of the trees that are merged. Both readings give the same entries, each directory before what is in it."""

    id: str
    """What it is called: of a layer, its ID."""
    opaque: Collection[bytes] = field(default=(), repr=False)
    """Directories that show nothing of what is below; those whose attributes say so need not be among them."""
    inherited: Collection[bytes] = field(default=(), repr=False)
    """Directories that take their attributes from what is below."""
    headers: Callable[[], Iterator[Entry]] = field(repr=False, eq=False)
    """Reads the entries alone."""
    walk: Callable[[], Stream] = field(repr=False, eq=False)
    """Reads the entries with their contents."""

    @classmethod
    def of(cls, id: str, shape: Shape, headers: Callable[[], Iterator[Entry]], walk: Callable[[], Stream]) -> Part:  # noqa: A002 - as the field is called
        """Return the part that is a layer with this shape."""
        return cls(id=id, opaque=shape.opaque.keys(), inherited=shape.inherited, headers=headers, walk=walk)


@frozen(kw_only=True)
class Counts:
    """What the first reading counted of the merged tree."""

    entries: int = 0
    size: int = 0
    """Bytes of content, holes not counted."""
    holes: int = 0
    """Bytes of holes in sparse files."""
    special: int = 0
    """Devices and fifos."""
    reserved: tuple[str, ...] = ()
    """Names that CernVM-FS would take for its own (spec C9)."""
    variables: tuple[str, ...] = ()
    """Symlinks whose text a CernVM-FS client would expand (spec C10)."""


@frozen
class Source:
    """Where an entry of the merged tree comes from."""

    part: str
    """The ID of the part."""
    path: bytes
    """Its path there: of a file that is in the tree by the name of a hard link, the name that it had."""
    is_same: bool
    """Whether it has the mode, owner and time there that it has in the merged tree."""


@frozen
class Merged:
    """The merged tree, to be walked as often as wanted; each walk reads the parts anew."""

    counts: Counts
    directories: Mapping[bytes, Entry] = field(repr=False)
    """All directories, by their paths."""
    _parts: Sequence[tuple[Part, Fate]] = field(repr=False)
    _dress: Callable[[Entry], Entry | None] = field(repr=False, eq=False)
    whiteouts: int = 0
    """None: what they hide is not in the tree."""

    def walk(self) -> Stream:
        """Yield each entry with the bytes of its content, which must be read before the next entry.

        All directories come first, in the order of their names, then the rest, part by part from the top one down; a hard link
        comes after its target. No name comes twice.

        Raises:
            ContentError: a blob is no longer what the first reading found.
        """
        for entry, content, _ in self._stream(lambda part: part.walk()):
            yield entry, content

    def traced(self, *, reads: bool = True) -> Iterator[tuple[Entry, Iterator[bytes], Source | None]]:
        """Yield the same entries in the same order, files and symlinks with where they come from.

        A publisher can name what is there already instead of streaming it.

        Args:
            reads: whether contents are read; without them, no blob is opened.
        """
        read = (lambda part: part.walk()) if reads else (lambda part: ((header, _NONE) for header in part.headers()))
        for entry, content, (part, found) in self._stream(read):
            if entry.kind is _DIRECTORY or entry.kind is _HARDLINK:
                yield entry, content, None
            else:
                is_same = (found.mode, found.uid, found.gid, found.mtime) == (entry.mode, entry.uid, entry.gid, entry.mtime)
                yield entry, content, Source(part, found.path, is_same)

    def _stream(self, read: Callable[[Part], Stream]) -> Iterator[tuple[Entry, Iterator[bytes], tuple[str, Entry]]]:
        for _, directory in sorted(self.directories.items()):
            yield directory, _NONE, ("", directory)
        for part, fate in self._parts:
            for entry, content in read(part):
                path, kind = entry.path, entry.kind
                if kind is _DIRECTORY or (path in fate.hidden and path not in fate.moved) or entry.is_whiteout:
                    continue
                if kind is _HARDLINK:
                    target = fate.targets.get(path, entry.target)
                    yield Entry(path, kind, entry.mode, entry.uid, entry.gid, entry.mtime, target=target), content, (part.id, entry)
                elif (seen := self._dress(entry)) is not None:
                    moved = fate.moved.get(path)
                    yield seen if moved is None else evolve(seen, path=moved), content, (part.id, entry)


def merge(
    parts: Sequence[Part],
    *,
    at: str,
    dress: Callable[[Entry], Entry | None] = lambda entry: entry,
    wanted: Sequence[Entry] = (),
) -> Merged:
    """Read the headers of parts, and return the tree that they make.

    Args:
        parts: the trees, base first.
        at: what errors call the image.
        dress: gives each entry but hard links the looks that it is to have; None leaves it out, with all hard links to it.
        wanted: directories that are made where nothing of their name is and a directory above them, outer ones first.

    Raises:
        ContentError: the names take more memory than they may.
        FormatError: a tar-split is damaged.
    """
    view = _View(at, dress, wanted)
    fates = [view.descend(part, is_last=number == len(parts)) for number, part in enumerate(reversed(parts), 1)]
    return Merged(view.finish(), view.directories, [*zip(reversed(parts), fates, strict=True)], dress)


class _View:
    """The view from above into the parts: what one of them shows is hidden in all below it."""

    def __init__(self, at: str, dress: Callable[[Entry], Entry | None], wanted: Sequence[Entry]) -> None:
        self.directories: dict[bytes, Entry] = {}
        self._at = at
        self._dress = dress
        self._wanted = {entry.path: entry for entry in wanted}
        self._open: set[bytes] = set()
        """Directories that are to take their attributes from a part further down."""
        self._closed: set[bytes] = set()
        """Names that are no directories, or deleted."""
        self._emptied: set[bytes] = set()
        """Directories in which nothing of what is further down is seen."""
        self._bytes = 0
        self._entries = self._size = self._holes = self._special = 0
        self._reserved: list[str] = []
        self._variables: list[str] = []

    def descend(self, part: Part, *, is_last: bool) -> Fate:
        """Read the headers of the next part down."""
        emptied, gone = set(part.opaque), set[bytes]()
        links = Links(self._dress)
        above, is_gone = b"", b"" in self._emptied
        for entry in part.headers():
            path, kind = entry.path, entry.kind
            directory = path.rpartition(b"/")[0]
            if directory != above:
                above, is_gone = directory, directory in gone or directory in self._emptied
            is_hidden = (is_gone and path != b"") or path in self._closed
            if kind is _DIRECTORY:
                if is_hidden:
                    gone.add(path)
                    continue
                self._see_directory(entry, is_inherited=path in part.inherited)
                if entry.xattrs and entry.is_opaque:
                    emptied.add(path)
                continue
            if not is_hidden and path in self.directories:
                # A directory further up, which shows nothing of what is below this entry.
                self._open.discard(path)
                emptied.add(path)
                is_hidden = True
            if not is_hidden and not is_last:
                self._closed.add(path)
                self._account(path)
            if kind is not Kind.CHARACTER or not entry.is_whiteout:
                self._see(links.take(entry, is_hidden=is_hidden), path)
        self._emptied |= emptied
        return links.fate

    def finish(self) -> Counts:
        """Return what was counted, after directories that nothing hid have got their place."""
        self.directories.setdefault(b"", _TOP)
        for path, entry in self._wanted.items():
            if path not in self.directories and path.rpartition(b"/")[0] in self.directories:
                self.directories[path] = entry
        for path, entry in self.directories.items():
            self.directories[path] = seen = self._dress(entry) or entry
            self._count(seen)
        return Counts(
            entries=self._entries,
            size=self._size,
            holes=self._holes,
            special=self._special,
            reserved=tuple(sorted(self._reserved)),
            variables=tuple(sorted(self._variables)),
        )

    def _see_directory(self, entry: Entry, *, is_inherited: bool) -> None:
        path = entry.path
        if path not in self.directories:
            self.directories[path] = entry
            self._account(path)
            if is_inherited:
                self._open.add(path)
        elif not is_inherited and path in self._open:
            self.directories[path] = entry
            self._open.discard(path)

    def _see(self, seen: Entry | None, path: bytes) -> None:
        if seen is None:
            self._account(path)
            return
        self._count(seen)
        if self._wanted:
            self._wanted.pop(seen.path, None)

    def _count(self, entry: Entry) -> None:
        self._entries += 1
        if entry.size:
            stored = entry.stored
            self._size += stored
            self._holes += entry.size - stored
        elif entry.kind is Kind.SYMLINK and b"$(" in entry.target:
            self._variables.append(plain(entry.path))
        elif entry.kind in _SPECIAL:
            self._special += 1
        if is_reserved(entry.path):
            self._reserved.append(plain(entry.path))

    def _account(self, path: bytes) -> None:
        """Bound the memory that the names of one image can take."""
        self._bytes += len(path)
        if self._bytes > _MOST_BYTES:
            raise ContentError(f"{self._at}: expected names of up to {_MOST_BYTES} bytes in all layers, found more")
