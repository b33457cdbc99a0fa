"""What a revision costs a real repository and its readers."""

# Paths are texts here, for there are hundreds of thousands of them.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from tools.cvmfs_standin.mirror import find

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.cvmfs_standin.draft import Draft

__all__ = ["MARKER", "catalog_entries", "costs", "dirty_catalogs", "has_nested_catalog", "is_catalog"]

MARKER = ".cvmfscatalog"


def costs(draft: Draft) -> dict[str, Any]:
    """Count what a draft writes, and note its objects as known.

    An object is counted once in the life of a repository. Bytes are those of the content, uncompressed.
    """
    place = draft.repository.storage / "objects"
    known = place.read_bytes() if place.exists() else b""
    seen = {known[at : at + 20] for at in range(0, len(known), 20)}
    new = {digest: size for digest, size in draft.hashes.items() if digest not in seen}
    with place.open("ab") as file:
        file.write(b"".join(new))
    catalogs = {path or "/": catalog_entries(draft.slot.root, path) for path in dirty_catalogs(draft.slot.root, draft.touched)}
    return {
        "entries_written": draft.entries_written,
        "entries_removed": draft.entries_removed,
        "bytes_written": draft.bytes_written,
        "objects": len(new),
        "object_bytes": sum(new.values()),
        "chunks": draft.chunks,
        "catalogs": catalogs,
        "catalogs_dirtied": len(catalogs),
        "catalog_entries": sum(catalogs.values()),
        "seconds": {part: round(seconds, 6) for part, seconds in draft.seconds.items()},
    }


def dirty_catalogs(root: str, touched: Iterable[str]) -> list[str]:
    """Return the catalogs that are stored anew: those on the path from a changed entry to the root, which is always one of them."""
    directories = {""}
    for path in touched:
        above = path
        while above not in directories:
            directories.add(above)
            above = os.path.dirname(above)
    return sorted(path for path in directories if not path or is_catalog(os.path.join(root, path)))


def is_catalog(directory: str) -> bool:
    """Whether a path is a directory that holds a regular file of the marker's name, and so a nested catalog."""
    found = find(directory)
    if found is None or not stat.S_ISDIR(found.st_mode):
        return False
    marker = find(os.path.join(directory, MARKER))
    return marker is not None and stat.S_ISREG(marker.st_mode)


def catalog_entries(root: str, catalog: str) -> int:
    """Count the entries of a catalog. The top of a nested one stands in it and in the one above."""
    count = 1
    pending = [os.path.join(root, catalog)]
    while pending:
        directory = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                count += 1
                if entry.is_dir(follow_symlinks=False) and not is_catalog(entry.path):
                    pending.append(entry.path)
    return count


def has_nested_catalog(root: str, below: str) -> bool:
    """Whether a directory is a nested catalog, or holds one anywhere; the repository's own catalog does not count."""
    top = os.path.join(root, below)
    return any(MARKER in files and (below or directory != top) for directory, _, files in os.walk(top))
