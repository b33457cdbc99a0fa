"""The extended header of a tar member (PAX), as far as a layer's tree needs it."""

from __future__ import annotations

import re
from typing import Self

from attrs import frozen

from cstore.errors import ContentError
from cstore.layer.entry import shown
from cstore.layer.sparse import pairs

__all__ = ["MAX_SPECIAL", "Pax"]

MAX_SPECIAL = 1 << 20
"""Bytes that a header which only describes the next member may have; as in Go (spec A4)."""

_XATTR = b"SCHILY.xattr."
_SPARSE = b"GNU.sparse."
_TIME = re.compile(rb"(-?)(\d{1,20})(?:\.(\d*))?")
_DIGITS = re.compile(rb"\d{1,20}")
_HANDLED = frozenset([b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"])


@frozen
class Pax:
    """What one extended header says of the member after it; None or empty where it says nothing (spec A3)."""

    name: bytes = b""
    target: bytes = b""
    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime: int | None = None
    """Nanoseconds since 1970."""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    is_sparse: bool = False
    real_size: int | None = None
    pieces: tuple[tuple[int, int], ...] | None = None

    @classmethod
    def parse(cls, data: bytes, at: str) -> Self:
        """Read the records `LENGTH KEY=VALUE` of an extended header.

        Raises:
            ContentError: they are damaged, or a value has a form that no such value has.
        """
        values: dict[bytes, bytes] = {}
        xattrs: dict[str, bytes] = {}
        numbers: list[bytes] = []
        for key, value in _records(data, at):
            if key.startswith(_XATTR):
                xattrs[_xattr_name(key, at)] = value
            elif key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
                numbers.append(value)
            elif key in _HANDLED or key.startswith(_SPARSE):
                values[key] = value
        is_sparse = bool(numbers) or any(key.startswith(_SPARSE) for key in values)
        real_size = values.get(b"GNU.sparse.realsize", values.get(b"GNU.sparse.size"))
        pieces = None
        if numbers:
            pieces = pairs(numbers, at)
        elif b"GNU.sparse.map" in values:
            pieces = pairs(values[b"GNU.sparse.map"].split(b","), at)
        return cls(
            name=values.get(b"GNU.sparse.name", values.get(b"path", b"")),
            target=values.get(b"linkpath", b""),
            size=_number(values.get(b"size"), at),
            uid=_number(values.get(b"uid"), at),
            gid=_number(values.get(b"gid"), at),
            mtime=_nanoseconds(values.get(b"mtime"), at),
            xattrs=tuple(sorted(xattrs.items())),
            is_sparse=is_sparse,
            real_size=_number(real_size, at),
            pieces=pieces,
        )


def _records(data: bytes, at: str) -> list[tuple[bytes, bytes]]:
    records = []
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 8)
        length = data[position:space] if space > 0 else b""
        end = position + int(length) if length.isdigit() else 0
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end <= space or end > len(data) or data[end - 1 : end] != b"\n" or not equals or not key or b"\0" in key:
            raise ContentError(f"{at}: expected a record of an extended header, found {shown(data[position : position + 60])}")
        if b"\0" in value and not key.startswith(_XATTR):
            raise ContentError(f"{at}: expected text in {shown(key)} of an extended header, found a NUL byte")
        records.append((key, value))
        position = end
    return records


def _number(text: bytes | None, at: str) -> int | None:
    if text is None or text == b"":
        return None
    if not _DIGITS.fullmatch(text):
        raise ContentError(f"{at}: expected a number in an extended header, found {shown(text)}")
    return int(text)


def _nanoseconds(text: bytes | None, at: str) -> int | None:
    if text is None or text == b"":
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise ContentError(f"{at}: expected a time in an extended header, found {shown(text)}")
    sign, seconds, fraction = match.groups()
    value = int(seconds) * 10**9 + int((fraction or b"")[:9].ljust(9, b"0"))
    return -value if sign else value


def _xattr_name(key: bytes, at: str) -> str:
    try:
        name = key[len(_XATTR) :].decode()
    except UnicodeDecodeError:
        name = ""
    if not name:
        raise ContentError(f"{at}: expected the name of an extended attribute, found {shown(key)}")
    return name
