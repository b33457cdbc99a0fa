"""A tar read member by member, with every byte that is not content handed on as it stands.

The dialects are those that Go's archive/tar reads, since podman reads layers with it: V7, ustar, PAX, GNU (spec A1 to A9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cstore.errors import ContentError
from cstore.layer import sparse
from cstore.layer.entry import Entry, Kind, Member, Place, shown
from cstore.layer.header import BLOCK, LAST_ID, Header, number, owner_of, seconds, text
from cstore.layer.names import clean
from cstore.layer.pax import MAX_SPECIAL, Pax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Stream", "TarReader"]

_CHUNK = 1 << 18
"""Bytes of content at a time: what stays in the processor's cache until it is hashed and handed on (decision 12)."""
_ZEROS = bytes(BLOCK)
_NO_PAX = Pax()
_LAST_MTIME = 2**63 - 1
_LAST_SIZE = 2**63 - 1
_LAST_MAJOR = 2**12 - 1
_LAST_MINOR = 2**20 - 1
_PERMISSIONS = 0o7777
_LONGEST_TARGET = 4095
_FILE = Kind.FILE
"""Looked up once: a layer may have a million of them."""
_DEVICES = (Kind.CHARACTER, Kind.BLOCK)
_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}


class Stream(Protocol):
    """Where a tar's bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return this many bytes, fewer only at the end."""
        ...

    def skip(self, size: int, /) -> int:
        """Pass over content, and return how many bytes there were."""
        ...


class TarReader:
    """The members of one tar, in order. Iterate over it; while an entry is at hand, `content` gives its bytes.

    Args:
        stream: the bytes of the tar.
        at: what errors call it.
        keep: is called with all bytes in order, except those of content; content that is not asked for is skipped.

    Raises:
        ContentError: (while iterating) the tar is damaged, cut short, or names something outside of its tree.
    """

    def __init__(self, stream: Stream, at: str, keep: Callable[[bytes], object] = lambda _data: None) -> None:
        self._stream = stream
        self._at = at
        self._keep = keep
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        pax, long_name, long_target = _NO_PAX, b"", b""
        while (block := self._block()) is not None:
            header = Header.parse(block, self._at)
            kind = header.kind
            if kind in b"xgLK":
                data = self._special(header)
                if kind == b"x":
                    pax = Pax.parse(data, self._at)
                elif kind == b"L":
                    long_name = text(data)
                elif kind == b"K":
                    long_target = text(data)
                continue
            yield self._entry(header, block, pax, (long_name, long_target))
            if self._left:
                self._pass_over()
            pax, long_name, long_target = _NO_PAX, b"", b""

    def content(self) -> Iterator[bytes]:
        """Yield the bytes that the tar holds for the entry at hand: its content, of a sparse file without the holes.

        Nothing is read before the first of them is asked for: a tar-split has none.
        """
        while self._left:
            size = min(self._left, _CHUNK)
            data = self._stream.read(size)
            if len(data) < size:
                raise self._cut()
            self._left -= size
            yield data

    def _block(self) -> bytes | None:
        """Return the next header block, None at the end; what fills up the blocks of the entry before is read with it."""
        padding = self._padding
        data = self._stream.read(padding + BLOCK)
        if len(data) != padding + BLOCK and len(data) != padding:
            raise self._cut()
        self._padding = 0
        if data:
            self._keep(data)
        if len(data) == padding:
            return None
        block = data[padding:] if padding else data
        if block == _ZEROS:
            second = self._stream.read(BLOCK)
            self._keep(second)
            if second not in (_ZEROS, b""):
                raise ContentError(f"{self._at}: expected a second block of zeros at the end of the tar, found something else")
            return None
        return block

    def _special(self, header: Header) -> bytes:
        """Return the content of a member that only describes the next one."""
        size = number(header.size, "a size", self._at)
        if size > MAX_SPECIAL:
            raise ContentError(f"{self._at}: expected a header of up to {MAX_SPECIAL} bytes, found one of {size}")
        padded = size + -size % BLOCK
        data = self._stream.read(padded)
        if len(data) < padded:
            raise self._cut()
        self._keep(data)
        return data[:size]

    def _entry(self, header: Header, block: bytes, pax: Pax, long: tuple[bytes, bytes]) -> Entry:
        """Return the entry that a header begins, with what the members before it said: PAX, long name, long target."""
        name = long[0] or pax.name or header.name
        at = Member(self._at, name)
        kind = _KINDS.get(header.kind)
        if kind is None:
            raise ContentError(f"{at}: expected a file, directory, link or device, found a member of type {shown(header.kind)}")
        if header.kind == b"\0" and name.endswith(b"/"):
            kind = Kind.DIRECTORY
        size, pieces, target, device = 0, None, b"", (0, 0)
        self._padding = 0
        if kind is _FILE:
            size = _within(number(header.size, "a size", at) if pax.size is None else pax.size, _LAST_SIZE, "a size", at)
            self._left, self._padding = size, -size % BLOCK
            if header.kind == b"S" or pax.is_sparse:
                size, pieces = self._sparse(block, pax, size, at)
        elif kind is Kind.SYMLINK:
            target = _checked_target(long[1] or pax.target or text(header.target), at)
        elif kind is Kind.HARDLINK:
            target = clean(long[1] or pax.target or text(header.target), f"{at}: target")
        elif kind in _DEVICES:
            device = _device(header, at)
        path = clean(name, self._at)
        mode, uid, gid = _owners(header, pax, at)
        return Entry(
            path,
            kind,
            mode & _PERMISSIONS,
            uid,
            gid,
            _bounded(seconds(header.mtime, at) * 10**9 if pax.mtime is None else pax.mtime),
            size,
            target,
            device,
            pax.xattrs,
            pieces,
            name,
        )

    def _sparse(self, block: bytes, pax: Pax, packed: int, at: Place) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Read where the pieces of a sparse file lie; what describes them is kept, not content."""

        def more(size: int) -> bytes:
            data = self._stream.read(size)
            if len(data) < size:
                raise self._cut()
            self._keep(data)
            return data

        def from_content() -> bytes:
            if self._left < BLOCK:
                raise ContentError(f"{at}: expected the map of a sparse file, found the member's end")
            self._left -= BLOCK
            return more(BLOCK)

        if pax.is_sparse:
            pieces = pax.pieces if pax.pieces is not None else sparse.from_data(from_content, at)
            size = pax.real_size if pax.real_size is not None else packed
        else:
            pieces, size = sparse.from_header(block, lambda: more(BLOCK), at)
        return size, sparse.checked(pieces, _within(size, _LAST_SIZE, "a size", at), self._left, at)

    def _pass_over(self) -> None:
        """Pass over what was not read of the entry's content."""
        if self._stream.skip(self._left) < self._left:
            raise self._cut()
        self._left = 0

    def _cut(self) -> ContentError:
        return ContentError(f"{self._at}: expected the rest of a tar member, found the end of the tar")


def _owners(header: Header, pax: Pax, at: Place) -> tuple[int, int, int]:
    """Return mode, user ID and group ID."""
    if pax is _NO_PAX and (usual := owner_of(header.owner)):
        return usual
    return number(header.mode, "a mode", at), _owner(header.uid, pax.uid, at), _owner(header.gid, pax.gid, at)


def _owner(field: bytes, pax: int | None, at: Place) -> int:
    return _within(number(field, "an owner", at) if pax is None else pax, LAST_ID, "an owner", at)


def _device(header: Header, at: Place) -> tuple[int, int]:
    what = "a device number"
    major, minor = number(header.major, what, at), number(header.minor, what, at)
    return _within(major, _LAST_MAJOR, what, at), _within(minor, _LAST_MINOR, what, at)


def _within(value: int, last: int, what: Place, at: Place) -> int:
    """Return a number that the file system can hold."""
    if value > last:
        raise ContentError(f"{at}: expected {what} from 0 to {last}, found {value}")
    return value


def _checked_target(target: bytes, at: Place) -> bytes:
    if not target or len(target) > _LONGEST_TARGET:
        raise ContentError(f"{at}: expected a symlink's text of 1 to {_LONGEST_TARGET} bytes, found {len(target)}")
    return target


def _bounded(mtime: int) -> int:
    """Return the time as podman sets it on files and directories: outside of what Unix time holds it is 1970 (spec A8)."""
    return mtime if 0 <= mtime <= _LAST_MTIME else 0
