"""The extended attributes of trees that are there already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cstore.layer.entry import Kind
from cstore.layer.names import is_reserved

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cstore.layer.entry import Entry

__all__ = ["set_xattrs"]


def set_xattrs(entries: Iterable[tuple[Entry, object]], top: Path, *, leaves_out: bool) -> None:
    """Set the extended attributes of a tree. A hard link is a file of its own by now (spec C6), and gets those of its target.

    Args:
        entries: as `Tree.walk` gives them.
        top: the tree's top directory.
        leaves_out: whether names that CernVM-FS would take for its own are not there.

    Raises:
        OSError: one cannot be set.
    """
    of_files: dict[bytes, tuple[tuple[str, bytes], ...]] = {}
    for entry, _ in entries:
        xattrs = of_files.get(entry.target, ()) if entry.kind is Kind.HARDLINK else entry.xattrs
        if not xattrs or (leaves_out and is_reserved(entry.path)):
            continue
        if entry.kind is not Kind.DIRECTORY:
            of_files[entry.path] = xattrs
        for name, value in xattrs:
            os.setxattr(os.fsencode(top) + b"/" + entry.path, name, value, follow_symlinks=False)
