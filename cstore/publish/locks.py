"""Locks: podman's, around the steps that change an index, and cstore's own, that lets one writer at a time into a store."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cstore.errors import PublishError
from cstore.index.lock import request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["NoLocksError", "everybodys", "exclusive", "take"]

_PAUSE = 0.01
_UNTOLD = 3.0
"""Seconds that one waits without a word."""
_MODE = 0o666
_HOW = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class NoLocksError(PublishError):
    """Nobody can lock a file there."""


@contextmanager
def exclusive(path: Path, patience: float, directory: int | None = None) -> Iterator[None]:
    """Hold a lock file exclusively; podman's readers and writers on this machine wait meanwhile (spec K1).

    The lock is one of the open file, not of the process: it goes when the process dies, and reading the store meanwhile does not
    lose it.

    Args:
        path: the lock file, which must exist.
        patience: seconds to wait for those who hold it.
        directory: a descriptor of its directory, where that is open.

    Raises:
        PublishError: somebody held it all that time, or it cannot be opened.
    """
    with _held(path, patience, lambda: os.open(path if directory is None else path.name, _HOW, dir_fd=directory)):
        yield


@contextmanager
def everybodys(path: Path, patience: float) -> Iterator[None]:
    """Hold a lock file that every user of this machine can lock; it is made if there is none, and stays.

    Args:
        path: the lock file.
        patience: seconds to wait for those who hold it.

    Raises:
        PublishError: somebody held it all that time, or it cannot be opened.
    """
    with _held(path, patience, lambda: _opened(path)):
        yield


@contextmanager
def _held(path: Path, patience: float, opened: Callable[[], int]) -> Iterator[None]:
    try:
        file = opened()
    except OSError as error:
        raise PublishError(f"{path}: expected a lock file that can be written, found: {error.strerror}") from None
    try:
        take(file, path, patience)
        yield
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    while True:
        # In a directory as /run/lock the kernel refuses O_CREAT to all but a file's owner (fs.protected_regular), also if it is there.
        try:
            return os.open(path, _HOW)
        except FileNotFoundError:
            pass
        try:
            file = os.open(path, _HOW | os.O_CREAT | os.O_EXCL, _MODE)
        except FileExistsError:
            continue
        os.fchmod(file, _MODE)
        return file


def take(file: int, path: Path, patience: float, waiting: Callable[[], object] = lambda: None) -> None:
    """Lock an open file exclusively, until it is closed.

    Args:
        file: its descriptor.
        path: how errors name it.
        patience: seconds to wait for those who hold it.
        waiting: is called once, when that has taken some seconds.

    Raises:
        NoLocksError: the file system knows no locks.
        PublishError: somebody held it all that time.
    """
    start = time.monotonic()
    has_told = False
    while True:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, request(fcntl.F_WRLCK))
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise NoLocksError(f"{path}: expected a file system with locks, found: {error.strerror}") from None
            if time.monotonic() >= start + patience:
                raise PublishError(f"{path}: expected the lock within {patience:g} seconds, found it held by another program") from None
            if not has_told and time.monotonic() >= start + _UNTOLD:
                waiting()
                has_told = True
            time.sleep(_PAUSE)
        else:
            return
