from __future__ import annotations

import io
import os

import pytest

from cstore.layer.part import part_of

WHOLE = bytes(range(200))


@pytest.mark.parametrize(("start", "size"), [(0, 200), (0, 0), (10, 50), (199, 1), (200, 0)])
def test_a_part_is_read_as_a_file(start: int, size: int) -> None:
    part = part_of(io.BytesIO(WHOLE), start, size)
    assert part.read() == WHOLE[start : start + size]
    assert part.read() == b""
    assert part.seek(0, os.SEEK_END) == size
    assert part.seek(0) == 0
    assert part.read(3) == WHOLE[start : start + size][:3]


def test_parts_of_one_file_do_not_disturb_each_other() -> None:
    whole = io.BytesIO(WHOLE)
    first, second = part_of(whole, 0, 100), part_of(whole, 100, 100)
    assert (first.read(1), second.read(1), first.read(1), second.read(1)) == (b"\0", b"\x64", b"\x01", b"\x65")


def test_closing_a_part_leaves_the_whole_open() -> None:
    whole = io.BytesIO(WHOLE)
    part_of(whole, 0, 1).close()
    assert not whole.closed
