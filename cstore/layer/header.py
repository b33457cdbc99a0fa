"""One header block of a tar: its fields, the numbers in them, and its checksum (spec A1, A2)."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from cstore.errors import ContentError
from cstore.layer.entry import shown

__all__ = ["BLOCK", "Header", "number", "seconds", "text"]

BLOCK = 512
"""Bytes of a block."""

_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_CHECKSUM = slice(148, 156)
_SPACES = 8 * ord(" ")
_BINARY = 0x80
_NEGATIVE = 0x40
_ALL_ONES = 0xFF


class Header(NamedTuple):
    """The fields of a header block as they stand there, in their order."""

    short_name: bytes
    mode: bytes
    uid: bytes
    gid: bytes
    size: bytes
    mtime: bytes
    checksum: bytes
    kind: bytes
    target: bytes
    magic: bytes
    version: bytes
    user: bytes
    group: bytes
    major: bytes
    minor: bytes
    prefix: bytes

    @classmethod
    def parse(cls, block: bytes, at: str) -> Header:
        """Read a block.

        Raises:
            ContentError: its checksum is wrong, counted with bytes without sign or, as some old programs do, with sign.
        """
        header = cls._make(_FIELDS.unpack(block))
        stored = number(header.checksum, "a checksum", at)
        if stored != sum(block) - sum(block[_CHECKSUM]) + _SPACES and stored != _signed_sum(block):
            raise ContentError(f"{at}: expected a tar header, found a block with a wrong checksum")
        return header

    @property
    def name(self) -> bytes:
        """The member's name, put together where it is in two parts."""
        name = text(self.short_name)
        prefix = text(self.prefix) if self.magic == b"ustar\0" else b""
        return prefix + b"/" + name if prefix else name


def text(field: bytes) -> bytes:
    """Return a field up to its first NUL byte."""
    return field.partition(b"\0")[0]


def number(field: bytes, what: str, at: str) -> int:
    """Return the number in a field: octal digits, or base 256 where the first bit is set; an empty field is 0.

    Args:
        field: the field.
        what: what errors call it, with its article.
        at: the place of the member, for errors.

    Raises:
        ContentError: it holds no such number, or a negative one.
    """
    value = _value(field)
    if value is None:
        raise ContentError(f"{at}: expected {what} in octal digits, found {shown(field)}")
    if value < 0:
        raise ContentError(f"{at}: expected {what} of at least 0, found a negative one")
    return value


@lru_cache(maxsize=4096)
def _value(field: bytes) -> int | None:
    """Return the number in a field, None where there is none; the same ones come again and again in one tar."""
    if field[0] & _BINARY:
        if field[0] & _NEGATIVE:
            return -1
        return int.from_bytes(bytes([field[0] & ~_BINARY]) + field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    return int(digits, 8) if digits.isdigit() and b"8" not in digits and b"9" not in digits else None


def seconds(field: bytes, at: str) -> int:
    """Return the time in a field; before 1970 it is a negative number in base 256.

    Raises:
        ContentError: it holds no number.
    """
    if field[0] == _ALL_ONES:
        return int.from_bytes(field, "big", signed=True)
    return number(field, "a time", at)


def _signed_sum(block: bytes) -> int:
    rest = block[: _CHECKSUM.start] + block[_CHECKSUM.stop :]
    return sum(rest) - 256 * sum(byte >= _BINARY for byte in rest) + _SPACES
