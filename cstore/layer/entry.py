"""One entry of a layer: a member of its tar, or something that its tree needs besides."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

__all__ = ["Entry", "Kind", "Member", "Place", "plain", "shown", "whiteout"]


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hard link"
    CHARACTER = "character device"
    BLOCK = "block device"
    FIFO = "fifo"


@frozen
class Entry:
    """One entry of a layer."""

    path: bytes
    """Its cleaned path: relative, without `.`, `..` and doubled slashes; empty for the top directory."""
    kind: Kind
    mode: int
    """The permission bits, with setuid, setgid and sticky."""
    uid: int
    gid: int
    mtime: int
    """Nanoseconds since 1970."""
    size: int = 0
    """Bytes of a file's content, holes included."""
    target: bytes = b""
    """A symlink's text, or the cleaned path that a hard link names."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number."""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    pieces: tuple[tuple[int, int], ...] | None = None
    """Of a sparse file: offset and length of each piece that is no hole, in bytes. None for all other files."""
    name: bytes = b""
    """Its name as the tar has it."""

    @property
    def is_whiteout(self) -> bool:
        """Whether overlay takes it for a deleted name (spec W1)."""
        return self.kind is Kind.CHARACTER and self.device == (0, 0)

    @property
    def is_opaque(self) -> bool:
        """Whether its attributes ask overlay to show nothing of the chain below in it (spec W6)."""
        return bool(self.xattrs) and any(value == b"y" and name in _OPAQUE for name, value in self.xattrs)

    @property
    def stored(self) -> int:
        """Bytes of content that the tar holds for it."""
        return self.size if self.pieces is None else sum(length for _, length in self.pieces)


@frozen
class Member:
    """A member of a tar as errors call it; that is put into words only where there is an error."""

    at: str
    """What errors call the tar."""
    name: bytes

    def __str__(self) -> str:
        return f"{self.at}: member {shown(self.name)}"


Place = str | Member
"""What errors call something."""


def whiteout(path: bytes) -> Entry:
    """Return the entry that hides a name of the chain below (spec W1)."""
    return Entry(path, Kind.CHARACTER, 0, 0, 0, 0)


def plain(name: bytes) -> str:
    """Return a name as text; what is no UTF-8 in it is escaped."""
    return name.decode("utf-8", "backslashreplace")


def shown(name: bytes) -> str:
    """Return a name for a message, quoted and not too long."""
    text = plain(name)
    return f'"{text}"' if len(text) <= _SHOWN else f'"{text[:_SHOWN]}…"'


_SHOWN = 200
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
