"""The one place that writes files of a store: each appears whole, with its final mode, or not at all."""

from __future__ import annotations

import ctypes
import errno
import io
import os
import shutil
import stat
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, TYPE_CHECKING

from attrs import frozen

from cstore.errors import PublishError
from cstore.publish.deleting import delete, delete_in
from cstore.publish.descent import Descent
from cstore.publish.locks import exclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cstore.delta import PutTree
    from cstore.publish.owners import Owners

__all__ = ["ASIDE", "Writer", "delete", "write_all"]


ASIDE = ".cstore-aside-"
"""How the names begin under which things are made beside their place, and are moved away to be removed.

They are in the directory of their place, since skopeo and podman leave `overlay` mounted on itself, and no rename crosses a mount.
"""

_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644
_CHUNK = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_PLACE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class Writer:
    """Writes below one store. Paths are relative to it, with `/` between their parts.

    Nothing is written through a symlink: where a directory of the store is one, that is an error. Each directory is entered once for
    what is done in it, so that somebody who exchanges it meanwhile leads nothing elsewhere (spec P12, P26).
    """

    root: Path
    owners: Owners

    def put_directory(self, path: str) -> None:
        """See that a directory is there, and those above it."""
        os.close(self._descent.enter(path, make=True))

    def check(self, path: str) -> None:
        """See that what is written or removed at a path is in the store: none of the directories above it is a symlink.

        Raises:
            PublishError: one is, or something else than a directory.
        """
        with suppress(FileNotFoundError), self._descent.at(path):
            pass

    def put_file(self, path: str, content: IO[bytes]) -> None:
        """Put a file; one that is there is replaced as a whole. The content is read to its end, and not closed."""
        with self._descent.at(path, make=True) as (directory, name):
            self._put(directory, name, content, is_synced=False)

    def put_index(self, path: str, data: bytes) -> None:
        """Replace an index as a whole; on return it is on the disk under its name."""
        with self._descent.at(path, make=True) as (directory, name):
            self._put(directory, name, io.BytesIO(data), is_synced=True)
            os.fsync(directory)

    def put_symlink(self, path: str, target: str) -> None:
        """Put a symlink; one that is there is replaced."""
        with self._descent.at(path, make=True) as (directory, name):
            new = self._aside(directory, "new")
            os.symlink(target, new, dir_fd=directory)
            if self.owners.given_to:
                os.chown(new, *self.owners.given_to, dir_fd=directory, follow_symlinks=False)
            _rename(new, name, directory)

    def put_tree(self, step: PutTree, advance: Callable[[int], object]) -> None:
        """Put a directory with a tree; what an interrupted run left at its place gives way."""
        with self._descent.at(step.path, make=True) as (directory, name):
            new = self._aside(directory, "new")
            made = self._descent.made(new, directory)
            try:
                self._fill(made, step, advance)
                if step.inside:
                    self._descent.finish(made, _DIRECTORY_MODE)
            finally:
                os.close(made)
            self._remove(directory, name)
            _rename(new, name, directory)

    def _fill(self, made: int, step: PutTree, advance: Callable[[int], object]) -> None:
        for name, data in step.files.items():
            self._write(made, name, io.BytesIO(data))
        for name in step.directories:
            inner = self._descent.made(name, made)
            self._descent.finish(inner, _DIRECTORY_MODE)
            os.close(inner)
        if step.leads_to:
            os.symlink(step.leads_to, step.inside, dir_fd=made)
            if self.owners.given_to:
                os.chown(step.inside, *self.owners.given_to, dir_fd=made, follow_symlinks=False)
            return
        # Most changes write no tree, and importing this takes its time.
        from cstore.publish.tree import write_tree  # noqa: PLC0415

        top = self._descent.made(step.inside, made) if step.inside else made
        try:
            write_tree(step.tree.walk(), top, self.owners, advance)
        except OSError as error:
            # Its path is one in the tree, and the directory has not got its name yet.
            inside = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
            place = os.path.join(self.root, step.top, inside)  # noqa: PTH118 - an empty one
            raise OSError(error.errno, error.strerror, place) from None
        finally:
            if top != made:
                os.close(top)

    def put_lock(self, path: str, data: bytes) -> None:
        """Write the bytes of a lock in place: those who hold it keep holding the same file.

        Raises:
            PublishError: it is no file, or one that has another name too: that may be anywhere.
        """
        with self._descent.at(path, make=True) as (directory, name):
            try:
                file = os.open(name, _IN_PLACE, dir_fd=directory)
            except FileNotFoundError:
                file = os.open(name, _NEW, _FILE_MODE, dir_fd=directory)
            try:
                status = os.fstat(file)
                if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                    raise PublishError(f"{self.root / path}: expected a file with this name alone, found something else")
                write_all(file, data)
                os.ftruncate(file, len(data))
                self._descent.finish(file, _FILE_MODE)
            finally:
                os.close(file)

    @contextmanager
    def locked(self, path: str, patience: float) -> Iterator[None]:
        """Hold a lock of podman's exclusively while the body runs, if there is one.

        Args:
            path: of its file.
            patience: seconds to wait for those who hold it.

        Raises:
            PublishError: somebody held it all that time, or it cannot be opened.
        """
        with ExitStack() as held:
            with suppress(FileNotFoundError), self._descent.at(path) as (directory, name):
                os.stat(name, dir_fd=directory, follow_symlinks=False)
                held.enter_context(exclusive(self.root / path, patience, directory))
            yield

    def has(self, path: str) -> bool:
        """Whether anything is at a path."""
        with suppress(FileNotFoundError), self._descent.at(path) as (directory, name):
            os.stat(name, dir_fd=directory, follow_symlinks=False)
            return True
        return False

    def keep(self, path: str, aside: str) -> None:
        """Give a file or symlink a second name, and leave it where it is."""
        with self._descent.at(path) as (directory, name), self._descent.at(aside) as (other, kept):
            os.link(name, kept, src_dir_fd=directory, dst_dir_fd=other, follow_symlinks=False)

    def restore(self, aside: str, path: str) -> None:
        """Put back what was kept, if it was."""
        with suppress(FileNotFoundError), self._descent.at(aside) as (other, kept):
            os.stat(kept, dir_fd=other, follow_symlinks=False)
            with self._descent.at(path) as (directory, name):
                os.rename(kept, name, src_dir_fd=other, dst_dir_fd=directory)

    def remove(self, path: str) -> None:
        """Remove whatever is at a path, if anything is; it is gone at once, though deleting a large tree takes its time.

        Where a file system cannot rename a directory, as overlay those of a lower layer, it goes piece by piece; if that is
        interrupted, what is left can be removed again.
        """
        with suppress(FileNotFoundError), self._descent.at(path) as (directory, name):
            self._remove(directory, name)

    def remove_empty(self, path: str) -> None:
        """Remove a directory if it is empty."""
        with suppress(OSError, PublishError), self._descent.at(path) as (directory, name):
            os.rmdir(name, dir_fd=directory)

    def empty(self, path: str, first: str, kept: str) -> None:
        """Delete all that is in a directory but one name.

        Args:
            path: the directory.
            first: the name that goes before all others.
            kept: the name that stays.
        """
        directory = self._descent.enter(path)
        try:
            names = os.listdir(directory)  # noqa: PTH208 - of a descriptor
            for name in sorted(names, key=lambda name: name != first):
                if name != kept:
                    delete_in(directory, name)
        finally:
            os.close(directory)

    def sync(self) -> None:
        """Return when all that was written is on the disk: one call for the many files of a tree."""
        handle = self._descent.enter("")
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(self.root))
        finally:
            os.close(handle)

    def tidy(self, directory: str) -> None:
        """Delete what an interrupted run left aside in a directory."""
        with suppress(FileNotFoundError), self._descent.at(f"{directory}/{ASIDE}" if directory else ASIDE) as (place, _):
            for left in [name for name in os.listdir(place) if name.startswith(ASIDE)]:  # noqa: PTH208 - of a descriptor
                delete_in(place, left)

    @property
    def _descent(self) -> Descent:
        return Descent(self.root, self.owners)

    def _put(self, directory: int, name: str, content: IO[bytes], *, is_synced: bool) -> None:
        new = self._aside(directory, "new")
        self._write(directory, new, content, is_synced=is_synced)
        _rename(new, name, directory)

    def _write(self, directory: int, name: str, content: IO[bytes], *, is_synced: bool = False) -> None:
        with os.fdopen(os.open(name, _NEW, _FILE_MODE, dir_fd=directory), "wb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
            file.flush()
            self._descent.finish(file.fileno(), _FILE_MODE)
            if is_synced:
                os.fsync(file.fileno())

    def _remove(self, directory: int, name: str) -> None:
        try:
            os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        old = self._aside(directory, "old")
        try:
            _rename(name, old, directory)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            old = name
        delete_in(directory, old)

    def _aside(self, directory: int, name: str) -> str:
        """Return a name beside a place at which there is nothing."""
        aside = f"{ASIDE}{name}"
        with suppress(FileNotFoundError):
            delete_in(directory, aside)
        return aside


def _rename(old: str, new: str, directory: int) -> None:
    os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)


def write_all(handle: int, data: bytes) -> None:
    """Write all of some bytes, of which one call may write a part, into a file or a pipe.

    Raises:
        OSError: the file system refused, or nobody reads the pipe any more.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
