"""Reading below one directory, in which nothing is trusted: no symlink leads out of it, and no fifo or device is waited for."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.errors import SourceError
from cstore.files import UnreadableError, kind_of, read_all
from cstore.origin import Origin

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Confined"]


@frozen
class Confined:
    """A directory, and all that can be read below it. Paths are relative to it, with `/` between their parts."""

    root: Path
    """Where it can be read."""
    seen: Path
    """Where readers see it: an absolute symlink to somewhere below that path stays below the directory."""

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of a file; symlinks are followed as far as they stay below the directory.

        Args:
            path: its path.
            limit: the most bytes that it may have.

        Raises:
            SourceError: there is no such file, it is larger, or it cannot be read.
        """
        handle = self._open(path, stat.S_IFREG)
        try:
            return read_all(handle, limit)
        except UnreadableError as error:
            raise self._refused(path, stat.S_IFREG, str(error)) from None
        finally:
            os.close(handle)

    def open_directory(self, path: str) -> int:
        """Return a descriptor of a directory to which no symlink leads; the caller closes it.

        Raises:
            SourceError: there is no such directory, or it cannot be read.
        """
        if self._origin.find([], path) != path.split("/"):
            raise self._refused(path, stat.S_IFDIR, "a symlink")
        return self._open(path, stat.S_IFDIR)

    def has_directory(self, path: str) -> bool:
        """Whether there is a directory to which no symlink leads."""
        try:
            os.close(self.open_directory(path))
        except SourceError:
            return False
        return True

    @property
    def _origin(self) -> Origin:
        return Origin(self.root, str(self.seen), ())

    def _open(self, path: str, kind: int) -> int:
        try:
            mode = self._origin.kind_at([], path)
        except OSError:
            mode = 0
        if mode is None:
            raise self._refused(path, kind, "a symlink that leads out of the repository, or nowhere")
        if stat.S_IFMT(mode) != kind:
            raise self._refused(path, kind, kind_of(mode) if mode else "nothing")
        handle = self._origin.open([], path)
        if handle is None:
            raise self._refused(path, kind, "one that cannot be read")
        return handle

    def _refused(self, path: str, kind: int, found: str) -> SourceError:
        return SourceError(f"{self.root / path}: expected {kind_of(kind)}, found {found}")
