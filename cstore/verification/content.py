"""The tar of a layer, put together again from its tar-split and the files of its tree, as `podman save` does it (spec V63, V72, V73)."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from fastcrc import crc64

from cstore.errors import ContentError
from cstore.files import READ, UnreadableError, kind_of
from cstore.layer.names import clean, parent

if TYPE_CHECKING:
    from cstore.layer.tarsplit import Piece
    from cstore.verification.tree import Walked

__all__ = ["Rebuilt", "TooLongError"]

_CHUNK = 1 << 20


class TooLongError(ContentError):
    """A tar-split gives more than the layer's record says."""


class Rebuilt:
    """Hashes the tar, piece by piece, and notes whatever content a file lacks.

    Args:
        at: what errors call it.
        walked: the tree: only files in directories that are there are opened, and what is wrong with a file is noted there.
        most: bytes that the tar may have; 0 for any number.

    Raises:
        TooLongError: (from `see`) it has more, so that what unpacks without end is not read to it.
    """

    def __init__(self, at: str, walked: Walked, most: int) -> None:
        self._at = at
        self._most = most
        self._walked = walked
        self._hash = hashlib.sha256()
        self.size = 0
        """Bytes so far."""
        self.is_whole = True
        """Whether every file had its content."""

    @property
    def digest(self) -> str:
        """The digest of all pieces so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def see(self, piece: Piece) -> None:
        """Take the next piece of the tar-split."""
        if piece.name is None:
            self._hash.update(piece.payload)
            self.size += len(piece.payload)
        else:
            self.size += piece.size
            if not self._is_too_long:
                self._take(piece.name, piece.size, piece.payload)
        if self._is_too_long:
            raise TooLongError(f"{self._at}: expected a tar of {self._most} bytes, found more")

    @property
    def _is_too_long(self) -> bool:
        return 0 < self._most < self.size

    def _take(self, name: bytes, size: int, checksum: bytes) -> None:
        """Hash the content of a file, and compare it with what the tar-split says of it."""
        try:
            found = self._checksum(name, size)
        except PermissionError:
            self.is_whole = False
            self._walked.tally.add("V76", name, "expected a file that can be read, found: Permission denied")
        except (OSError, ValueError, ContentError, UnreadableError) as error:
            self._lack(name, size, str(error))
        else:
            if found.to_bytes(8, "big") != checksum:
                self._lack(name, size, "other content")

    def _lack(self, name: bytes, size: int, found: str) -> None:
        self.is_whole = False
        self._walked.tally.add("V63", name, f"expected a file of {size} bytes with the content of the layer, found {found}")

    def _checksum(self, name: bytes, size: int) -> int:
        file = self._open(name, size)
        try:
            checksum = 0
            while chunk := os.read(file, _CHUNK):
                self._hash.update(chunk)
                checksum = crc64.go_iso(chunk, checksum)
            return checksum
        finally:
            os.close(file)

    def _open(self, name: bytes, size: int) -> int:
        """Return the descriptor of a file of this size.

        Raises:
            UnreadableError: it is something else.
        """
        path = clean(name, self._at)
        above = parent(path)
        while above not in self._walked.directories and above:
            if above in self._walked.closed:
                raise PermissionError
            above = parent(above)
        if parent(path) not in self._walked.directories or path in self._walked.directories or path not in self._walked.others:
            raise UnreadableError("a directory" if path in self._walked.directories else "nothing")
        file = os.open(path, READ, dir_fd=self._walked.diff.file)
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and status.st_size == size:
            return file
        os.close(file)
        raise UnreadableError(f"{status.st_size} bytes" if stat.S_ISREG(status.st_mode) else kind_of(status.st_mode))
