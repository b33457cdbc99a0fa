"""Keeping directory trees alike: files are shared by hard links, and only what differs is touched."""

# Paths are texts here, for there are hundreds of thousands of them.
# ruff: noqa: PTH101, PTH102, PTH108, PTH115, PTH118, PTH120, PTH211

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["find", "mirror_paths", "mirror_tree", "remove"]

_OWN = ("user.revision", "user.root_hash")


def find(path: str) -> os.stat_result | None:
    """Look at a path without following it; None if it does not exist."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(path: str) -> None:
    """Remove a file or a tree."""
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def mirror_paths(source: str, target: str, paths: Iterable[str]) -> None:
    """Make these paths of one tree what they are in another.

    A directory that is in both gets its attributes only; one that is new gets all that is in it.
    """
    ordered = sorted(paths)
    directories = {os.path.dirname(path) for path in ordered}
    for path in ordered:
        here, there = os.path.join(source, path), os.path.join(target, path)
        wanted, present = find(here), find(there)
        if wanted is not None and stat.S_ISDIR(wanted.st_mode):
            directories.add(path)
            if present is None or not stat.S_ISDIR(present.st_mode):
                if present is not None:
                    os.unlink(there)
                os.mkdir(there)
                mirror_tree(here, there)
        else:
            _mirror_leaf(here, there, wanted, present)
    for path in sorted(directories, reverse=True):
        here, there = os.path.join(source, path), os.path.join(target, path)
        wanted, present = find(here), find(there)
        if wanted is not None and stat.S_ISDIR(wanted.st_mode) and present is not None:
            _copy_attributes(here, there, wanted)


def mirror_tree(source: str, target: str, text: Callable[[str], str] | None = None) -> None:
    """Make a directory equal to another one.

    Args:
        source: the one to follow.
        target: the one to change; it exists.
        text: changes the text of each symlink.
    """
    with os.scandir(source) as entries:
        wanted = {entry.name: entry for entry in entries}
    with os.scandir(target) as entries:
        for entry in list(entries):
            known = wanted.get(entry.name)
            if known is None or known.is_dir(follow_symlinks=False) != entry.is_dir(follow_symlinks=False):
                remove(entry.path)
    for name, entry in wanted.items():
        there = os.path.join(target, name)
        if entry.is_dir(follow_symlinks=False):
            if not os.path.lexists(there):
                os.mkdir(there)
            mirror_tree(entry.path, there, text)
        elif text is not None and entry.is_symlink() and text(os.readlink(entry.path)) != os.readlink(entry.path):
            if os.path.lexists(there):
                os.unlink(there)
            os.symlink(text(os.readlink(entry.path)), there)
        else:
            _mirror_leaf(entry.path, there, os.lstat(entry.path), find(there))
    _copy_attributes(source, target, os.lstat(source))


def _mirror_leaf(here: str, there: str, wanted: os.stat_result | None, present: os.stat_result | None) -> None:
    if wanted is not None and present is not None and wanted.st_ino == present.st_ino:
        return
    if present is not None:
        remove(there)
    if wanted is not None:
        os.link(here, there, follow_symlinks=False)


def _copy_attributes(source: str, target: str, wanted: os.stat_result) -> None:
    os.chown(target, wanted.st_uid, wanted.st_gid)
    os.chmod(target, stat.S_IMODE(wanted.st_mode))
    names = [name for name in os.listxattr(source) if name not in _OWN]
    for name in os.listxattr(target):
        if name not in names and name not in _OWN:
            os.removexattr(target, name)
    for name in names:
        os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(wanted.st_mtime_ns, wanted.st_mtime_ns))
