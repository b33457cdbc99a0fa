"""tar-split: all of a layer's tar but the contents of its files, so that podman can give back the very same tar.

A gzip stream of JSON objects, a line each (spec T1 to T7): raw bytes, or the size and checksum of a file whose content stands there.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import os
import tempfile
import zlib
from typing import IO, TYPE_CHECKING

import orjson
from attrs import frozen

from cstore.errors import ContentError, FormatError
from cstore.layer.entry import shown
from cstore.layer.part import part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Piece", "SplitReader", "SplitReading", "SplitWriter", "read_pieces"]

_RAW = 2
_FILE = 1
_LONGEST_RAW = 1 << 16
_LONGEST_LINE = 1 << 26
_IN_MEMORY = 4 << 20
_LEVEL = 6
_CHUNK = 1 << 18
_MEMBER_HEADER_WITHOUT_TIME = 31


class SplitWriter:
    """Writes a tar-split; same tar, same bytes.

    Args:
        scratch: a file at whose end it is written, beside those of other layers; None makes a temporary one.
    """

    def __init__(self, scratch: IO[bytes] | None = None) -> None:
        self._is_own = scratch is None
        self._file: IO[bytes] = scratch or tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - handed on by `finish`
        self._start = self._file.seek(0, os.SEEK_END)
        self._pack = zlib.compressobj(_LEVEL, zlib.DEFLATED, _MEMBER_HEADER_WITHOUT_TIME)
        self._position = 0
        self._raw = bytearray()
        self._lines = bytearray()

    def raw(self, data: bytes) -> None:
        """Add bytes of the tar as they are."""
        self._raw += data
        while len(self._raw) >= _LONGEST_RAW:
            self._segment(bytes(self._raw[:_LONGEST_RAW]))
            del self._raw[:_LONGEST_RAW]

    def file(self, name: bytes, size: int, checksum: int) -> None:
        """Add a file's content by its name in the tar, its size in bytes (above 0) and its CRC-64."""
        self._flush()
        try:
            named = b'"name":' + orjson.dumps(name.decode())
        except UnicodeDecodeError:
            named = b'"name_raw":"' + _base64(name) + b'"'
        payload = _base64(checksum.to_bytes(8, "big"))
        self._line(b'{"type":%d,%b,"size":%d,"payload":"%b","position":%d}\n' % (_FILE, named, size, payload, self._position))

    def finish(self) -> IO[bytes]:
        """Return the file, at its beginning."""
        self._flush()
        self._write(self._lines)
        self._file.write(self._pack.flush())
        if not self._is_own:
            self._file.flush()
            return part_of(self._file, self._start, self._file.tell() - self._start)
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give up a temporary file that will not be finished."""
        if self._is_own:
            self._file.close()

    def _flush(self) -> None:
        if self._raw:
            self._segment(self._raw)
            self._raw.clear()

    def _segment(self, data: bytes | bytearray) -> None:
        self._line(b'{"type":%d,"payload":"%b","position":%d}\n' % (_RAW, _base64(data), self._position))

    def _line(self, line: bytes) -> None:
        """Add a line; many of them are packed at once, which gives the same bytes as one by one."""
        self._position += 1
        self._lines += line
        if len(self._lines) >= _CHUNK:
            self._write(self._lines)
            self._lines.clear()

    def _write(self, lines: bytes | bytearray) -> None:
        self._file.write(self._pack.compress(lines))


def _base64(data: bytes | bytearray) -> bytes:
    return binascii.b2a_base64(data, newline=False)


class SplitReader:
    """The tar that a tar-split describes, as a `Stream` whose files have no content: it can be skipped, not read.

    Args:
        file: the tar-split; the caller closes it.
        at: what errors call it.
        see: is called with each piece of it that has any bytes, in order, as it is come to.

    Raises:
        FormatError: (while reading) it is damaged.
        ContentError: (while reading) content was asked for.
    """

    def __init__(self, file: IO[bytes], at: str, see: Callable[[Piece], object] = lambda _piece: None) -> None:
        self._pieces = read_pieces(file, at)
        self._see = see
        self._at = at
        self._raw = b""
        self._offset = 0
        self._file_left = 0

    def read(self, size: int, /) -> bytes:
        """Return this many bytes of what is not content, fewer only at the end."""
        parts = []
        while size:
            if self._file_left:
                raise ContentError(f"{self._at}: expected a header, found the content of a file")
            if self._offset == len(self._raw):
                if not self._advance():
                    break
                continue
            part = self._raw[self._offset : self._offset + size]
            self._offset += len(part)
            size -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, size: int, /) -> int:
        """Pass over content, and return how many bytes there were."""
        left = size
        while left:
            if self._file_left:
                passed = min(left, self._file_left)
                self._file_left -= passed
            elif self._offset < len(self._raw):
                passed = min(left, len(self._raw) - self._offset)
                self._offset += passed
            elif self._advance():
                continue
            else:
                break
            left -= passed
        return size - left

    def drain(self) -> None:
        """Pass over all that is left."""
        self._file_left = 0
        while self._advance():
            self._file_left = 0

    def _advance(self) -> bool:
        """Go on to the next line that has any bytes; tell whether there is one."""
        for piece in self._pieces:
            if piece.name is not None and piece.size:
                self._see(piece)
                self._file_left = piece.size
                return True
            if piece.name is None and piece.payload:
                self._see(piece)
                self._raw, self._offset = piece.payload, 0
                return True
        return False


class SplitReading(SplitReader):
    """A tar-split that is read from its beginning as a layer's tar is; the one who opened it closes it."""

    def __init__(self, file: IO[bytes], at: str) -> None:
        file.seek(0)
        super().__init__(file, at)

    def finish(self) -> int:
        """Do nothing: what it describes was verified when it was made, or is compared by others."""
        return 0

    def close(self) -> None:
        """Do nothing."""


@frozen
class Piece:
    """A line of a tar-split: bytes of the tar, or a file whose content stands there."""

    name: bytes | None
    """The name of the file in the tar; None for bytes."""
    size: int
    """Bytes of the file."""
    payload: bytes
    """The bytes, or the file's CRC-64."""


def read_pieces(file: IO[bytes], at: str) -> Iterator[Piece]:
    """Yield what a tar-split consists of.

    Args:
        file: the tar-split; the caller closes it.
        at: what errors call it.

    Raises:
        FormatError: it is damaged.
    """
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
        try:
            lines = io.BufferedReader(unpacked, _CHUNK)
            while line := lines.readline(_LONGEST_LINE):
                yield _parsed(line, at)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FormatError(at, f"expected a gzip stream, found damage ({error})") from None


def _parsed(line: bytes, at: str) -> Piece:
    try:
        value = orjson.loads(line)
        kind, size = value["type"], value.get("size", 0)
        payload = base64.b64decode(value["payload"] if kind == _RAW else value.get("payload") or "", validate=True)
        name = _name(value) if kind == _FILE else None
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError, binascii.Error):
        raise FormatError(at, f"expected an entry of tar-split, found {shown(line[:60])}") from None
    if kind not in (_RAW, _FILE) or not isinstance(size, int) or size < 0:
        raise FormatError(at, f"expected an entry of tar-split, found {shown(line[:60])}")
    return Piece(name, size, payload)


def _name(value: Mapping[str, str]) -> bytes:
    return base64.b64decode(value["name_raw"], validate=True) if value.get("name_raw") else value.get("name", "").encode()
