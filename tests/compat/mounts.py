"""Mounts that only the tests see."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.compat.programs import attempt, run

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["private_mounts", "read_only", "unmount_below"]

_NEW_NAMESPACE = 0x20000
_CACHE = Path("/var/lib/containers")


@contextmanager
def private_mounts() -> Iterator[None]:
    """Give this process mounts of its own, which go with it however it ends.

    The directory where podman and skopeo keep what they know of blobs, whatever graph root they are told, is an empty one then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before, where = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), Path.cwd()
    _check(libc.unshare(_NEW_NAMESPACE))
    made = not _CACHE.exists()
    _CACHE.mkdir(parents=True, exist_ok=True)
    try:
        run("mount", "--make-rprivate", "/")
        run("mount", "-t", "tmpfs", "tmpfs", _CACHE)
        yield
    finally:
        _check(libc.setns(before, _NEW_NAMESPACE))
        os.close(before)
        os.chdir(where)
        if made:
            with suppress(OSError):
                _CACHE.rmdir()


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def read_only(directory: Path, at: Path) -> Iterator[Path]:
    """Mount a directory so that nobody can write through the mount."""
    at.mkdir(parents=True, exist_ok=True)
    run("mount", "--bind", directory, at)
    try:
        run("mount", "-o", "remount,ro,bind", at)
        yield at
    finally:
        run("umount", "--lazy", at)


def unmount_below(directory: Path) -> None:
    """Unmount all that a program left mounted at a directory and below it."""
    for place in reversed(_mounted_below(directory)):
        done = attempt("umount", "--lazy", place)
        # What a container leaves behind it lets go by itself, perhaps just now.
        assert done.returncode == 0 or place not in _mounted_below(directory), done.stderr


def _mounted_below(directory: Path) -> list[str]:
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [place for place in mounted if Path(place).is_relative_to(directory)]
