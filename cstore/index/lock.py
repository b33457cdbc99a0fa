"""The 64 bytes of a lock file, which announce the index beside it."""

from __future__ import annotations

import hashlib
import struct
from enum import Enum

__all__ = ["LENGTH", "Told", "announced", "announcement", "hash_of", "request", "told"]

LENGTH = 64
_OWN = b"cstore index, one record a line, 1"
_FOREIGN = b"cstore index, records as found, 1"


class Told(Enum):
    """What a lock tells of the index beside it."""

    OWN = "this index, in cstore's own form"
    FOREIGN = "this index, in another form"
    STALE = "another state of the index: cstore wrote it, and it has to be written anew"
    NOTHING = "nothing: it is not cstore's, and is left alone until the index changes"


def hash_of(index: bytes) -> bytes:
    """Return the first half of what announces an index: its sha256."""
    return hashlib.sha256(index).digest()


def announced(first: bytes, *, own: bool) -> bytes:
    """Return the content of the lock file for an index of this hash (spec K2).

    The first half is the index's sha256: it changes whenever the index does, so that running services look again. The second
    half tells cstore whether the index is in its own form, so that the next change can trust that without reading it all.

    Args:
        first: what `hash_of` returns for the bytes of images.json or layers.json.
        own: whether they are in cstore's own form.
    """
    return first + hashlib.sha256((_OWN if own else _FOREIGN) + first).digest()


def announcement(index: bytes, *, own: bool) -> bytes:
    """Return the content of the lock file for an index (spec K2).

    Args:
        index: the bytes of images.json or layers.json.
        own: whether they are in cstore's own form.
    """
    return announced(hash_of(index), own=own)


def told(index: bytes, lock: bytes) -> Told:
    """Return what a lock tells of an index, which is hashed only where cstore wrote the lock.

    Args:
        index: the bytes of images.json or layers.json.
        lock: those of its lock file, up to one more than a lock has.
    """
    first = lock[: LENGTH // 2]
    kinds = {announced(first, own=own): Told.OWN if own else Told.FOREIGN for own in (True, False)}
    kind = kinds.get(lock, Told.NOTHING)
    return kind if kind is Told.NOTHING or first == hash_of(index) else Told.STALE


def request(kind: int) -> bytes:
    """Return what fcntl takes to lock a whole file: the lock that podman takes on it (spec K1).

    Args:
        kind: F_RDLCK or F_WRLCK.
    """
    return struct.pack("hhqqi4x", kind, 0, 0, 0, 0)
