"""Whether a store stays as it is while it is checked, and whether a writer of cstore's is at work in it."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from typing import TYPE_CHECKING, Self

from attrs import define, field

from cstore.index.lock import request
from cstore.model.layout import IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK, WORK, WORK_LOCK

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Watch"]

_INDEXES = (LAYERS_INDEX, IMAGES_INDEX, LAYERS_LOCK, IMAGES_LOCK)
_LOOKS = 10
_PAUSE = 0.02

Mark = tuple[int, ...] | None


@define
class Watch:
    """Sees whether a store has changed since a moment.

    Every writer replaces an index by a rename or writes its lock; one of cstore's makes its work directory in the store's own before,
    and removes it afterwards, which the time of that directory tells.
    """

    _root: Path
    _indexes: tuple[Mark, ...]
    _top: Mark
    _left: Mark = field(default=None, init=False)
    """A work directory in which nobody works: what an interrupted writer left."""

    @classmethod
    def of(cls, root: Path) -> Self:
        """Begin to watch a store."""
        return cls(root, _marks(root), _mark(root))

    def is_same(self) -> bool:
        """Whether both indexes and their locks are what they were."""
        return _marks(self._root) == self._indexes

    def is_quiet(self) -> bool:
        """Whether nothing has changed, and nobody changes anything now."""
        return not self._is_at_work() and _mark(self._root) == self._top and self.is_same()

    def _is_at_work(self) -> bool:
        """Whether a writer has the lock of the work directory.

        One that just begins, or ends, has the directory without the lock for a moment; an interrupted one leaves it so for good.
        """
        for _ in range(_LOOKS):
            left = _mark(self._root / WORK)
            if left is None or left == self._left:
                return False
            if _is_locked(self._root / WORK_LOCK):
                return True
            time.sleep(_PAUSE)
        self._left = left
        return False


def _marks(root: Path) -> tuple[Mark, ...]:
    return tuple(_mark(root / path) for path in _INDEXES)


def _mark(place: Path) -> Mark:
    """Return what tells a file from a later one at its place; None where there is none."""
    try:
        found = place.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _is_locked(place: Path) -> bool:
    """Whether somebody holds a lock file exclusively; nothing is locked to learn that."""
    try:
        file = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        told = fcntl.fcntl(file, fcntl.F_OFD_GETLK, request(fcntl.F_RDLCK))
    except OSError:
        return False
    finally:
        os.close(file)
    (kind,) = struct.unpack_from("h", told)
    return bool(kind != fcntl.F_UNLCK)
