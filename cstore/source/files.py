"""The files of a source: those in a directory, or the members of a tar archive."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

from attrs import frozen

from cstore.errors import ContentError, SourceError
from cstore.layer.blob import DAMAGED, open_tar, unpacked_limit
from cstore.layer.part import part_of
from cstore.model.manifest import LARGEST_DOCUMENT
from cstore.source.archive import Member, find, members_of

__all__ = ["ArchiveFiles", "DirectoryFiles", "Files", "read_document"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20


class Files(Protocol):
    """The files of a source, wherever they are."""

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading.

        Raises:
            SourceError: there is no such file.
        """
        ...

    def size(self, path: str) -> int:
        """Return the bytes of a file.

        Raises:
            SourceError: there is no such file.
        """
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@frozen
class DirectoryFiles:
    """The files below a directory. Only regular files are opened: no symlink below it is followed, and no pipe waited for."""

    root: Path

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading."""
        place = self.root / path
        *above, name = PurePosixPath(path).parts
        try:
            file = _opened(self.root, [*above, name])
        except OSError as error:
            raise SourceError(f"{place}: expected a file, found: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise SourceError(f"{place}: expected a file, found something else")
        return os.fdopen(file, "rb", buffering=0)

    def size(self, path: str) -> int:
        """Return the bytes of a file."""
        with self.open(path) as file:
            return os.fstat(file.fileno()).st_size

    def close(self) -> None:
        """Do nothing: no file stays open."""


class ArchiveFiles:
    """The members of a tar archive, compressed or not.

    Args:
        path: the archive. A compressed one is unpacked into a temporary file first, since its members are read in any order.

    Raises:
        SourceError: there is none, or it is no tar.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with ExitStack() as opened:
            try:
                self._file = opened.enter_context(_unpacked(path))
                size = self._file.seek(0, os.SEEK_END)
                if not size:
                    raise SourceError(f"{path}: expected a tar archive, found an empty file")
                self._members = members_of(self._file, size, str(path))
            except ContentError as error:
                raise SourceError(f"{error}; it is no tar archive, or damaged") from None
            except DAMAGED as error:
                raise SourceError(f"{path}: expected a tar archive, found damage ({error})") from None
            except OSError as error:
                raise SourceError(f"{path}: expected a tar archive, found: {error.strerror or error}") from None
            self._opened = opened.pop_all()

    def open(self, path: str) -> IO[bytes]:
        """Open a member for reading."""
        member = self._find(path)
        return part_of(self._file, member.offset, member.size)

    def size(self, path: str) -> int:
        """Return the bytes of a member."""
        return self._find(path).size

    def close(self) -> None:
        """Close the archive."""
        self._opened.close()

    def _find(self, path: str) -> Member:
        member = find(self._members, path)
        if member is None:
            raise SourceError(f'{self._path}: expected a member "{path}", found none')
        return member


def _unpacked(path: Path) -> IO[bytes]:
    """Open an archive so that it can be read at any place."""
    place = Path(os.path.realpath(path))
    packed = io.BufferedReader(cast("io.RawIOBase", DirectoryFiles(place.parent).open(place.name)))
    compression, stream = open_tar(packed)
    if compression == "none":
        return cast("IO[bytes]", packed)
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with packed:
            _copy(stream, plain, unpacked_limit(os.fstat(packed.fileno()).st_size), path)
        plain.seek(0)
    except BaseException:
        plain.close()
        raise
    return plain


def _copy(packed: IO[bytes], plain: IO[bytes], limit: int, path: Path) -> None:
    while chunk := packed.read(_CHUNK):
        if plain.tell() + len(chunk) > limit:
            raise SourceError(f"{path}: expected an archive of at most {limit} bytes unpacked, found more")
        plain.write(chunk)


def read_document(files: Files, path: str, at: str) -> bytes:
    """Return a small file of a source.

    Raises:
        SourceError: there is none, or it is larger than such a file can be.
    """
    with files.open(path) as file:
        data = file.read(LARGEST_DOCUMENT + 1)
    if len(data) > LARGEST_DOCUMENT:
        raise SourceError(f"{at}: {path}: expected up to {LARGEST_DOCUMENT} bytes, found more")
    return data


def _opened(root: Path, parts: list[str]) -> int:
    """Open a file below a directory, part by part, through no symlink."""
    here = os.open(root, _DIRECTORY)
    for number, part in enumerate(parts):
        above = here
        try:
            here = os.open(part, _FILE if number == len(parts) - 1 else _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        finally:
            os.close(above)
    return here
