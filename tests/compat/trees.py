"""Trees of files as values that can be compared."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from attrs import asdict, evolve, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Row", "differences", "rows"]


@frozen(kw_only=True)
class Row:
    """All that a reader can tell of one entry, but for the sizes of directories."""

    kind: str
    mode: str
    owner: tuple[int, int]
    size: int
    content: str
    target: str
    device: int
    mtime: int
    """In nanoseconds."""
    twins: str
    """The first name of the same file, where it has several."""
    xattrs: Mapping[str, bytes]

    def without_mtime(self) -> Row:
        """Return the row of an entry whose time is nobody's business."""
        return evolve(self, mtime=0)


def rows(top: Path) -> dict[str, Row]:
    """Return the row of each entry of a tree by its path, with `.` for the top directory."""
    found: dict[str, Row] = {}
    first: dict[tuple[int, int], str] = {}
    # Overlay lists the whiteouts of a directory that only one layer has, though nothing is there.
    for path in sorted(path for path in (top, *top.rglob("*")) if os.path.lexists(path)):
        name = str(path.relative_to(top))
        found[name] = _row(path, name, first)
    return found


def _row(path: Path, name: str, first: dict[tuple[int, int], str]) -> Row:
    status = path.lstat()
    kind = stat.S_IFMT(status.st_mode)
    several = kind != stat.S_IFDIR and status.st_nlink > 1
    return Row(
        kind=stat.filemode(status.st_mode)[0],
        mode=f"{stat.S_IMODE(status.st_mode):04o}",
        owner=(status.st_uid, status.st_gid),
        size=status.st_size if kind == stat.S_IFREG else 0,
        content=_digest(path) if kind == stat.S_IFREG else "",
        target=str(path.readlink()) if kind == stat.S_IFLNK else "",
        device=status.st_rdev,
        mtime=status.st_mtime_ns,
        twins=first.setdefault((status.st_dev, status.st_ino), name) if several else "",
        xattrs={key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)},
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(expected: Mapping[str, Row], found: Mapping[str, Row]) -> list[str]:
    """Return a line for each difference between two trees."""
    lines = [f"{path}: expected, not there" for path in expected.keys() - found.keys()]
    lines += [f"{path}: there, not expected" for path in found.keys() - expected.keys()]
    for path in expected.keys() & found.keys():
        wanted, is_there = asdict(expected[path]), asdict(found[path])
        lines += [f"{path}: {key}: expected {wanted[key]}, found {is_there[key]}" for key in wanted if wanted[key] != is_there[key]]
    return sorted(lines)
