"""A part of a file, read as a file of its own."""

from __future__ import annotations

import io
import os
from typing import IO, cast

__all__ = ["part_of"]


def part_of(file: IO[bytes], start: int, size: int) -> IO[bytes]:
    """Return a part of a file as a file of its own, with its own position.

    Several parts of one file can be read at the same time, in several threads: the position of the whole is neither used nor moved.

    Args:
        file: the whole, a file of the system with nothing unwritten in its buffer; it stays open when the part is closed, and must
            outlive it.
        start: where the part begins, in bytes.
        size: how many bytes it has.
    """
    return cast("IO[bytes]", io.BufferedReader(_Part(file, start, size)))


class _Part(io.RawIOBase):
    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io.BufferedReader passes
        wanted = max(min(len(buffer), self._size - self._position), 0)
        count = os.preadv(self._file.fileno(), [memoryview(buffer)[:wanted]], self._start + self._position) if wanted else 0
        self._position += count
        return count
