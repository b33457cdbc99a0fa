"""Files of a store that may be anything: no symlink leads out of its repository, nothing is waited for, nothing is read without end."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from cstore.index.lock import request

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LARGEST_INDEX", "Directory", "UnreadableError", "kind_of", "locked", "read_all"]

Follow = Callable[[str, str], int | None]
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file is opened that may be anything."""
LARGEST_INDEX = 1 << 30
"""The most bytes that an index may have to be read."""
_CHUNK = 1 << 20
_PAUSE = 0.01
_PATIENCE = 5.0
_OTHERS_READ = stat.S_IROTH
_OTHERS_ENTER = stat.S_IROTH | stat.S_IXOTH
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symlink",
    stat.S_IFIFO: "a fifo",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnreadableError(Exception):
    """A file is not what it should be; the text says what was found."""


def kind_of(mode: int) -> str:
    """Return what a mode says that a file is, as in `a directory`."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


@contextmanager
def locked(directory: Directory, name: str, patience: float = _PATIENCE) -> Iterator[bool | None]:
    """Hold a lock of podman's for reading, and give whether it is held; None where there is no file that can be locked (spec K1).

    Args:
        directory: where it is.
        name: of its file.
        patience: seconds to wait for those who hold it: a reader waits for no one without end.
    """
    try:
        file = directory.open(name)
    except UnreadableError:
        yield None
        return
    try:
        yield _taken(file, patience)
    finally:
        os.close(file)


def _taken(file: int, patience: float) -> bool | None:
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, request(fcntl.F_RDLCK))
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return None
            if time.monotonic() >= end:
                return False
            time.sleep(_PAUSE)
        else:
            return True


def read_all(file: int, most: int, size: int = -1) -> bytes:
    """Return the content of an open file.

    Args:
        file: its descriptor.
        most: bytes that it may have.
        size: its bytes if they are known: where so many are read at once, the end is not looked for.

    Raises:
        UnreadableError: it cannot be read, or has more than so many bytes.
    """
    parts, left = [], most + 1
    try:
        while left and (part := os.read(file, min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
            if len(part) == size:
                break
    except OSError as error:
        raise UnreadableError(f"a file that cannot be read ({error.strerror})") from None
    if not left:
        raise UnreadableError(f"more than {most} bytes")
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Directory:
    """An open directory. Names in it are single parts of paths.

    Args:
        file: a descriptor of it, which `close` closes.
        path: where it is, relative to the store.
        follow: opens what a symlink in a directory of the store leads to, given the path of that and the symlink's text; None where
            it leads to nothing, or out of the repository. Without it no symlink is followed.
    """

    __slots__ = ("_follow", "_seen", "file", "is_followed", "path")

    def __init__(self, file: int, path: str, follow: Follow | None = None) -> None:
        self.file = file
        self.path = path
        self._follow = follow
        self.is_followed = False
        """Whether a symlink led there."""
        self._seen: dict[str, os.stat_result] = {}
        """What was known of files when they were opened."""

    @classmethod
    def at(cls, place: str | os.PathLike[str], follow: Follow | None = None) -> Self:
        """Open a directory by its path, through whatever symlinks lead there.

        Raises:
            OSError: it cannot be opened.
        """
        return cls(os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), "", follow)

    def close(self) -> None:
        """Close it."""
        os.close(self.file)

    def place(self, name: str) -> str:
        """Return where a name in it is, relative to the store."""
        return f"{self.path}/{name}" if self.path else name

    @contextmanager
    def opened(self, name: str) -> Iterator[Directory | None]:
        """Open a directory in it while the body runs; None where there is none."""
        found = self.inside(name)
        try:
            yield found
        finally:
            if found is not None:
                found.close()

    @contextmanager
    def along(self, path: str) -> Iterator[Directory | None]:
        """Open a directory below it while the body runs; None where there is none. With an empty path it is this one."""
        # This is done for nearly every question about a store, and a context in each other costs more than the question.
        here: Directory = self
        try:
            for name in path.split("/") if path else ():
                inner = here.inside(name)
                if inner is None:
                    yield None
                    return
                if here is not self:
                    here.close()
                here = inner
            yield here
        finally:
            if here is not self:
                here.close()

    def inside(self, name: str) -> Directory | None:
        """Open a directory in it; None where there is none. The caller closes it."""
        try:
            return Directory(os.open(name, READ | os.O_DIRECTORY, dir_fd=self.file), self.place(name), self._follow)
        except (OSError, ValueError):
            file = self._followed(name)
        if file is not None and not stat.S_ISDIR(os.fstat(file).st_mode):
            os.close(file)
            file = None
        if file is None:
            return None
        found = Directory(file, self.place(name), self._follow)
        found.is_followed = True
        return found

    def _followed(self, name: str) -> int | None:
        """Return a descriptor of what a symlink in it leads to; None where there is none to be followed."""
        target = self.target(name) if self._follow else None
        return None if target is None or self._follow is None else self._follow(self.path, target)

    def status(self, name: str) -> os.stat_result | None:
        """Return what is known of a name in it; None where there is nothing."""
        try:
            return os.stat(name, dir_fd=self.file, follow_symlinks=False)
        except (OSError, ValueError):
            return None

    def found(self, name: str) -> str:
        """Return what a name in it is, as in `a directory` or `nothing`."""
        status = self.status(name)
        return "nothing" if status is None else kind_of(status.st_mode)

    def target(self, name: str) -> str | None:
        """Return the text of a symlink in it; None where there is none."""
        try:
            return os.readlink(name, dir_fd=self.file)
        except (OSError, ValueError):
            return None

    def read(self, name: str, most: int) -> bytes:
        """Return the content of a file in it.

        Args:
            name: of the file.
            most: bytes that it may have.

        Raises:
            UnreadableError: it is no file, cannot be read, or is larger.
        """
        file = self.open(name)
        try:
            size = self._seen[name].st_size
            if size > most:
                raise UnreadableError(f"more than {most} bytes")
            return read_all(file, most, size)
        finally:
            os.close(file)

    def open(self, name: str) -> int:
        """Open a file in it; the caller closes the descriptor.

        Raises:
            UnreadableError: it is no file, or cannot be opened.
        """
        try:
            file = os.open(name, READ, dir_fd=self.file)
        except (OSError, ValueError) as error:
            found = self.found(name)
            followed = self._followed(name)
            if followed is None:
                raise UnreadableError(f"one that cannot be opened ({error})" if found == "a file" else found) from None
            file = followed
        status = self._seen[name] = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            os.close(file)
            raise UnreadableError(kind_of(status.st_mode))
        return file

    def entries(self) -> dict[str, bool]:
        """Return the names in it, sorted, each with whether it is a directory; none where it cannot be read."""
        try:
            with os.scandir(self.file) as found:
                return dict(sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found))
        except OSError:
            return {}

    def is_open_to_all(self, name: str = "", status: os.stat_result | None = None) -> bool:
        """Whether others can read a file in it, or can read and enter a directory in it; or can this directory itself."""
        status = status or (self._seen.get(name) or self.status(name) if name else os.fstat(self.file))
        if status is None or stat.S_ISLNK(status.st_mode):
            return True
        wanted = _OTHERS_ENTER if stat.S_ISDIR(status.st_mode) else _OTHERS_READ
        return status.st_mode & wanted == wanted
