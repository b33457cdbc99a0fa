"""Names of tar members: what is a path in a tree, and which names are instructions."""

from __future__ import annotations

from enum import Enum

from cstore.errors import ContentError
from cstore.layer.entry import shown

__all__ = ["MARK", "Mark", "clean", "is_reserved", "mark", "parent"]

_LONGEST_PATH = 4095
_LONGEST_PART = 255
_TOP = (b".", b"./", b"/")
_NO_PARTS = (b"", b".")
_ODD = (b"", b"/", b".")
"""How no name begins that may be its own path."""
MARK = b".wh."
"""How the names of whiteouts begin, and of what else means something (spec W2 to W4)."""
_META = b".wh..wh."
_OPAQUE = b".wh..wh..opq"
_RESERVED = (b".cvmfs", b".cvmfscatalog", b".cvmfsautocatalog", b".cvmfsbundles")
_GRAFT = b".cvmfsgraft-"
_OWN = b".cvmfs"
"""In all of these names, so that most paths are seen to be no such name at once."""


class Mark(Enum):
    """What a name with the prefix `.wh.` asks for (spec W2 to W4)."""

    WHITEOUT = "whiteout"
    OPAQUE = "opaque"
    IGNORED = "ignored"


def clean(name: bytes, at: str) -> bytes:
    """Return the path that a name means, empty for the top directory.

    Raises:
        ContentError: the name is absolute, leads out, or is longer than a Linux file system can hold.
    """
    if b"/." not in name and b"//" not in name and name[:1] not in _ODD and name[-1:] != b"/" and len(name) <= _LONGEST_PART:
        return name
    if name in _TOP:
        return b""
    if not name or name[:1] == b"/":
        raise ContentError(f"{at}: expected a relative name, found {shown(name)}")
    parts = [part for part in name.split(b"/") if part not in _NO_PARTS]
    if b".." in parts:
        raise ContentError(f"{at}: expected a name inside the layer, found {shown(name)}")
    path = b"/".join(parts)
    if len(path) > _LONGEST_PATH or (len(path) > _LONGEST_PART and max(map(len, parts)) > _LONGEST_PART):
        raise ContentError(
            f"{at}: expected a name of up to {_LONGEST_PATH} bytes, {_LONGEST_PART} for each part, found {shown(name)} of {len(name)} bytes"
        )
    return path


def parent(path: bytes) -> bytes:
    """Return the directory that holds a path; the top directory for the paths in it."""
    return path.rpartition(b"/")[0]


def is_reserved(path: bytes) -> bool:
    """Whether a path has a part that CernVM-FS would take for its own, wherever in a tree it is (spec C9)."""
    return _OWN in path and any(part in _RESERVED or part.startswith(_GRAFT) for part in path.split(b"/"))


def mark(path: bytes, at: str) -> tuple[Mark, bytes] | None:
    """Say what a path with `.wh.` in it asks for, and of which path; None for an ordinary path.

    Raises:
        ContentError: a whiteout of nothing, or something inside a whiteout.
    """
    if MARK not in path:
        return None
    directory, _, last = path.rpartition(b"/")
    for part in directory.split(b"/"):
        if part.startswith(_META):
            return Mark.IGNORED, path
        if part.startswith(MARK):
            raise ContentError(f"{at}: expected nothing below a whiteout, found {shown(path)}")
    if last == _OPAQUE:
        return Mark.OPAQUE, directory
    if last.startswith(_META):
        return Mark.IGNORED, path
    if not last.startswith(MARK):
        return None
    hidden = last[len(MARK) :]
    if hidden in (b"", b".", b".."):
        raise ContentError(f"{at}: expected the whiteout of a name, found {shown(path)}")
    return Mark.WHITEOUT, directory + b"/" + hidden if directory else hidden
