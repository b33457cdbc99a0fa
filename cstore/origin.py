"""The repository that holds a store: where symlinks may lead that leave the store."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attrs import frozen

from cstore.files import Directory
from cstore.model.layout import ABOUT, VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Origin", "has_own_repository", "opened", "room"]

_MOST_STEPS = 40
_LEVELS = 2
"""Directories from a view up to its store."""
_MARKS = ("user.fqrn", "user.root_hash")
_FIND = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened(root: Path) -> Iterator[Directory]:
    """Open the directory of a store while the body runs; symlinks in it are followed as far as they stay in its repository.

    Raises:
        OSError: it cannot be opened.
    """
    top = _top(root)
    try:
        yield top
    finally:
        top.close()


@contextmanager
def room(root: Path, path: str) -> Iterator[Directory | None]:
    """Open a directory of a store while the body runs; None where there is none, or a symlink to it leads out of the repository."""
    try:
        top = _top(root)
    except OSError:
        yield None
        return
    try:
        with top.along(path) as found:
            yield found
    finally:
        top.close()


def _top(root: Path) -> Directory:
    def follow(path: str, target: str) -> int | None:
        origin = Origin.of(root, str(root.absolute()))
        return origin.open(origin.inside(path), target)

    return Directory.at(root, follow)


def read(root: Path, path: str, most: int) -> bytes | None:
    """Return the content of a file of a store; None where there is none.

    Args:
        root: the store's directory.
        path: of the file, relative to it.
        most: bytes that it may have.

    Raises:
        UnreadableError: it is no file, cannot be read, or is larger.
    """
    above, _, name = path.rpartition("/")
    with room(root, above) as found:
        return found.read(name, most) if found is not None and found.status(name) is not None else None


@frozen
class Origin:
    """A repository, or the directory in which a store lies.

    A path is followed part by part, so that no symlink leads out of it.
    """

    root: Path
    """As it can be read here."""
    readers_root: str
    """As readers see it: absolute symlinks name that."""
    store: tuple[str, ...]
    """Where in it the store is."""

    @classmethod
    def of(cls, store: Path, readers_store: str) -> Self:
        """Return the repository of a store: the nearest directory above that CernVM-FS marks as one, or else just the one above.

        That one counts only if it belongs to the owner of the store: who owns a store in a directory such as `/tmp` must not lead
        others to what lies beside it (spec P26). Of a
        view it is that of its store.

        Args:
            store: the store's directory.
            readers_store: the absolute path by which readers mount it.
        """
        place = Path(os.path.realpath(store))
        root = next((above for above in place.parents if _is_repository(above)), None) or _above(place)
        inside = place.relative_to(root).parts
        readers = Path(os.path.normpath(readers_store)).parts
        matches = readers[len(readers) - len(inside) :] == inside
        above = str(Path(*readers[: len(readers) - len(inside)])) if matches else str(root)
        return cls(root, above, inside)

    def inside(self, path: str) -> list[str]:
        """Return where in the repository a path of the store is."""
        return [*self.store, *_parts(path)]

    def kind_at(self, directory: list[str], target: str) -> int | None:
        """Return the mode of what a symlink leads to; 0 where that is nothing, None where it is outside.

        Args:
            directory: where in the repository the symlink is.
            target: its text.
        """
        place = self.find(directory, target)
        if place is None:
            return None
        found = self._open(place)
        if found < 0:
            return 0
        try:
            return os.fstat(found).st_mode
        finally:
            os.close(found)

    def open(self, directory: list[str], target: str) -> int | None:
        """Return a descriptor of the directory or file to which a symlink leads; None where it leads to neither, or outside.

        The caller closes it.
        """
        place = self.find(directory, target)
        found = self._open(place) if place is not None else -1
        if found < 0:
            return None
        try:
            mode = os.fstat(found).st_mode
            # What is open as a path can be opened for reading only by that path, which is no symlink any more.
            return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC) if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else None
        except OSError:
            return None
        finally:
            os.close(found)

    def find(self, directory: list[str], target: str) -> list[str] | None:
        """Return where in the repository a symlink leads, part by part and through no other; None where it leads outside.

        One that leads in circles leads to a symlink.
        """
        start = self._start([*directory], target)
        steps = 0
        while start is not None and start[1]:
            at, left = start
            part = left.pop()
            if part == "..":
                start = (at[:-1], left) if at else None
            elif (text := self._link([*at, part])) is None:
                at.append(part)
            elif (steps := steps + 1) > _MOST_STEPS:
                return [*at, part]
            else:
                further = self._start(at, text)
                start = (further[0], [*left, *further[1]]) if further else None
        return start[0] if start is not None else None

    def _start(self, at: list[str], target: str) -> tuple[list[str], list[str]] | None:
        """Return where the text of a symlink begins and the parts to go from there, the last first; None where that is outside."""
        if not target.startswith("/"):
            return at, _parts(target)[::-1]
        for root in (self.readers_root, str(self.root)):
            if target == root or target.startswith(f"{root.rstrip('/')}/"):
                return [], _parts(target[len(root) :])[::-1]
        return None

    def _link(self, place: list[str]) -> str | None:
        """Return the text of a symlink; None where there is none."""
        found = self._open(place)
        if found < 0:
            return None
        try:
            return os.readlink("", dir_fd=found) if stat.S_ISLNK(os.fstat(found).st_mode) else None
        except OSError:
            return None
        finally:
            os.close(found)

    def _open(self, place: list[str]) -> int:
        """Return a descriptor (of O_PATH) of what is at the end of a path without symlinks; -1 where there is nothing."""
        found = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in place:
            try:
                inner = os.open(part, _FIND, dir_fd=found)
            except (OSError, ValueError):
                inner = -1
            os.close(found)
            if inner < 0:
                return -1
            found = inner
        return found


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _above(place: Path) -> Path:
    """Return the directory above a store, or the store itself where another one owns that."""
    store = _store_of(place)
    return store.parent if has_own_repository(store) else store


def _store_of(place: Path) -> Path:
    """Return the store whose layers a view shares, where one user owns both; any other store is itself."""
    store = place.parents[_LEVELS - 1] if len(place.parents) >= _LEVELS else place
    with suppress(OSError):
        owners = {directory.stat().st_uid for directory in (place, place.parent, store)}
        if place.parent.name == VIEWS and os.path.lexists(store / ABOUT) and len(owners) == 1:
            return store
    return place


def has_own_repository(store: Path) -> bool:
    """Whether the directory above a store belongs to the owner of the store, so that what lies there can be the store's too."""
    with suppress(OSError):
        return store.parent.stat().st_uid == store.stat().st_uid
    return True


def _is_repository(place: Path) -> bool:
    for mark in _MARKS:
        with suppress(OSError):
            os.getxattr(place, mark)
            return True
    return False
