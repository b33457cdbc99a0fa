"""Where a store is, and its index files read at one moment."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.errors import FormatError, StoreError
from cstore.files import LARGEST_INDEX, UnreadableError, locked
from cstore.index.lock import LENGTH
from cstore.model.layout import ABOUT, IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK
from cstore.origin import opened, room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.files import Directory

__all__ = ["SCHEME", "StoreFiles", "marks_of", "place_of", "read_files"]

SCHEME = "cvmfs://"
"""How a location in a CernVM-FS repository begins."""

_ROOMS = ("overlay-layers", "overlay-images")
_LAYERS = LAYERS_INDEX.rpartition("/")[2]
_IMAGES = IMAGES_INDEX.rpartition("/")[2]
_PATIENCE = 120.0


@frozen
class StoreFiles:
    """The bytes of a store's small files, which belong together."""

    layers: bytes
    layers_lock: bytes
    images: bytes
    images_lock: bytes
    about: bytes | None
    """cstore.json, None where there is none."""

    marks: tuple[object, ...] = field(default=(), eq=False, repr=False)
    """What `marks_of` said before they were read."""


def marks_of(root: Path) -> tuple[object, ...]:
    """Return what tells whether a store's small files are those that were read: which files they are and when they last changed."""
    return tuple(_mark(root, path) for path in (LAYERS_INDEX, LAYERS_LOCK, IMAGES_INDEX, IMAGES_LOCK, ABOUT))


def _mark(root: Path, path: str) -> tuple[int, ...]:
    above, _, name = path.rpartition("/")
    with room(root, above) as found:
        try:
            # NFS looks anew at what is opened, and answers a mere stat from what it remembers.
            file = found.open(name) if found is not None else -1
        except UnreadableError:
            file = -1
    if file < 0:
        return ()
    try:
        status = os.fstat(file)
    finally:
        os.close(file)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def place_of(location: Path | str) -> Path:
    """Return the directory of a location.

    Raises:
        StoreError: it is empty, or the location has a scheme, as in `cvmfs://`, that this version cannot publish to.
    """
    if location == "":
        raise StoreError('location: expected the directory of a store, found ""')
    scheme, separator, _ = str(location).partition("://")
    if separator and scheme.isalnum():
        raise StoreError(f"{location}: expected the directory of a store, found a location of the kind {scheme}://")
    return Path(location)


def read_files(root: Path) -> StoreFiles:
    """Read the indexes of a store while podman's locks are held for reading, so that they belong together.

    What is in the directory may be anything: symlinks in it are followed no farther than its repository, only regular files are
    read, and none without end (spec P26).

    Raises:
        StoreError: there is no store, or it cannot be read, or somebody holds its locks for two minutes.
        FormatError: one of the indexes is missing.
    """
    if not root.is_dir():
        raise StoreError(f"{root}: expected an image store, {'found a file' if root.exists() else 'found nothing'}")
    try:
        with opened(root) as top, top.opened(_ROOMS[0]) as layers, top.opened(_ROOMS[1]) as images:
            if not any(room is not None and room.found(name) != "nothing" for room, name in ((layers, _LAYERS), (images, _IMAGES))):
                raise StoreError(f"{root}: expected an image store, found a directory without {IMAGES_INDEX}")
            with _reading(layers, f"{root}/{LAYERS_LOCK}"), _reading(images, f"{root}/{IMAGES_LOCK}"):
                return StoreFiles(
                    marks=marks_of(root),
                    layers=_bytes(layers, _LAYERS, f"{root}/{LAYERS_INDEX}"),
                    layers_lock=_lock_bytes(layers, LAYERS_LOCK),
                    images=_bytes(images, _IMAGES, f"{root}/{IMAGES_INDEX}"),
                    images_lock=_lock_bytes(images, IMAGES_LOCK),
                    about=_bytes(top, ABOUT, f"{root}/{ABOUT}") if top.found(ABOUT) != "nothing" else None,
                )
    except OSError as error:
        raise StoreError(f"{error.filename or root}: expected a readable file, found: {error.strerror}") from None


def _bytes(room: Directory | None, name: str, at: str) -> bytes:
    if room is None or room.found(name) == "nothing":
        raise FormatError(at, "expected a file, found none")
    try:
        return room.read(name, LARGEST_INDEX)
    except UnreadableError as error:
        raise StoreError(f"{at}: expected a readable file, found {error}") from None


def _lock_bytes(room: Directory | None, path: str) -> bytes:
    if room is None:
        return b""
    try:
        file = room.open(path.rpartition("/")[2])
    except UnreadableError:
        return b""
    try:
        return os.read(file, LENGTH + 1)
    finally:
        os.close(file)


@contextmanager
def _reading(room: Directory | None, at: str) -> Iterator[None]:
    """Hold a lock of podman's for reading, where the file can be opened and the file system knows locks."""
    if room is None:
        yield
        return
    with locked(room, at.rpartition("/")[2], _PATIENCE) as is_held:
        if is_held is False:
            raise StoreError(f"{at}: expected the lock within {_PATIENCE:g} seconds, found it held by another program")
        yield
