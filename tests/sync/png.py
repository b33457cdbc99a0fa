"""Pictures as a browser writes them: PNG with eight bits for each of red, green, blue, and maybe alpha."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Self

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_CHANNELS = {2: 3, 6: 4}


@frozen
class Png:
    """A picture as rows of pixels."""

    width: int
    height: int
    rows: tuple[bytes, ...]
    """Three bytes for each pixel."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a picture."""
        data = path.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        chunks = list(_chunks(data))
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
        assert (depth, colour in _CHANNELS, interlaced) == (8, True, 0)
        raw = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
        return cls(width, height, tuple(_rows(raw, width, _CHANNELS[colour])))

    @property
    def colours(self) -> set[tuple[int, int, int]]:
        """All colours in it."""
        return {(row[at], row[at + 1], row[at + 2]) for row in self.rows for at in range(0, len(row), 3)}

    def is_one_colour(self, columns: Sequence[int]) -> bool:
        """Whether some columns are all of one colour."""
        return len({row[3 * at : 3 * at + 3] for row in self.rows for at in columns}) == 1


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + size]
        at += size + 12


def _rows(raw: bytes, width: int, channels: int) -> Iterator[bytes]:
    """Yield the rows with the filters of PNG undone, without alpha."""
    size = width * channels
    above = bytearray(size)
    for start in range(0, len(raw), size + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + size])
        for at in range(size) if kind else ():
            left = row[at - channels] if at >= channels else 0
            corner = above[at - channels] if at >= channels else 0
            row[at] = (row[at] + _predicted(kind, left, above[at], corner)) & 255
        above = row
        yield bytes(row) if channels == 3 else b"".join(row[at : at + 3] for at in range(0, size, 4))


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:
        guess = left + up - corner
        return min((left, up, corner), key=lambda value: abs(guess - value))
    return {1: left, 2: up, 3: (left + up) // 2}[kind]
