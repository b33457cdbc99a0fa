from __future__ import annotations

import io
import random
import threading
import time
from typing import IO, TYPE_CHECKING, cast

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from cstore.errors import ContentError
from cstore.layer.ahead import _CHUNK, _MOST_CHUNKS, Ahead
from cstore.model.digest import Digest
from tests.images import file, tar
from tests.layer.tars import Blob, blob_of, promised

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG = random.Random(1).randbytes(3 * _CHUNK + 5)  # noqa: S311 - content
PATIENCE = 20


class Source(io.RawIOBase):
    """Bytes without an end, or with an error after some of them; it knows how many were read."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.most = most
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        if self.most is not None and self.size >= self.most:
            raise ContentError("expected more, found the end")
        self.size += size
        return bytes(size)


def ahead_of(raw: io.IOBase) -> Ahead:
    return Ahead(cast("IO[bytes]", raw))


def is_waiting(source: Source) -> bool:
    before = -1
    end = time.monotonic() + PATIENCE
    while before != source.size and time.monotonic() < end:
        before = source.size
        time.sleep(0.1)
    return before == source.size


@settings(deadline=None, derandomize=True, database=None, max_examples=50)
@given(st.integers(0, len(LONG)), st.lists(st.integers(1, 2 * _CHUNK), min_size=1, max_size=5))
def test_it_gives_what_the_stream_gives(length: int, sizes: Sequence[int]) -> None:
    with ahead_of(io.BytesIO(LONG[:length])) as stream:
        found: list[bytes] = []
        while not found or found[-1]:
            found.append(stream.read(sizes[len(found) % len(sizes)]) or b"")
        assert b"".join(found) == LONG[:length]
        assert stream.read(1) == b""


def test_an_error_comes_at_its_place_and_again() -> None:
    with ahead_of(Source(2 * _CHUNK)) as stream:
        assert [len(stream.read(_CHUNK) or b"") for _ in range(2)] == [_CHUNK] * 2
        for _ in range(2):
            with pytest.raises(ContentError, match=r"^expected more, found the end$"):
                stream.read(1)


def test_it_reads_no_more_ahead_than_it_says() -> None:
    source = Source()
    with ahead_of(source):
        assert is_waiting(source)
        assert source.size == (_MOST_CHUNKS + 1) * _CHUNK == (2 << 20) + _CHUNK


@pytest.mark.parametrize("most", [None, 0, _CHUNK])
@pytest.mark.parametrize("waits", [False, True])
def test_closing_ends_the_thread_and_closes_the_stream(most: int | None, waits: bool) -> None:  # noqa: FBT001 - a column
    source = Source(most)
    stream = ahead_of(source)
    assert not waits or is_waiting(source)
    stream.close()
    stream.close()
    assert source.closed
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)
    assert not [thread for thread in threading.enumerate() if thread.name == "cstore-ahead"]


def read(wanted: Blob) -> bytes:
    return wanted.unpacked(100_000, reads_ahead=True)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_blob_read_ahead_is_verified_as_any_other(compression: str) -> None:
    made, other = blob_of(tar(file("a", LONG)), compression), Digest.of(b"other")
    assert read(made) == tar(file("a", LONG))
    with pytest.raises(ContentError, match=f"^blob {other}: expected digest {other}, found {made.descriptor.digest}$"):
        read(evolve(made, descriptor=evolve(made.descriptor, digest=other)))
    with pytest.raises(ContentError, match=f"^blob {made.descriptor.digest}, unpacked: expected diff ID {other}, found {made.diff_id}$"):
        read(evolve(made, diff_id=other))
    with pytest.raises(ContentError, match=f"^blob {made.descriptor.digest}: expected at most 400000 bytes, found more$"):
        read(made.declaring(400_000))
    if compression != "none":
        damaged = promised(made.data + b"garbage", tar(file("a", LONG)))
        with pytest.raises(ContentError, match=f"^blob {damaged.descriptor.digest}: expected {compression} data, found damage "):
            read(damaged)
