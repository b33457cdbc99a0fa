"""Where a store is, and its index files read at one moment."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.errors import FormatError, StoreError
from cstore.index.lock import LENGTH, request
from cstore.model.layout import ABOUT, IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SCHEME", "StoreFiles", "place_of", "read_files"]

SCHEME = "cvmfs://"
"""How a location in a CernVM-FS repository begins."""


@frozen
class StoreFiles:
    """The bytes of a store's small files, which belong together."""

    layers: bytes
    layers_lock: bytes
    images: bytes
    images_lock: bytes
    about: bytes | None
    """cstore.json, None where there is none."""

    @property
    def locked(self) -> tuple[tuple[str, bytes, bytes], ...]:
        """Each index with its name and its lock."""
        return ("layers", self.layers, self.layers_lock), ("images", self.images, self.images_lock)


def place_of(location: Path | str) -> Path:
    """Return the directory of a location.

    Raises:
        StoreError: the location has a scheme, as in `cvmfs://`, that this version cannot publish to.
    """
    scheme, separator, _ = str(location).partition("://")
    if separator and scheme.isalnum():
        raise StoreError(f"{location}: expected the directory of a store, found a location of the kind {scheme}://")
    return Path(location)


def read_files(root: Path) -> StoreFiles:
    """Read the indexes of a store while podman's locks are held for reading, so that they belong together.

    Raises:
        StoreError: there is no store, or it cannot be read.
        FormatError: one of the indexes is missing.
    """
    try:
        if not (root / IMAGES_INDEX).is_file() and not (root / LAYERS_INDEX).is_file():
            what = f"found a directory without {IMAGES_INDEX}" if root.is_dir() else "found a file" if root.exists() else "found nothing"
            raise StoreError(f"{root}: expected an image store, {what}")
        with _reading(root / LAYERS_LOCK), _reading(root / IMAGES_LOCK):
            return StoreFiles(
                layers=_bytes(root / LAYERS_INDEX),
                layers_lock=_lock_bytes(root / LAYERS_LOCK),
                images=_bytes(root / IMAGES_INDEX),
                images_lock=_lock_bytes(root / IMAGES_LOCK),
                about=_bytes(root / ABOUT) if (root / ABOUT).exists() else None,
            )
    except OSError as error:
        raise StoreError(f"{error.filename or root}: expected a readable file, found: {error.strerror}") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FormatError(str(path), "expected a file, found none") from None


def _lock_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LENGTH + 1)
    except OSError:
        return b""


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Hold a lock of podman's for reading, where the file can be opened and the file system knows locks."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            fcntl.fcntl(file, fcntl.F_OFD_SETLKW, request(fcntl.F_RDLCK))
        yield
    finally:
        os.close(file)
