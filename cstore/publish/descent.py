"""The directories of a store, entered without a symlink: what is done in one is done there, whatever takes its place meanwhile."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.errors import PublishError
from cstore.publish.deleting import DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cstore.publish.owners import Owners

__all__ = ["Descent"]

_MODE = 0o755
_PRIVATE = 0o700


@frozen
class Descent:
    """A store's directory, and those in it. Paths are relative to it, with `/` between their parts (spec P26)."""

    root: Path
    owners: Owners

    @contextmanager
    def at(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Enter the directory of a path while the body runs, and give its descriptor and the name in it.

        Args:
            path: a path of the store.
            make: whether directories that are not there are made.

        Raises:
            PublishError: a directory above the path is a symlink, or something else.
            FileNotFoundError: there is none, and it is not to be made.
            OSError: from the body too, with the whole path.
        """
        above, _, name = path.rpartition("/")
        directory = self.enter(above, make=make)
        try:
            yield directory, name
        except OSError as error:
            if not isinstance(error.filename, str | bytes) or os.fsdecode(error.filename).startswith("/"):
                raise
            raise OSError(error.errno, error.strerror, str(self.root / path)) from error
        finally:
            os.close(directory)

    def enter(self, path: str, *, make: bool = False) -> int:
        """Return a descriptor of a directory, which the caller closes. The arguments, and what is raised, are those of `at`."""
        here, place = self._top(make=make), self.root
        for part in path.split("/") if path else ():
            place = place / part
            above = here
            try:
                here = self._entered(part, above, place, make=make)
            finally:
                os.close(above)
        return here

    def made(self, name: str, above: int, mode: int = _PRIVATE) -> int:
        """Make a directory in an open one and return a descriptor of it, for `finish` to give it away; nobody else can change it before.

        Args:
            name: its name.
            above: the open directory.
            mode: that it has meanwhile; what readers see already, they can enter, also if this process dies.

        Raises:
            PublishError: somebody has put another one in its place.
        """
        os.mkdir(name, mode, dir_fd=above)
        made = os.open(name, DIRECTORY, dir_fd=above)
        if os.geteuid() == 0 and os.fstat(made).st_uid != 0:
            os.close(made)
            raise PublishError(f"{self.root}: expected the directory {name} that was made just now, found another one")
        return made

    def finish(self, file: int, mode: int) -> None:
        """Give an open file or directory its owner and mode."""
        if self.owners.given_to:
            os.chown(file, *self.owners.given_to)
        os.chmod(file, mode)

    def _top(self, *, make: bool) -> int:
        try:
            top = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            if not make:
                raise
            self.root.mkdir()
            top = os.open(self.root, DIRECTORY)
            self.finish(top, _MODE)
        owner = os.fstat(top).st_uid
        if os.geteuid() == 0 and owner != (self.owners.one or (0,))[0]:
            os.close(top)
            raise PublishError(f"{self.root}: expected the directory of user {(self.owners.one or (0,))[0]}, found one of user {owner}")
        return top

    def _entered(self, part: str, above: int, place: Path, *, make: bool) -> int:
        try:
            return os.open(part, DIRECTORY, dir_fd=above)
        except FileNotFoundError:
            if not make:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place)) from None
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise OSError(error.errno, error.strerror, str(place)) from None
            raise PublishError(f"{place}: expected a directory of the store, found something else") from None
        made = self.made(part, above, _MODE)
        self.finish(made, _MODE)
        return made
