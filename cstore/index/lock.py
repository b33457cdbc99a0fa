"""The 64 bytes of a lock file, which announce the index beside it."""

from __future__ import annotations

import hashlib
import struct

__all__ = ["LENGTH", "announcement", "is_own", "is_stale", "request"]

LENGTH = 64
_OWN = b"cstore index, one record a line, 1"
_FOREIGN = b"cstore index, records as found, 1"


def announcement(index: bytes, *, own: bool) -> bytes:
    """Return the content of the lock file for an index (spec K2).

    The first half is the index's sha256: it changes whenever the index does, so that running services look again. The second
    half tells cstore whether the index is in its own form, so that the next change can trust that without reading it all.

    Args:
        index: the bytes of images.json or layers.json.
        own: whether they are in cstore's own form.
    """
    first = hashlib.sha256(index).digest()
    return first + hashlib.sha256((_OWN if own else _FOREIGN) + first).digest()


def request(kind: int) -> bytes:
    """Return what fcntl takes to lock a whole file: the lock that podman takes on it (spec K1).

    Args:
        kind: F_RDLCK or F_WRLCK.
    """
    return struct.pack("hhqqi4x", kind, 0, 0, 0, 0)


def is_stale(index: bytes, lock: bytes) -> bool:
    """Whether cstore wrote a lock for another state of its index, so that it has to be written anew.

    What other writers put there is left alone until the index changes.
    """
    first = lock[: LENGTH // 2]
    is_cstores = lock[LENGTH // 2 :] in [hashlib.sha256(label + first).digest() for label in (_OWN, _FOREIGN)]
    return is_cstores and first != hashlib.sha256(index).digest()


def is_own(index: bytes, lock: bytes) -> bool:
    """Whether the lock says that cstore wrote exactly this index, in its own form."""
    return lock == announcement(index, own=True)
