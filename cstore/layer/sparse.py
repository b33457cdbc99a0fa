"""Sparse members: where the pieces of a file lie that are no holes, in the four ways in which GNU tar says it (spec A7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cstore.errors import ContentError
from cstore.layer.entry import Place, shown
from cstore.layer.header import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["checked", "from_data", "from_header", "pairs", "placed"]

_NUMBER = re.compile(rb"\d{1,19}")
_MOST_PIECES = 1 << 16
_LONGEST_NUMBER = 20
_PIECE = 24
_IN_HEADER = (386, 4, 482)
_IN_BLOCK = (0, 21, 504)
_REAL_SIZE = slice(483, 495)


def pairs(texts: Sequence[bytes], at: Place) -> tuple[tuple[int, int], ...]:
    """Return the pieces from a list of decimal numbers: offset, length, offset, length and so on (PAX 0.0 and 0.1).

    Raises:
        ContentError: they are no such numbers.
    """
    if texts == [b""]:
        return ()
    if len(texts) % 2 or len(texts) > 2 * _MOST_PIECES:
        raise ContentError(f"{at}: expected pairs of offset and length in a sparse map, found {len(texts)} numbers")
    numbers = [_decimal(text, at) for text in texts]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def from_data(block: Callable[[], bytes], at: Place) -> tuple[tuple[int, int], ...]:
    """Read the map that stands before the content (PAX 1.0): decimal numbers, a line each, in whole blocks.

    Args:
        block: returns the next block of the member.
        at: what errors call the member.

    Raises:
        ContentError: the map is damaged, or unreasonably long.
    """
    data, position = block(), 0
    numbers: list[int] = []
    wanted = 1
    while len(numbers) < wanted:
        end = data.find(b"\n", position)
        if end < 0:
            data, position = data[position:], 0
            if len(data) > _LONGEST_NUMBER:
                raise ContentError(f"{at}: expected a number in a sparse map, found {shown(data[:_LONGEST_NUMBER])}")
            data += block()
            continue
        numbers.append(_decimal(data[position:end], at))
        position = end + 1
        if wanted == 1:
            wanted = 1 + 2 * numbers[0]
            if numbers[0] > _MOST_PIECES:
                raise ContentError(f"{at}: expected a sparse map of up to {_MOST_PIECES} pieces, found {numbers[0]}")
    return tuple(zip(numbers[1::2], numbers[2::2], strict=True))


def from_header(header: bytes, block: Callable[[], bytes], at: Place) -> tuple[tuple[tuple[int, int], ...], int]:
    """Read the map of an old GNU sparse member, from its header and the blocks after it; also the file's real size.

    Raises:
        ContentError: the map is damaged, or unreasonably long.
    """
    pieces: list[tuple[int, int]] = []
    data, (start, count, more) = header, _IN_HEADER
    while True:
        for place in range(start, start + count * _PIECE, _PIECE):
            offset, length = data[place : place + 12], data[place + 12 : place + 24]
            if offset[0] == 0:
                break
            pieces.append((number(offset, "a sparse offset", at), number(length, "a sparse length", at)))
        if not data[more]:
            return tuple(pieces), number(header[_REAL_SIZE], "a size", at)
        if len(pieces) > _MOST_PIECES:
            raise ContentError(f"{at}: expected a sparse map of up to {_MOST_PIECES} pieces, found more")
        data, (start, count, more) = block(), _IN_BLOCK


def checked(pieces: tuple[tuple[int, int], ...], size: int, stored: int, at: Place) -> tuple[tuple[int, int], ...]:
    """Return the pieces if they lie in order inside the file and are as long together as the content that the tar holds.

    Raises:
        ContentError: they are not.
    """
    position = 0
    for offset, length in pieces:
        if offset < position or offset + length > size:
            raise ContentError(
                f"{at}: expected pieces of a sparse file in order within {size} bytes, found one at {offset} of {length} bytes"
            )
        position = offset + length
    total = sum(length for _, length in pieces)
    if total != stored:
        raise ContentError(f"{at}: expected {total} bytes in the pieces of a sparse file, found {stored}")
    return tuple(piece for piece in pieces if piece[1])


def placed(pieces: Sequence[tuple[int, int]], content: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the content of a sparse file in parts, each with its offset in the file.

    Args:
        pieces: as `checked` returned them.
        content: the pieces' bytes, cut anywhere.
    """
    left = b""
    for offset, length in pieces:
        position, end = offset, offset + length
        while position < end:
            left = left or next(content)
            part, left = left[: end - position], left[end - position :]
            yield position, part
            position += len(part)


def _decimal(text: bytes, at: Place) -> int:
    if not _NUMBER.fullmatch(text):
        raise ContentError(f"{at}: expected a number in a sparse map, found {shown(text)}")
    return int(text)
