from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError
from cstore.layer.sparse import checked, from_data, from_header, pairs, placed
from tests.images import header, padded
from tests.layer.tars import GNU, base256, octal, old_sparse, patched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 1 << 16


def blocks(data: bytes) -> Callable[[], bytes]:
    """Return what hands out the blocks of some data."""
    each = iter([data[at : at + 512] for at in range(0, len(data), 512)])
    return lambda: next(each)


def endless() -> Callable[[], bytes]:
    """Return what hands out blocks with a full map for ever."""
    full = (octal(5) + octal(0)) * 21 + b"\1" + bytes(7)
    return lambda: full


@pytest.mark.parametrize(
    ("texts", "pieces"),
    [([b""], ()), ([b"0", b"0"], ((0, 0),)), ([b"1", b"2", b"30", b"4"], ((1, 2), (30, 4))), ([b"007", b"1"], ((7, 1),))],
)
def test_maps_of_decimal_numbers(texts: list[bytes], pieces: tuple[tuple[int, int], ...]) -> None:
    assert pairs(texts, "m") == pieces


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        ([b"1"], "m: expected pairs of offset and length in a sparse map, found 1 numbers"),
        ([b"1"] * (2 * MOST + 2), "m: expected pairs of offset and length in a sparse map, found 131074 numbers"),
        ([b"1", b""], 'm: expected a number in a sparse map, found ""'),
        ([b"1", b"-2"], 'm: expected a number in a sparse map, found "-2"'),
        ([b"1", b"2\n"], 'm: expected a number in a sparse map, found "2\n"'),
        ([b"1", b"9" * 20], f'm: expected a number in a sparse map, found "{"9" * 20}"'),
        ([b"\xd9\xa1", b"1"], 'm: expected a number in a sparse map, found "\u0661"'),
    ],
)
def test_what_is_no_map(texts: list[bytes], error: str) -> None:
    with pytest.raises(ContentError, match=f"^{re.escape(error)}$"):
        pairs(texts, "m")


@pytest.mark.parametrize("count", [0, 1, 2, 60, 5000])
def test_maps_before_the_content(count: int) -> None:
    pieces = tuple((number * 4096, number % 7) for number in range(count))
    table = b"".join(b"%d\n" % number for number in [count, *(number for piece in pieces for number in piece)])
    assert from_data(blocks(padded(table)), "m") == pieces


@pytest.mark.parametrize("width", range(1, 8))
def test_numbers_that_go_over_the_end_of_a_block(width: int) -> None:
    numbers = [10**width + number for number in range(300)]
    table = b"".join(b"%d\n" % number for number in [150, *numbers])
    assert from_data(blocks(padded(table)), "m") == tuple(zip(numbers[::2], numbers[1::2], strict=True))


@pytest.mark.parametrize(
    ("table", "error"),
    [
        (b"x\n", 'm: expected a number in a sparse map, found "x"'),
        (b"\n", 'm: expected a number in a sparse map, found ""'),
        (b"1\n2\n-3\n", 'm: expected a number in a sparse map, found "-3"'),
        (b"65537\n", "m: expected a sparse map of up to 65536 pieces, found 65537"),
        (b"9" * 19 + b"\n", f"m: expected a sparse map of up to 65536 pieces, found {'9' * 19}"),
        (b"1" * 600, f'm: expected a number in a sparse map, found "{"1" * 20}"'),
        (bytes(512), f'm: expected a number in a sparse map, found "{chr(0) * 20}"'),
    ],
)
def test_what_is_no_map_before_the_content(table: bytes, error: str) -> None:
    with pytest.raises(ContentError, match=f"^{re.escape(error)}$"):
        from_data(blocks(padded(table)), "m")


def test_maps_in_old_headers() -> None:
    first = [(octal(offset), octal(1)) for offset in range(0, 40, 10)]
    second = [(octal(offset), octal(2)) for offset in range(100, 310, 10)]
    third = [(base256(1 << 40, 12), octal(3))]
    made = old_sparse(b"s", first, base256(1 << 41, 12), b"", [second, third])
    pieces, size = from_header(made[:512], blocks(made[512:]), "m")
    assert size == 1 << 41
    assert pieces == (
        *((offset, 1) for offset in range(0, 40, 10)),
        *((offset, 2) for offset in range(100, 310, 10)),
        (1 << 40, 3),
    )


def test_an_old_header_without_a_map() -> None:
    assert from_header(patched(header(b"s", magic=GNU, kind=b"S"), 483, octal(9)), blocks(b""), "m") == ((), 9)


@pytest.mark.parametrize(
    ("offset", "length", "size", "error"),
    [
        (b"-1".ljust(12), octal(1), octal(9), "expected a sparse offset in octal digits"),
        (octal(1), b"-1".ljust(12), octal(9), "expected a sparse length in octal digits"),
        (octal(1), b"0o7".ljust(12, b"\0"), octal(9), "expected a sparse length in octal digits"),
        (octal(1), base256(-1, 12), octal(9), "expected a sparse length of at least 0, found a negative one"),
        (octal(1), octal(1), b"-9".ljust(12), "expected a size in octal digits"),
        (octal(1), octal(1), b"\xff" * 12, "expected a size of at least 0, found a negative one"),
    ],
)
def test_numbers_in_old_headers_that_are_none(offset: bytes, length: bytes, size: bytes, error: str) -> None:
    block = old_sparse(b"s", [(offset, length)], size, b"")
    with pytest.raises(ContentError, match=f"^m: {re.escape(error)}"):
        from_header(block, blocks(b""), "m")


def test_a_map_in_old_headers_that_never_ends() -> None:
    block = old_sparse(b"s", [(octal(5), octal(0))] * 4, octal(9), b"", [[]])
    with pytest.raises(ContentError, match=r"^m: expected a sparse map of up to 65536 pieces, found more$"):
        from_header(block, endless(), "m")


def test_pieces_without_bytes_are_dropped() -> None:
    assert checked(((0, 0), (5, 2), (9, 0)), 9, 2, "m") == ((5, 2),)


@pytest.mark.parametrize(
    ("pieces", "size", "stored", "error"),
    [
        (((5, 6),), 10, 6, "m: expected pieces of a sparse file in order within 10 bytes, found one at 5 of 6 bytes"),
        (((5, 2), (6, 1)), 10, 3, "m: expected pieces of a sparse file in order within 10 bytes, found one at 6 of 1 bytes"),
        (((5, 2), (1, 1)), 10, 3, "m: expected pieces of a sparse file in order within 10 bytes, found one at 1 of 1 bytes"),
        (((11, 0),), 10, 0, "m: expected pieces of a sparse file in order within 10 bytes, found one at 11 of 0 bytes"),
        (((5, 2),), 10, 3, "m: expected 2 bytes in the pieces of a sparse file, found 3"),
        ((), 10, 512, "m: expected 0 bytes in the pieces of a sparse file, found 512"),
    ],
)
def test_pieces_that_do_not_fit(pieces: tuple[tuple[int, int], ...], size: int, stored: int, error: str) -> None:
    with pytest.raises(ContentError, match=f"^{re.escape(error)}$"):
        checked(pieces, size, stored, "m")


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 100])
def test_content_is_placed_however_it_is_cut(cut: int) -> None:
    content = b"abcdefghij"

    def chunks() -> Iterator[bytes]:
        for at in range(0, len(content), cut):
            yield content[at : at + cut]

    file = bytearray(b"." * 40)
    for offset, part in placed(((2, 3), (10, 1), (20, 6)), chunks()):
        file[offset : offset + len(part)] = part
    assert bytes(file) == b"..abc.....d.........efghij" + b"." * 14
