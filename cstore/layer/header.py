"""One header block of a tar: its fields, the numbers in them, and its checksum (spec A1, A2)."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from isal import isal_zlib

from cstore.errors import ContentError
from cstore.layer.entry import Place, shown

__all__ = ["BLOCK", "LAST_ID", "Header", "number", "owner_of", "seconds", "sum_of", "text"]

BLOCK = 512
"""Bytes of a block."""

LAST_ID = 2**32 - 2
"""The last ID that a user or group can have."""

_FIELDS = struct.Struct("100s24s12s12s8sc100s6s66x16s155s12x")
_CHECKSUM = slice(148, 156)
_SPACES = 8 * ord(" ")
_LOW_HALF = 0xFFFF
_BINARY = 0x80
_NEGATIVE = 0x40
_ALL_ONES = 0xFF


class Header(NamedTuple):
    """The fields of a header block as they stand there, in their order, but for the names of user and group."""

    short_name: bytes
    owner: bytes
    """Three fields that come again and again together: mode, user ID, group ID."""
    size: bytes
    mtime: bytes
    checksum: bytes
    kind: bytes
    target: bytes
    magic: bytes
    device: bytes
    """Two fields: major and minor number."""
    prefix: bytes

    @classmethod
    def parse(cls, block: bytes, at: str) -> Header:
        """Read a block.

        Raises:
            ContentError: its checksum is wrong, counted with bytes without sign or, as some old programs do, with sign.
        """
        header = cls._make(_FIELDS.unpack(block))
        stored = number(header.checksum, "a checksum", at)
        if stored != sum_of(block) - sum_of(header.checksum) + _SPACES and stored != _signed_sum(block):
            raise ContentError(f"{at}: expected a tar header, found a block with a wrong checksum")
        return header

    @property
    def mode(self) -> bytes:
        """The permission bits, and others."""
        return self.owner[:8]

    @property
    def uid(self) -> bytes:
        """The user ID."""
        return self.owner[8:16]

    @property
    def gid(self) -> bytes:
        """The group ID."""
        return self.owner[16:]

    @property
    def major(self) -> bytes:
        """A device's major number."""
        return self.device[:8]

    @property
    def minor(self) -> bytes:
        """A device's minor number."""
        return self.device[8:]

    @property
    def name(self) -> bytes:
        """The member's name, put together where it is in two parts."""
        name = text(self.short_name)
        prefix = text(self.prefix) if self.magic == b"ustar\0" else b""
        return prefix + b"/" + name if prefix else name


def text(field: bytes) -> bytes:
    """Return a field up to its first NUL byte."""
    return field.partition(b"\0")[0]


def sum_of(block: bytes) -> int:
    """Return the sum of the bytes of a block, or of less.

    Adler-32 has it in its low half, modulo 65,521, which so many bytes below 128 do not reach; it is 20 times as fast as `sum`.
    """
    return (isal_zlib.adler32(block) & _LOW_HALF) - 1 if block.isascii() else sum(block)


def number(field: bytes, what: str, at: Place) -> int:
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


@lru_cache(maxsize=4096)
def owner_of(fields: bytes) -> tuple[int, int, int] | None:
    """Return mode, user ID and group ID of `Header.owner`; None unless all are numbers that a file system can hold."""
    mode, uid, gid = _value(fields[:8]), _value(fields[8:16]), _value(fields[16:])
    if mode is None or uid is None or gid is None or min(mode, uid, gid) < 0 or max(uid, gid) > LAST_ID:
        return None
    return mode, uid, gid


def seconds(field: bytes, at: Place) -> int:
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
