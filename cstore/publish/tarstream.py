"""A delta as one tar stream, in the form that `cvmfs_server ingest` takes (spec C1 to C8).

Every directory has an entry of its own before what is in it, no name comes twice, hard links follow their targets, and no layer
is ever on the disk or in memory as a whole.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from cstore.delta import PutDirectory, PutFile, PutSymlink, PutTree, ReplaceIndex, Step
from cstore.layer.entry import Entry, Kind
from cstore.layer.header import BLOCK, sum_of
from cstore.layer.names import is_reserved
from cstore.layer.sparse import placed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["POISON", "TarStream"]

POISON = b"\xff" * 8 * BLOCK
"""Bytes that are no tar header: what ends with them is refused as a whole (spec C7)."""

_END = bytes(2 * BLOCK)
_BEFORE_SUM = struct.Struct("100s24s12s12s")
_AFTER_SUM = struct.Struct("c100s8s64x16s155s12x")
_MAGIC = b"ustar\x0000"
_SPACES = 8 * ord(" ")
_ZEROS = bytes(1 << 16)
_BUFFER = 1 << 20
_CHUNK = 1 << 16
_PAGE = 4096
_ODD = 7
_SHORT_NAME = 100
_SHORT_PREFIX = 155
_OWNER = (0, 0)
_FILE = Kind.FILE
"""Looked up once: a layer may have a million of them."""
_KINDS = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
}


class TarStream:
    """Writes steps as members of a tar.

    Args:
        write: takes the bytes; they come in pieces of about 1 MB, which it must write with one call where it writes into a pipe.
        base: the store's path below the base of the ingest; empty where that is the store itself.
        leaves_out: whether names in layers that CernVM-FS would take for its own are left out (spec C9).
    """

    def __init__(self, write: Callable[[bytes], object], base: str, *, leaves_out: bool = False) -> None:
        self._write = write
        self._leaves_out = leaves_out
        self._base = base.encode()
        self._made: set[bytes] = {b""}
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._has_begun = False
        self.size = 0
        """Bytes so far."""
        self.entries = 0
        """Members so far."""

    def put(self, step: Step, advance: Callable[[int], object] = lambda _size: None) -> None:
        """Write a step; one that removes something has no members.

        Raises:
            ContentError: a layer's blob changed after it was verified.
            OSError: nobody reads the stream any more.
        """
        if isinstance(step, PutTree):
            self._tree(step, advance)
        elif isinstance(step, PutDirectory):
            self._directory(step.path)
        elif isinstance(step, PutFile):
            file = step.open()
            self._file(step.path, step.size, iter(lambda: file.read(_CHUNK), b""))
        elif isinstance(step, PutSymlink):
            self._member(self._placed(step.path), Entry(b"", Kind.SYMLINK, 0o777, *_OWNER, 0, target=step.target.encode()))
        elif isinstance(step, ReplaceIndex):
            self._file(step.path, len(step.data), iter([step.data]))
            self._file(step.lock_path, len(step.lock), iter([step.lock]))

    def directory(self, path: str) -> None:
        """Write a directory of the store, empty for the store itself; one that is there stays as it is (spec C3)."""
        self._directory(path)

    def finish(self) -> None:
        """Write the end of the tar: only now it is one that may be published.

        The rest of the last block goes with it in one write: one that fails leaves nothing that a reader takes for the end already.
        """
        self.flush()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        self.size += len(_END)
        begun = len(data) - (BLOCK - _ODD)
        if begun:
            self._write(data[:begun])
        self._write(data[begun:] + _END)

    def poison(self) -> None:
        """Write what makes the whole stream invalid; where nothing is written yet there is none."""
        self._pieces.clear()
        if self._has_begun:
            self._write(POISON)

    def _tree(self, step: PutTree, advance: Callable[[int], object]) -> None:
        if step.inside:
            self._directory(step.path)
            self._beside(step)
        if step.leads_to:
            self.put(PutSymlink(path=step.top, target=step.leads_to))
            return
        top = self._placed(step.top)
        self._made.add(top)
        for entry, content in step.tree.walk():
            if self._leaves_out and is_reserved(entry.path):
                continue
            place = top + b"/" + entry.path if entry.path else top
            if entry.kind is _FILE:
                self._member(place, entry)
                self._content(entry.size, content if entry.pieces is None else _filled(entry, content))
                advance(entry.stored)
            elif entry.kind is Kind.HARDLINK:
                self._member(place, entry, self._target(top, entry.target))
            else:
                self._member(place, entry)
                if not (entry.path or step.inside):
                    self._beside(step)

    def _beside(self, step: PutTree) -> None:
        for name, data in step.files.items():
            self._file(f"{step.path}/{name}", len(data), iter([data]))
        for name in step.directories:
            self._directory(f"{step.path}/{name}")

    def _target(self, top: bytes, target: bytes) -> bytes:
        """Return the name of a hard link's target: in the tree, or where it begins with a slash elsewhere below the path (spec H10)."""
        return b"/".join(filter(None, (self._base, target[1:]))) if target.startswith(b"/") else top + b"/" + target

    def _file(self, path: str, size: int, content: Iterable[bytes]) -> None:
        self._member(self._placed(path), Entry(b"", Kind.FILE, 0o644, *_OWNER, 0, size=size))
        self._content(size, content)

    def _directory(self, path: str) -> None:
        place = self._placed(path)
        if place not in self._made:
            self._made.add(place)
            self._member(place, Entry(b"", Kind.DIRECTORY, 0o755, *_OWNER, 0))

    def _placed(self, path: str) -> bytes:
        """Return where a path of the store is in the repository, after its directories have their entries."""
        place = b"/".join(filter(None, (self._base, path.encode())))
        missing = []
        above = place.rpartition(b"/")[0]
        while above not in self._made:
            missing.append(above)
            above = above.rpartition(b"/")[0]
        for directory in reversed(missing):
            self._made.add(directory)
            self._member(directory, Entry(b"", Kind.DIRECTORY, 0o755, *_OWNER, 0))
        return place

    def _member(self, place: bytes, entry: Entry, target: bytes | None = None) -> None:
        self.entries += 1
        self._add(header(place, entry, entry.target if target is None else target))

    def _content(self, size: int, content: Iterable[bytes]) -> None:
        for chunk in content:
            self._add(chunk)
        if size % BLOCK:
            self._add(_ZEROS[: -size % BLOCK])

    def _add(self, data: bytes) -> None:
        self._pieces.append(data)
        self._buffered += len(data)
        self.size += len(data)
        if self._buffered >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        """Write as much as leaves the reader inside a block: a few bytes first, whole pages from then on.

        If this process dies between two writes or in one of them, what the pipe holds ends inside a block, and is refused (spec C8).
        Only the very last write, too small for a pipe to part it, brings the reader to the end.
        """
        data = b"".join(self._pieces)
        start = 0
        if not self._has_begun:
            self._has_begun = True
            start = _ODD
            self._write(data[:start])
        end = start + (len(data) - start) // _PAGE * _PAGE
        self._pieces = [data[end:]]
        self._buffered = len(data) - end
        if end > start:
            self._write(data[start:end])


def header(place: bytes, entry: Entry, target: bytes) -> bytes:
    """Return the header of a member: one block, and before it a longer name or target where the block has no room for it.

    Args:
        place: the member's name.
        entry: its kind, mode, owner, size, time (whole seconds) and device.
        target: a symlink's text, or the name of a hard link's target.
    """
    before = b""
    prefix, name = _split(place)
    if name is None:
        before, name = _long(b"L", place), place[:_SHORT_NAME]
    if len(target) > _SHORT_NAME:
        before += _long(b"K", target)
    return before + _block(name, entry, _KINDS[entry.kind], target[:_SHORT_NAME], prefix)


def _block(name: bytes, entry: Entry, kind: bytes, target: bytes = b"", prefix: bytes = b"") -> bytes:
    size = entry.size if entry.kind is _FILE else 0
    before = _BEFORE_SUM.pack(name, _owner(entry.mode, entry.uid, entry.gid), _number(size, 12), _time(entry.mtime))
    after = _AFTER_SUM.pack(kind, target, _MAGIC, _device(*entry.device), prefix)
    return b"%b%06o\0 %b" % (before, sum_of(before) + _SPACES + sum_of(after), after)


@lru_cache(maxsize=1024)
def _owner(mode: int, uid: int, gid: int) -> bytes:
    return b"%07o\0%b%b" % (mode, _number(uid, 8).ljust(8, b"\0"), _number(gid, 8))


@lru_cache(maxsize=1024)
def _time(mtime: int) -> bytes:
    return _number(mtime // 10**9, 12)


@lru_cache(maxsize=64)
def _device(major: int, minor: int) -> bytes:
    return _number(major, 8).ljust(8, b"\0") + _number(minor, 8)


def _split(place: bytes) -> tuple[bytes, bytes | None]:
    """Return a name in the two parts of a header, None for the second where it does not fit."""
    if len(place) <= _SHORT_NAME:
        return b"", place
    slash = place.rfind(b"/", 0, _SHORT_PREFIX + 1)
    if slash > 0 and len(place) - slash - 1 <= _SHORT_NAME:
        return place[:slash], place[slash + 1 :]
    return b"", None


def _long(kind: bytes, text: bytes) -> bytes:
    data = text + b"\0"
    return _block(b"././@LongLink", Entry(b"", Kind.FILE, 0, *_OWNER, 0, size=len(data)), kind) + data + bytes(-len(data) % BLOCK)


def _number(value: int, width: int) -> bytes:
    """Return a number in octal digits, or in base 256 where they have no room."""
    if value < 8 ** (width - 1):
        return b"%0*o" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")


def _filled(entry: Entry, content: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a file's content, of a sparse one with its holes as zeros: a tar of this kind has no holes."""
    position = 0
    for offset, part in placed(entry.pieces or (), content):
        yield from _zeros(offset - position)
        yield part
        position = offset + len(part)
    yield from _zeros(entry.size - position)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield _ZEROS[:count]
        count -= len(_ZEROS)
