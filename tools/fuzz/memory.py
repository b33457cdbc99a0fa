"""A layout of image files held in memory, made of what a fuzzer gives."""

from __future__ import annotations

import hashlib
import io
import re
from typing import IO

from attrs import frozen

from cstore.errors import SourceError

__all__ = ["MemoryFiles", "documents"]

_BETWEEN = b"\n---\n"
_NAMED = re.compile(rb"([@#])(\d)")


@frozen
class MemoryFiles:
    """The files of a source, by their paths."""

    content: dict[str, bytes]

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading."""
        if path not in self.content:
            raise SourceError(f"{path}: expected a file, found none")
        return io.BytesIO(self.content[path])

    def size(self, path: str) -> int:
        """Return the bytes of a file."""
        return len(self.open(path).read())

    def close(self) -> None:
        """Do nothing: no file stays open."""


def documents(data: bytes) -> MemoryFiles:
    """Return the layout that an input describes.

    It has `oci-layout`, `index.json` and blobs, parted by lines of three dashes. In each, `@N` stands for the digest of the blob N
    and `#N` for its size, of the blobs after it, so that a fuzzer needs no hash to get from one to the next.
    """
    parts = data.split(_BETWEEN)[:9]
    for place in range(len(parts) - 1, -1, -1):
        parts[place] = _NAMED.sub(lambda match, here=place: _told(match, parts, here), parts[place])  # type: ignore[misc]
    files = {f"blobs/sha256/{hashlib.sha256(part).hexdigest()}": part for part in parts[2:]}
    return MemoryFiles({**dict(zip(("oci-layout", "index.json"), parts, strict=False)), **files})


def _told(match: re.Match[bytes], parts: list[bytes], here: int) -> bytes:
    number = int(match[2]) + 1
    if not here < number < len(parts):
        return match[0]
    return b"sha256:" + hashlib.sha256(parts[number]).hexdigest().encode() if match[1] == b"@" else b"%d" % len(parts[number])
