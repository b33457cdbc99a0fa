"""Trees on a disk: written, looked at and thrown away."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.layer.entry import Entry, Kind
from cstore.publish.owners import Owners
from cstore.publish.tree import write_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cstore.delta import Entries


@frozen
class Seen:
    """One file as a file system shows it."""

    kind: int
    mode: int
    owner: tuple[int, int]
    mtime: int
    size: int
    device: int
    links: int
    xattrs: tuple[tuple[str, bytes], ...]
    content: bytes


def seen(top: Path) -> dict[bytes, Seen]:
    """Return all that is below a directory, and the directory itself, symlinks not followed."""
    root = os.fsencode(top)
    found = {}
    for above, directories, files in os.walk(root):
        for path in [above, *(os.path.join(above, name) for name in files), *(os.path.join(above, name) for name in directories)]:  # noqa: PTH118 - bytes
            status = os.lstat(path)
            kind, content = stat.S_IFMT(status.st_mode), b""
            if kind == stat.S_IFREG:
                with open(path, "rb") as data:  # noqa: PTH123 - bytes
                    content = data.read()
            elif kind == stat.S_IFLNK:
                content = os.readlink(path)  # noqa: PTH115 - bytes
            xattrs = tuple(
                (name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(os.listxattr(path, follow_symlinks=False))
            )
            found[os.path.relpath(path, root)] = Seen(
                kind,
                stat.S_IMODE(status.st_mode),
                (status.st_uid, status.st_gid),
                status.st_mtime_ns,
                status.st_size if kind == stat.S_IFREG else 0,
                status.st_rdev,
                status.st_nlink if kind != stat.S_IFDIR else 0,
                xattrs,
                content,
            )
    return found


@frozen
class Given:
    """A tree of entries that are given, each with its content; the top directory is made."""

    entries: tuple[tuple[Entry, bytes], ...] = ()
    mode: int = 0o755
    whiteouts = 0

    def walk(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield them."""
        yield Entry(b"", Kind.DIRECTORY, self.mode, 7, 8, 0), iter(())
        for entry, content in self.entries:
            yield entry, iter([content])


def write(tree: Entries, top: Path, owners: Owners = Owners(None)) -> int:  # noqa: B008 - a frozen value
    """Write a tree into a new directory, and return what was said of its content."""
    top.mkdir()
    handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    told: list[int] = []
    try:
        write_tree(tree.walk(), handle, owners, told.append)
    finally:
        os.close(handle)
    return sum(told)


def discard(top: Path) -> None:
    """Delete a tree however deep it is, and whatever its modes."""
    subprocess.run(["chmod", "-R", "u+rwX", top], check=True)
    subprocess.run(["find", top, "-delete"], check=True)
