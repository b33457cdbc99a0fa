"""A layer's tree written into an empty directory."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cstore.layer.entry import Entry, Kind
from cstore.layer.scan import UNPRIVILEGED
from cstore.layer.sparse import placed
from cstore.publish.writer import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cstore.publish.owners import Owners

__all__ = ["write_tree"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NODES = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}


def write_tree(
    entries: Iterable[tuple[Entry, Iterator[bytes]]],
    top: int,
    owners: Owners,
    advance: Callable[[int], object],
) -> None:
    """Write the entries of a tree.

    No symlink is ever followed: each entry is made anew, below directories that were made here.

    Args:
        entries: as `Tree.walk` gives them.
        top: a descriptor of the empty directory that becomes the top one.
        owners: whose the files are to be.
        advance: is called with the bytes of content of each file.

    Raises:
        OSError: the file system refused.
    """
    directories: list[Entry] = []
    left_out: set[bytes] = set()
    for entry, content in entries:
        kind = entry.kind
        if kind is Kind.FILE:
            _write_file(entry, content, top, owners)
            advance(entry.stored)
        elif kind is Kind.DIRECTORY:
            if entry.path:
                os.mkdir(entry.path, 0o700, dir_fd=top)
            directories.append(entry)
        elif kind is Kind.HARDLINK and entry.target in left_out:
            left_out.add(entry.path)
        elif kind is Kind.HARDLINK:
            os.link(entry.target, entry.path, src_dir_fd=top, dst_dir_fd=top, follow_symlinks=False)
        elif kind is Kind.SYMLINK:
            os.symlink(entry.target, entry.path, dir_fd=top)
            _finish_unfollowed(entry, top, owners)
        elif owners.as_in_image or entry.is_whiteout or kind is Kind.FIFO:
            os.mknod(entry.path, 0o600 | _NODES[kind], os.makedev(*entry.device), dir_fd=top)
            _finish_unfollowed(entry, top, owners)
        else:
            left_out.add(entry.path)
    for entry in reversed(directories):
        handle = os.open(entry.path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
        try:
            _finish(entry, handle, owners)
        finally:
            os.close(handle)


def _write_file(entry: Entry, content: Iterator[bytes], top: int, owners: Owners) -> None:
    handle = os.open(entry.path, _NEW, 0o600, dir_fd=top)
    try:
        if entry.pieces is None:
            for chunk in content:
                write_all(handle, chunk)
        else:
            os.ftruncate(handle, entry.size)
            for offset, part in placed(entry.pieces, content):
                os.lseek(handle, offset, os.SEEK_SET)
                write_all(handle, part)
        _finish(entry, handle, owners)
    finally:
        os.close(handle)


def _finish(entry: Entry, handle: int, owners: Owners) -> None:
    """Set owner, mode, extended attributes and time, in the order in which none undoes another."""
    user, group = owners.one or (entry.uid, entry.gid)
    if owners.as_in_image or os.geteuid() == 0:
        os.chown(handle, user, group)
    for name, value in entry.xattrs:
        _set_xattr(handle, name, value, owners)
    os.chmod(handle, entry.mode)
    os.utime(handle, ns=(entry.mtime, entry.mtime))


def _finish_unfollowed(entry: Entry, top: int, owners: Owners) -> None:
    user, group = owners.one or (entry.uid, entry.gid)
    if owners.as_in_image or os.geteuid() == 0:
        os.chown(entry.path, user, group, dir_fd=top, follow_symlinks=False)
    if entry.kind is not Kind.SYMLINK:
        os.chmod(entry.path, entry.mode, dir_fd=top)
    for name, value in entry.xattrs:
        # There is no call for this below a directory's descriptor; all directories above the entry were made here.
        _set_xattr(f"/proc/self/fd/{top}/".encode() + entry.path, name, value, owners)
    os.utime(entry.path, ns=(entry.mtime, entry.mtime), dir_fd=top, follow_symlinks=False)


def _set_xattr(place: int | bytes, name: str, value: bytes, owners: Owners) -> None:
    if not owners.as_in_image and not name.startswith(UNPRIVILEGED):
        return
    try:
        os.setxattr(place, name, value, follow_symlinks=isinstance(place, int))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} (extended attribute {name})") from None
