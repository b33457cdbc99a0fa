from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING

import pytest

from cstore.layer.part import part_of

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = bytes(range(200))


@pytest.fixture
def whole() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(WHOLE)
        file.flush()
        yield file


@pytest.mark.parametrize(("start", "size"), [(0, 200), (0, 0), (10, 50), (199, 1), (200, 0)])
def test_a_part_is_read_as_a_file(whole: IO[bytes], start: int, size: int) -> None:
    part = part_of(whole, start, size)
    assert part.read() == WHOLE[start : start + size]
    assert part.read() == b""
    assert part.seek(0, os.SEEK_END) == size
    assert part.seek(0) == 0
    assert part.read(3) == WHOLE[start : start + size][:3]


def test_parts_of_one_file_do_not_disturb_each_other(whole: IO[bytes]) -> None:
    first, second = part_of(whole, 0, 100), part_of(whole, 100, 100)
    assert (first.read(1), second.read(1), first.read(1), second.read(1)) == (b"\0", b"\x64", b"\x01", b"\x65")


def test_closing_a_part_leaves_the_whole_open(whole: IO[bytes]) -> None:
    part_of(whole, 0, 1).close()
    assert not whole.closed


def test_parts_of_one_file_are_read_in_several_threads_at_once(whole: IO[bytes]) -> None:
    def read(start: int) -> bytes:
        part = part_of(whole, start, 100)
        found = part.read()
        for _ in range(300):
            part.seek(0)
            assert part.read() == found
        return found

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(read, [0, 50, 100, 25])) == [WHOLE[start : start + 100] for start in (0, 50, 100, 25)]
    assert whole.tell() == len(WHOLE)
