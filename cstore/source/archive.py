"""The table of an archive's members: where in it each file's content lies, read with the same care as a layer's tar (spec S8)."""

from __future__ import annotations

import posixpath
from enum import Enum
from typing import IO, TYPE_CHECKING

from attrs import frozen

from cstore.errors import ContentError
from cstore.layer.entry import shown
from cstore.layer.header import BLOCK, Header, number, text
from cstore.layer.pax import MAX_SPECIAL, Pax

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Member", "find", "member_name", "members_of"]

_ZEROS = bytes(BLOCK)
_MOST_MEMBERS = 100_000
_MOST_LINKS = 8
_FILES = b"0\0007"
_LINK, _SYMLINK = b"1", b"2"
_WITHOUT_CONTENT = b"123456"


class _Is(Enum):
    FILE = "file"
    LINK = "link"
    SYMLINK = "symlink"
    OTHER = "other"


@frozen
class Member:
    """A member of an archive."""

    name: str
    kind: _Is
    offset: int
    """Where its content begins, in bytes."""
    size: int
    target: str


def members_of(file: IO[bytes], size: int, at: str) -> dict[str, Member]:
    """Return the members of a tar by their cleaned names, the last of several of one name.

    Args:
        file: the tar, at its beginning, which can be read at any place.
        size: its bytes.
        at: what errors call it.

    Raises:
        ContentError: it is damaged, cut short, or has more members than an archive of images can have.
    """
    found: dict[str, Member] = {}
    for count, member in enumerate(_walk(file, size, at)):
        if count >= _MOST_MEMBERS:
            raise ContentError(f"{at}: expected up to {_MOST_MEMBERS} members, found more")
        found[member.name] = member
    return found


def find(members: Mapping[str, Member], path: str) -> Member | None:
    """Return the file that a path leads to, through links between members; None where there is none."""
    name = member_name(path)
    for _ in range(_MOST_LINKS):
        member = members.get(name)
        if member is None or member.kind is _Is.OTHER:
            return None
        if member.kind is _Is.FILE:
            return member
        above = posixpath.dirname(name) if member.kind is _Is.SYMLINK else ""
        name = member_name(posixpath.normpath(posixpath.join("/", above, member.target)) if above else member.target)
    return None


def member_name(path: str) -> str:
    """Return the name under which a member is found: without what means nothing in it."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _walk(file: IO[bytes], size: int, at: str) -> Iterator[Member]:
    pax, long_name, long_target, position = Pax(), b"", b"", 0
    while position < size:
        block = _read(file, position, BLOCK, at)
        if block == _ZEROS:
            return
        header = Header.parse(block, at)
        position += BLOCK
        if header.kind in b"xgLK":
            data = _special(file, position, header, at)
            position += len(data) + -len(data) % BLOCK
            if header.kind == b"x":
                pax = Pax.parse(data, at)
            elif header.kind == b"L":
                long_name = text(data)
            elif header.kind == b"K":
                long_target = text(data)
            continue
        name = long_name or pax.name or header.name
        if header.kind == b"S" or pax.is_sparse:
            raise ContentError(f"{at}: member {shown(name)}: expected a member without holes, found a sparse one")
        length = 0
        if header.kind not in _WITHOUT_CONTENT:
            length = number(header.size, "a size", f"{at}: member {shown(name)}") if pax.size is None else pax.size
        if length > size - position:
            raise ContentError(f"{at}: member {shown(name)}: expected {length} bytes, found the end of the archive")
        target = long_target or pax.target or text(header.target)
        yield Member(member_name(_text(name)), _kind(header.kind, name), position, length, _text(target))
        position += length + -length % BLOCK
        pax, long_name, long_target = Pax(), b"", b""


def _special(file: IO[bytes], position: int, header: Header, at: str) -> bytes:
    length = number(header.size, "a size", at)
    if length > MAX_SPECIAL:
        raise ContentError(f"{at}: expected a header of up to {MAX_SPECIAL} bytes, found one of {length}")
    return _read(file, position, length, at)


def _read(file: IO[bytes], position: int, length: int, at: str) -> bytes:
    file.seek(position)
    data = file.read(length)
    if len(data) < length:
        raise ContentError(f"{at}: expected the rest of a tar member, found the end of the archive")
    return data


def _kind(kind: bytes, name: bytes) -> _Is:
    if kind in _FILES:
        return _Is.OTHER if kind == b"\0" and name.endswith(b"/") else _Is.FILE
    return {_LINK: _Is.LINK, _SYMLINK: _Is.SYMLINK}.get(kind, _Is.OTHER)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
