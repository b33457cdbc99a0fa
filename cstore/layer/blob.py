"""Blobs: opened whatever their compression, counted and hashed while they are read."""

from __future__ import annotations

import io
import zlib
from typing import IO, TYPE_CHECKING, Protocol, cast

import zstandard
from isal import igzip, isal_zlib

from cstore.errors import ContentError
from cstore.layer.ahead import Ahead

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.model.digest import Digest
    from cstore.model.manifest import Descriptor

__all__ = ["DAMAGED", "BlobReader", "Tally", "open_tar", "unpacked_limit"]

_CHUNK = 1 << 18
_BUFFER = 1 << 18
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_WINDOW = 1 << 27
_FREE = 4 << 30
_RATIO = 1100


class Peekable(Protocol):
    """A buffered stream, as io.BufferedReader is one."""

    def peek(self, size: int, /) -> bytes:
        """Return some of the next bytes without passing over them."""
        ...

    def read(self, size: int = ..., /) -> bytes:
        """Return this many bytes, fewer only at the end."""
        ...


class Tally(io.RawIOBase):
    """A stream that counts and hashes what is read from it.

    Args:
        raw: the stream below; it is closed with this one.
        digest: what is expected of all its bytes together.
        limit: how many bytes there may be.
        at: what errors call it.
        progress: is called with the number of bytes of each reading.

    Raises:
        ContentError: (while reading) there are more bytes than the limit.
    """

    def __init__(self, raw: IO[bytes], digest: Digest, limit: int, at: str, progress: Callable[[int], object] = lambda _size: None) -> None:
        super().__init__()
        self._raw = raw
        self._hash = digest.hasher()
        self._expected = digest
        self._limit = limit
        self._at = at
        self._progress = progress
        self.size = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io.BufferedReader passes
        """Read from the stream below."""
        count: int = cast("io.BufferedIOBase", self._raw).readinto(buffer)
        if count:
            self.size += count
            if self.size > self._limit:
                raise ContentError(f"{self._at}: expected at most {self._limit} bytes, found more")
            self._hash.update(buffer[:count])
            self._progress(count)
        return count

    def close(self) -> None:
        """Close this stream and the one below."""
        if not self.closed:
            self._raw.close()
        super().close()

    def check(self, what: str) -> None:
        """See that the bytes read so far have the digest that was expected of them.

        Raises:
            ContentError: they have another one.
        """
        if (digest := self._hash.hexdigest()) != self._expected.hex:
            raise ContentError(f"{self._at}: expected {what} {self._expected}, found {self._expected.algorithm}:{digest}")


class BlobReader:
    """One blob, read once from its beginning to its end as the tar that it holds.

    It reads with constant memory and stops at the size that its descriptor declares. What it unpacks to is bounded too: by 1,100
    times the declared size (deflate reaches 1,032) and 4 GiB besides.

    Args:
        raw: the bytes of the blob, at their beginning; they are closed with the reader.
        descriptor: what the manifest promises of it.
        diff_id: what the config promises of the tar in it.
        progress: is called with the number of bytes of the blob that each reading took.
        reads_ahead: whether a thread unpacks ahead of what is read; that thread calls `progress` then.

    Raises:
        ContentError: (while reading) the blob is longer than declared, damaged, or unpacks to more than is allowed.
    """

    def __init__(
        self,
        raw: IO[bytes],
        descriptor: Descriptor,
        diff_id: Digest,
        progress: Callable[[int], object] = lambda _size: None,
        *,
        reads_ahead: bool = False,
    ) -> None:
        at = f"blob {descriptor.digest}"
        self._descriptor = descriptor
        self._blob = Tally(raw, descriptor.digest, descriptor.size, at, progress)
        packed = io.BufferedReader(self._blob, _CHUNK)
        try:
            self.compression, unpacked = open_tar(packed)
        except BaseException:
            packed.close()
            raise
        limit = unpacked_limit(descriptor.size)
        if reads_ahead:
            unpacked = cast("IO[bytes]", Ahead(unpacked))
        self._tar = Tally(unpacked, diff_id, limit, f"{at}, unpacked")
        self._packed = packed
        self._stream = io.BufferedReader(self._tar, _BUFFER)

    def read(self, size: int, /) -> bytes:
        """Return this many bytes of the tar, fewer only at its end."""
        try:
            return self._stream.read(size)
        except DAMAGED as error:
            raise ContentError(f"blob {self._descriptor.digest}: expected {self.compression} data, found damage ({error})") from None

    def skip(self, size: int, /) -> int:
        """Pass over bytes of the tar, and return how many there were."""
        left = size
        while left and (chunk := self.read(min(left, _BUFFER))):
            left -= len(chunk)
        return size - left

    def finish(self) -> int:
        """Read what is left, see that blob and tar are those that were promised, and return the bytes of the tar.

        Raises:
            ContentError: a digest or the size is another one.
        """
        while self.read(_BUFFER):
            pass
        if self._blob.size != self._descriptor.size:
            raise ContentError(f"blob {self._descriptor.digest}: expected {self._descriptor.size} bytes, found {self._blob.size}")
        self._blob.check("digest")
        self._tar.check("diff ID")
        return self._tar.size

    def close(self) -> None:
        """Close the blob."""
        self._stream.close()
        self._packed.close()


DAMAGED = (EOFError, zlib.error, cast("type[Exception]", isal_zlib.error), igzip.BadGzipFile, zstandard.ZstdError)
"""What the unpackers raise when their data are damaged."""


def unpacked_limit(packed: int) -> int:
    """Return how many bytes something may unpack to that has so many bytes packed."""
    return _FREE + _RATIO * packed


def open_tar(packed: Peekable) -> tuple[str, IO[bytes]]:
    """Return the compression that a stream's first bytes tell, and the stream unpacked (spec A10).

    Like podman this goes by the bytes, not by the media type that a manifest gives.
    """
    head = packed.peek(len(_ZSTD))
    if head[: len(_GZIP)] == _GZIP:
        return "gzip", cast("IO[bytes]", igzip.IGzipFile(fileobj=packed, mode="rb"))  # type: ignore[no-untyped-call]
    if head[: len(_ZSTD)] == _ZSTD or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):  # noqa: PLR2004 - skippable frames
        unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        return "zstd", cast("IO[bytes]", unpacker.stream_reader(cast("IO[bytes]", packed), read_across_frames=True, closefd=False))
    return "none", cast("IO[bytes]", packed)
