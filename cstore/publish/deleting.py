"""Deleting whole trees, of whoever's files and while whoever changes them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cstore.errors import PublishError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DIRECTORY", "delete", "delete_in"]

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory is entered that may have become anything else."""


def delete(place: Path) -> None:
    """Delete a file or a whole tree, however deep, also where a plain user's own directories refuse it by their mode.

    Raises:
        PublishError: a directory was moved elsewhere meanwhile.
        OSError: the file system refused.
    """
    above = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        delete_in(above, place.name)
    finally:
        os.close(above)


def delete_in(above: int, name: str) -> None:
    """Delete what has a name in an open directory, as `delete` does.

    One directory is open at a time, from which the way leads down by a name and up by `..`, so that neither the depth of a tree nor
    the length of its paths matters. Who moves a directory away meanwhile does not lead the way elsewhere: each one that `..` leads to
    must be the one from which the way went down. No directory is renamed, which overlay would refuse.
    """
    if not stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=above)
        return
    here = _entered(name, above)
    try:
        waiting = [_emptied(here)]
        names: list[str] = []
        passed: list[tuple[int, int]] = []
        while names or waiting[-1]:
            if waiting[-1]:
                names.append(waiting[-1].pop())
                passed.append(_identity(here))
                here = _moved(here, _entered(names[-1], here))
                waiting.append(_emptied(here))
            else:
                waiting.pop()
                here = _moved(here, os.open("..", DIRECTORY, dir_fd=here))
                if _identity(here) != passed.pop():
                    raise PublishError(f"{name}: expected a directory to stay where it is while it is deleted, found it moved")
                os.rmdir(names.pop(), dir_fd=here)
    finally:
        os.close(here)
    os.rmdir(name, dir_fd=above)


def _identity(directory: int) -> tuple[int, int]:
    status = os.fstat(directory)
    return status.st_dev, status.st_ino


def _entered(name: str, above: int) -> int:
    """Open a directory; a plain user is let do what he likes in one of his, root can anyway."""
    if os.geteuid() != 0:
        os.chmod(name, stat.S_IRWXU, dir_fd=above)
    return os.open(name, DIRECTORY, dir_fd=above)


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
