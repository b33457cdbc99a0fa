"""Mounts of the union, and who is using it."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tools.cvmfs_standin.site import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.cvmfs_standin.site import Repository

__all__ = ["bind_read_only", "is_busy_writing", "is_inside", "mounts_below", "show_published", "show_writable", "unmount"]

_READ_ONLY, _NO_SUID, _NO_DEVICES, _REMOUNT, _BIND = 1, 2, 4, 32, 4096
_LAZY = 2


def show_published(repository: Repository) -> None:
    """Mount the union read-only, as it is between transactions.

    Without the right to mount, the union stays empty; nobody reads the published state there.
    """
    with suppress(CommandError):
        _show(repository, _READ_ONLY)


def show_writable(repository: Repository) -> None:
    """Mount the union for a transaction.

    Raises:
        CommandError: the system does not let us mount an overlay.
    """
    _show(repository, 0)


def _show(repository: Repository, flags: int) -> None:
    unmount(repository.union)
    lower, upper, work = repository.published.resolve(), repository.scratch, repository.spool / "ofs_workdir"
    options = f"lowerdir={lower},upperdir={upper},workdir={work},xino=off,redirect_dir=off,metacopy=off,index=off"
    _mount(f"overlay_{repository.name}", repository.union, "overlay", flags, options)


def bind_read_only(directory: Path) -> None:
    """Make a directory what a client's mount is: read-only, without devices that work, without set-user-ID."""
    _mount(str(directory), directory, "", _BIND, "")
    _mount("", directory, "", _BIND | _REMOUNT | _READ_ONLY | _NO_SUID | _NO_DEVICES, "")


def unmount(directory: Path) -> None:
    """Unmount whatever is mounted there, also while it is in use."""
    libc = ctypes.CDLL(None, use_errno=True)
    while libc.umount2(os.fsencode(directory), _LAZY) == 0:
        pass


def mounts_below(directory: Path) -> list[Path]:
    """Return the mounts below a directory, the last one first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [Path(line.split()[4].encode().decode("unicode_escape")) for line in lines]
    return [place for place in reversed(places) if place.is_relative_to(directory.resolve())]


def is_inside(union: Path) -> bool:
    """Whether this process, and so its caller, stands in the union."""
    try:
        return Path.cwd().is_relative_to(union.resolve())
    except FileNotFoundError:
        return False


def is_busy_writing(union: Path) -> bool:
    """Whether any process has a file of the union open for writing."""
    return any(_is_writing(descriptor, f"{union.resolve()}/") for descriptor in _descriptors())


def _descriptors() -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                yield from (process / "fd").iterdir()


def _is_writing(descriptor: Path, prefix: str) -> bool:
    with suppress(OSError):
        if str(descriptor.readlink()).startswith(prefix):
            text = (descriptor.parent.parent / "fdinfo" / descriptor.name).read_text()
            flags = next(line.split()[1] for line in text.splitlines() if line.startswith("flags:"))
            return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def _mount(source: str, target: Path, kind: str, flags: int, options: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(source), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), options.encode() or None):
        raise CommandError(f"cannot mount {target}: {os.strerror(ctypes.get_errno())}")
