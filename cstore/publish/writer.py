"""The one place that writes files of a store: each appears whole, with its final mode, or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from typing import IO, TYPE_CHECKING

from attrs import frozen

from cstore.errors import PublishError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cstore.delta import PutTree
    from cstore.publish.owners import Owners

__all__ = ["ASIDE", "Writer", "delete"]


ASIDE = ".cstore-aside-"
"""How the names begin under which things are made beside their place, and are moved away to be removed.

They are in the directory of their place, since skopeo and podman leave `overlay` mounted on itself, and no rename crosses a mount.
"""

_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644
_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@frozen
class Writer:
    """Writes below one store. Paths are relative to it, with `/` between their parts.

    Nothing is written through a symlink: where a directory of the store is one, that is an error.
    """

    root: Path
    owners: Owners

    def put_directory(self, path: str) -> None:
        """See that a directory is there, and those above it."""
        place = self.root
        for part in ["", *path.split("/")] if path else [""]:
            place = place / part
            try:
                mode = place.lstat().st_mode
            except FileNotFoundError:
                place.mkdir()
                self._finish(place, _DIRECTORY_MODE)
                continue
            if not stat.S_ISDIR(mode) and place != self.root:
                raise PublishError(f"{place}: expected a directory of the store, found something else")

    def check(self, path: str) -> None:
        """See that what is written or removed at a path is in the store: none of the directories above it is a symlink.

        Raises:
            PublishError: one is, or something else than a directory.
        """
        place = self.root
        for part in path.split("/")[:-1]:
            place = place / part
            try:
                mode = place.lstat().st_mode
            except FileNotFoundError:
                return
            if not stat.S_ISDIR(mode):
                raise PublishError(f"{place}: expected a directory of the store, found something else")

    def put_file(self, path: str, content: IO[bytes]) -> None:
        """Put a file; one that is there is replaced as a whole. The content is read to its end, and not closed."""
        new = self._aside(path, "new")
        with new.open("xb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
        self._finish(new, _FILE_MODE)
        self._move(new, path)

    def put_index(self, path: str, data: bytes) -> None:
        """Replace an index as a whole; on return it is on the disk under its name."""
        new = self._aside(path, "new")
        with new.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._finish(new, _FILE_MODE)
        self._move(new, path)
        _sync_directory(self.root / path.rpartition("/")[0])

    def put_symlink(self, path: str, target: str) -> None:
        """Put a symlink; one that is there is replaced."""
        new = self._aside(path, "new")
        new.symlink_to(target)
        if self.owners.given_to:
            os.chown(new, *self.owners.given_to, follow_symlinks=False)
        self._move(new, path)

    def put_tree(self, step: PutTree, advance: Callable[[int], object]) -> None:
        """Put a layer's directory; what an interrupted run left at its place gives way."""
        new = self._aside(step.path, "new")
        new.mkdir()
        for name, data in step.files.items():
            (new / name).write_bytes(data)
            self._finish(new / name, _FILE_MODE)
        for name in step.directories:
            (new / name).mkdir()
            self._finish(new / name, _DIRECTORY_MODE)
        if step.leads_to:
            self.put_symlink(f"{new.relative_to(self.root)}/diff", step.leads_to)
        else:
            self._write_diff(step, new / "diff", advance)
        self._finish(new, _DIRECTORY_MODE)
        self.remove(step.path)
        self._move(new, step.path)

    def _write_diff(self, step: PutTree, diff: Path, advance: Callable[[int], object]) -> None:
        # Most changes write no tree, and importing this takes its time.
        from cstore.publish.tree import write_tree  # noqa: PLC0415

        diff.mkdir()
        top = os.open(diff, os.O_RDONLY | os.O_DIRECTORY)
        try:
            write_tree(step.tree.walk(), top, self.owners, advance)
        except OSError as error:
            # Its path is one in the tree, and the directory has not got its name yet.
            inner = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
            place = os.path.join(self.root, step.path, "diff", inner)  # noqa: PTH118 - an empty one
            raise OSError(error.errno, error.strerror, place) from None
        finally:
            os.close(top)

    def put_lock(self, path: str, data: bytes) -> None:
        """Write the bytes of a lock in place: those who hold it keep holding the same file."""
        self.check(path)
        if not (self.root / path).exists():
            self.put_directory(path.rpartition("/")[0])
            handle = os.open(self.root / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE)
        else:
            handle = os.open(self.root / path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(handle, data, 0)
            os.ftruncate(handle, len(data))
        finally:
            os.close(handle)
        self._finish(self.root / path, _FILE_MODE)

    def remove(self, path: str) -> None:
        """Remove whatever is at a path, if anything is; it is gone at once, though deleting a large tree takes its time.

        Where a file system cannot rename a directory, as overlay those of a lower layer, it goes piece by piece; if that is
        interrupted, what is left can be removed again.
        """
        self.check(path)
        place = self.root / path
        if not os.path.lexists(place):
            return
        old = self._aside(path, "old")
        try:
            place.rename(old)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            old = place
        delete(old)

    def sync(self) -> None:
        """Return when all that was written is on the disk: one call for the many files of a tree."""
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(self.root))
        finally:
            os.close(handle)

    def tidy(self, directory: str) -> None:
        """Delete what an interrupted run left aside in a directory."""
        self.check(f"{directory}/{ASIDE}" if directory else ASIDE)
        place = self.root / directory
        if place.is_dir():
            for left in [found for found in place.iterdir() if found.name.startswith(ASIDE)]:
                delete(left)

    def _aside(self, path: str, name: str) -> Path:
        directory = path.rpartition("/")[0]
        self.put_directory(directory)
        place = self.root / directory / f"{ASIDE}{name}"
        if os.path.lexists(place):
            delete(place)
        return place

    def _move(self, new: Path, path: str) -> None:
        new.rename(self.root / path)

    def _finish(self, place: Path, mode: int) -> None:
        if self.owners.given_to:
            os.chown(place, *self.owners.given_to)
        place.chmod(mode)


def delete(place: Path) -> None:
    """Delete a file or a whole tree, however deep, also where a plain user's own directories refuse it by their mode.

    One directory is open at a time, from which the way leads down by a name and up by `..`, so that neither the depth of a tree nor
    the length of its paths matters. No directory is renamed, which overlay would refuse.
    """
    if not place.is_dir() or place.is_symlink():
        place.unlink()
        return
    here = _entered(str(place), None)
    try:
        waiting = [_emptied(here)]
        names: list[str] = []
        while names or waiting[-1]:
            if waiting[-1]:
                names.append(waiting[-1].pop())
                here = _moved(here, _entered(names[-1], here))
                waiting.append(_emptied(here))
            else:
                waiting.pop()
                here = _moved(here, os.open("..", _DIRECTORY, dir_fd=here))
                os.rmdir(names.pop(), dir_fd=here)
    finally:
        os.close(here)
    place.rmdir()


def _entered(name: str, above: int | None) -> int:
    """Open a directory; a plain user is let do what he likes in one of his, root can anyway."""
    if os.geteuid() != 0:
        os.chmod(name, stat.S_IRWXU, dir_fd=above)
    return os.open(name, _DIRECTORY, dir_fd=above)


def _moved(old: int, new: int) -> int:
    os.close(old)
    return new


def _emptied(directory: int) -> list[str]:
    """Delete all that a directory holds but its directories, and return their names."""
    with os.scandir(directory) as found:
        entries = list(found)
    names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=directory)
    return names


def _sync_directory(place: Path) -> None:
    """Return when the names in a directory are on the disk."""
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
