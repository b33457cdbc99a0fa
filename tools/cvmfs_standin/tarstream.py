"""Reading a tar stream as libarchive does for an ingest: what ends it cleanly, and what is an error."""

from __future__ import annotations

import tarfile
import time
from typing import IO, TYPE_CHECKING

from attrs import define, evolve, field, frozen

from tools.cvmfs_standin.site import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Entry", "TarStream", "Timed"]

_BLOCK = 512
_PIECE = 1 << 20
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_KNOWN = (*_FILES, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


@frozen
class Entry:
    """One entry's header; extended attributes are dropped."""

    kind: bytes
    name: str
    link: str
    size: int
    mode: int
    uid: int
    gid: int
    mtime: int
    device: tuple[int, int]

    @property
    def is_file(self) -> bool:
        """Whether content follows."""
        return self.kind in _FILES


@define
class Timed:
    """A stream, with how long it is read and how much of that is waiting for who writes it."""

    source: IO[bytes]
    waited: float = field(default=0.0, init=False)
    """Seconds."""
    _begun: float = field(factory=time.perf_counter, init=False)

    @property
    def seconds(self) -> float:
        """Seconds since it was opened."""
        return time.perf_counter() - self._begun

    def read(self, count: int) -> bytes:
        """Read so many bytes, or fewer at the end."""
        start = time.perf_counter()
        data = self.source.read(count)
        self.waited += time.perf_counter() - start
        return data


@define
class TarStream:
    """The entries of a stream, each followed by its content, which may be left unread."""

    source: IO[bytes] | Timed
    _left: int = field(default=0, init=False)
    _padding: int = field(default=0, init=False)

    def entries(self) -> Iterator[Entry]:
        """Yield the entries.

        A stream that stops between two entries is a whole one, with or without the blocks of zeros.

        Raises:
            CommandError: it stops inside an entry, or something is no header.
        """
        extended: dict[str, str] = {}
        common: dict[str, str] = {}
        while True:
            for _ in self.content():
                pass
            self._take(self._padding)
            self._padding = 0
            block = self.source.read(_BLOCK)
            if not block or not block.strip(b"\0"):
                if block and len(block) < _BLOCK:
                    raise _broken("Truncated tar archive")
                return
            try:
                header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise _broken(f"Unrecognized archive format: {error}") from None
            if header.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                data = self._take(header.size)
                self._take(-header.size % _BLOCK)
                if header.type == tarfile.XGLTYPE:
                    common |= _records(data)
                elif header.type == tarfile.XHDTYPE:
                    extended |= _records(data)
                else:
                    extended["path" if header.type == tarfile.GNUTYPE_LONGNAME else "linkpath"] = _text(data.rstrip(b"\0"))
                continue
            if header.type not in _KNOWN or any(name.startswith("GNU.sparse") for name in extended):
                raise _broken(f"{header.name}: the stand-in does not know entries of type {header.type!r}")
            entry = _extend(header, common | extended)
            extended = {}
            self._left = entry.size if entry.is_file else 0
            self._padding = -self._left % _BLOCK
            yield entry

    def content(self) -> Iterator[bytes]:
        """Yield what is left of the present entry's content."""
        while self._left:
            piece = self.source.read(min(self._left, _PIECE))
            if not piece:
                raise _broken("Truncated tar archive")
            self._left -= len(piece)
            yield piece

    def _take(self, count: int) -> bytes:
        data = self.source.read(count)
        if len(data) != count:
            raise _broken("Truncated tar archive")
        return data


def _broken(why: str) -> CommandError:
    return CommandError(f"Fatal error in reading the archive.\n{why}")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _records(data: bytes) -> dict[str, str]:
    found = {}
    while data:
        length, separator, _ = data.partition(b" ")
        if not separator or not length.isdigit() or not 0 < int(length) <= len(data):
            raise _broken("Ignoring malformed pax extended attribute")
        name, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        found[_text(name)] = _text(value)
        data = data[int(length) :]
    return found


def _extend(header: tarfile.TarInfo, records: dict[str, str]) -> Entry:
    name = records.get("path", header.name)
    kind = header.type
    entry = Entry(
        tarfile.DIRTYPE if kind == tarfile.AREGTYPE and name.endswith("/") else kind,
        name,
        records.get("linkpath", header.linkname),
        int(records.get("size", header.size)),
        header.mode & 0o7777,
        int(records.get("uid", header.uid)),
        int(records.get("gid", header.gid)),
        int(float(records.get("mtime", header.mtime)) // 1),
        (header.devmajor, header.devminor),
    )
    return entry if entry.is_file else evolve(entry, size=0)
