"""Tars of every dialect, made block by block, and short ways to read them; what tests/images.py has is not here."""

from __future__ import annotations

import io
import subprocess
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from cstore.layer.blob import BlobReader
from cstore.layer.scan import scan
from cstore.layer.tar import TarReader
from cstore.model.digest import Digest
from cstore.model.manifest import Descriptor
from tests.images import BLOCK, END, compressed, header, padded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cstore.layer.entry import Entry
    from cstore.layer.scan import Scan

GNU = b"ustar  \0"
V7 = bytes(8)
HOLES = ((4096, 3), (10000, 700))
"""The pieces of the sparse members below."""
HOLED_SIZE = 20000
PIECES = b"abc" + b"0123456" * 100
HOLED = bytes(4096) + b"abc" + bytes(10000 - 4099) + b"0123456" * 100 + bytes(HOLED_SIZE - 10700)
"""What a sparse member below unpacks to."""


class Bytes:
    """A stream of bytes, as `TarReader` wants it."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._data.read(size)

    def skip(self, size: int, /) -> int:
        return len(self._data.read(min(size, 1 << 40)))


@frozen
class Blob:
    """A layer's blob with what a manifest and a config say of it."""

    data: bytes
    descriptor: Descriptor
    diff_id: Digest

    def reader(self, *, reads_ahead: bool = False) -> BlobReader:
        return BlobReader(io.BytesIO(self.data), self.descriptor, self.diff_id, reads_ahead=reads_ahead)

    def unpacked(self, step: int, *, reads_ahead: bool = False) -> bytes:
        """Return what the blob unpacks to, read to its end so many bytes at a time and with everything verified."""
        reader = self.reader(reads_ahead=reads_ahead)
        try:
            data = b""
            while chunk := reader.read(step):
                data += chunk
            assert reader.finish() == len(data)
            return data
        finally:
            reader.close()

    def scan(self) -> Scan:
        reader = self.reader()
        try:
            return scan(reader, "layer")
        finally:
            reader.close()

    def declaring(self, size: int) -> Blob:
        """Return the same blob with another declared size."""
        return evolve(self, descriptor=evolve(self.descriptor, size=size))


def blob_of(tar: bytes, compression: str = "none") -> Blob:
    """Return the blob of a tar, all digests right."""
    data = compressed(tar, compression)
    return promised(data, tar)


def promised(data: bytes, tar: bytes) -> Blob:
    """Return a blob of these bytes, whose unpacked bytes are promised to be that tar."""
    return Blob(data, Descriptor(media_type="", digest=Digest.of(data), size=len(data)), Digest.of(tar))


def members(tar: bytes) -> list[Entry]:
    """Return all entries of a tar, without their content."""
    return list(TarReader(Bytes(tar), "layer"))


def contents(tar: bytes) -> dict[bytes, bytes]:
    """Return what the tar holds of each entry's content."""
    reader = TarReader(Bytes(tar), "layer")
    return {entry.path: b"".join(reader.content()) for entry in reader}


def sealed(block: bytes) -> bytes:
    """Give a header block a checksum that is right."""
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def patched(block: bytes, offset: int, data: bytes) -> bytes:
    """Return a header block with other bytes in it, and the right checksum."""
    return sealed(block[:offset] + data + block[offset + len(data) :])


def base256(value: int, width: int) -> bytes:
    """Write a number as GNU does where octal digits do not suffice."""
    return (value % (1 << (8 * width - 1)) | 1 << (8 * width - 1)).to_bytes(width, "big")


def special(kind: bytes, content: bytes) -> bytes:
    """Return a member that only describes the next one."""
    return header(b"././@LongLink", len(content), kind=kind, magic=GNU if kind in b"LK" else b"ustar\x0000") + padded(content)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    """Return GNU's member for a long name, or with `K` for a long link target."""
    return special(kind, name + b"\0")


def records(values: dict[bytes, bytes] | Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the content of an extended header."""
    made = b""
    for key, value in values.items() if isinstance(values, dict) else values:
        rest = b" " + key + b"=" + value + b"\n"
        length = len(rest)
        while len(b"%d" % length) + len(rest) != length:
            length = len(b"%d" % length) + len(rest)
        made += b"%d" % length + rest
    return made


def pax(values: dict[bytes, bytes] | Sequence[tuple[bytes, bytes]], kind: bytes = b"x") -> bytes:
    """Return an extended header as a member."""
    return special(kind, records(values))


def old_sparse(
    name: bytes, pieces: Sequence[tuple[bytes, bytes]], size: bytes, stored: bytes, more: Sequence[Sequence[tuple[bytes, bytes]]] = ()
) -> bytes:
    """Return an old GNU sparse member; numbers are the twelve bytes of their fields.

    Args:
        name: its name.
        pieces: offset and length of up to four pieces.
        size: of the whole file.
        stored: what the tar holds of its content.
        more: up to 21 pieces for each of the blocks after the header.
    """
    table = b"".join(offset + length for offset, length in pieces).ljust(96, b"\0")
    block = header(name, len(stored), kind=b"S", magic=GNU)
    block = patched(block, 386, table + (b"\1" if more else b"\0") + size)
    for number, chunk in enumerate(more):
        table = b"".join(offset + length for offset, length in chunk).ljust(504, b"\0")
        block += table + (b"\1" if number + 1 < len(more) else b"\0") + bytes(7)
    return block + padded(stored)


def octal(value: int) -> bytes:
    """Return a number as the eleven octal digits of a header's field."""
    return b"%011o\0" % value


def sparse(name: bytes, dialect: str) -> bytes:
    """Return the same sparse file in one of four dialects: `gnu`, `0.0`, `0.1` or `1.0`."""
    numbers = [number for piece in HOLES for number in piece]
    if dialect == "gnu":
        pieces = [(octal(offset), octal(length)) for offset, length in HOLES]
        return old_sparse(name, pieces, octal(HOLED_SIZE), PIECES)
    if dialect == "0.0":
        each = [(key, b"%d" % number) for number, key in zip(numbers, [b"GNU.sparse.offset", b"GNU.sparse.numbytes"] * 2, strict=True)]
        what = [(b"GNU.sparse.size", b"%d" % HOLED_SIZE), (b"GNU.sparse.numblocks", b"2"), *each]
        return pax(what) + header(name, len(PIECES)) + padded(PIECES)
    named = [(b"GNU.sparse.name", name)]
    if dialect == "0.1":
        what = [(b"GNU.sparse.size", b"%d" % HOLED_SIZE), (b"GNU.sparse.map", b",".join(b"%d" % number for number in numbers))]
        return pax(named + what) + header(b"GNUSparseFile.0/" + name, len(PIECES)) + padded(PIECES)
    what = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"%d" % HOLED_SIZE)]
    table = padded(b"".join(b"%d\n" % number for number in [len(HOLES), *numbers]))
    return pax(named + what) + header(b"GNUSparseFile.0/" + name, len(table + PIECES)) + padded(table + PIECES)


DIALECTS = {
    "v7": header(b"a", 1, magic=V7) + padded(b"v") + header(b"d/", magic=V7, kind=b"\0"),
    "ustar": header(b"b", 600) + padded(b"u" * 600) + header(b"d", kind=b"5"),
    "ustar with a prefix": patched(header(b"c", 2), 345, b"some/where") + padded(b"pp"),
    "gnu": header(b"g", 3, magic=GNU) + padded(b"gnu"),
    "gnu long names": long_name(b"n" * 200)
    + header(b"n", 1, magic=GNU)
    + padded(b"1")
    + long_name(b"n" * 200, b"K")
    + header(b"l", kind=b"1"),
    "gnu sparse": sparse(b"sparse", "gnu"),
    "pax": pax([(b"path", b"\xe2\x82\xac/\xff"), (b"mtime", b"1.5"), (b"size", b"4")]) + header(b"p", 9) + padded(b"four"),
    "pax sparse 0.0": sparse(b"sparse", "0.0"),
    "pax sparse 0.1": sparse(b"sparse", "0.1"),
    "pax sparse 1.0": sparse(b"sparse", "1.0"),
    "global header": pax([(b"comment", b"of all")], b"g") + header(b"f", 1) + padded(b"f"),
    "marks with content": header(b"x/.wh.y", 3) + padded(b"abc") + header(b".wh..wh.plnk/1", 4) + padded(b"link"),
    "base-256 numbers": patched(header(b"big", 5), 108, base256(3_000_000, 8)) + padded(b"five5"),
}
"""A few members in each dialect, without an end."""

ENDS = {
    "an end": END,
    "one block of zeros": bytes(BLOCK),
    "no end": b"",
    "records of twenty blocks": bytes(20 * BLOCK),
    "garbage after the end": END + b"garbage \xff" * 7000,
}


def gnu_tar(directory: Path, *options: str) -> bytes:
    """Return the tar that GNU tar makes of a directory."""
    return subprocess.run(["tar", "-C", directory, "-c", *options, "."], check=True, capture_output=True).stdout
