"""From the upper directory of a transaction's overlay to the changes of a revision."""

# Paths are texts here, for there are hundreds of thousands of them.
# ruff: noqa: PTH115, PTH118, PTH119, PTH123

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tools.cvmfs_standin.costs import MARKER
from tools.cvmfs_standin.draft import Attributes
from tools.cvmfs_standin.site import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.cvmfs_standin.draft import Draft

__all__ = ["apply"]

_WHITEOUT = ".wh."
_OPAQUE = "trusted.overlay.opaque"
_OVERLAY = "trusted.overlay."
_NO_DEVICE = os.makedev(0, 0)
_XATTR_LIMIT = 256


def apply(upper: str, draft: Draft) -> None:
    """Apply all that the upper directory holds.

    Raises:
        CommandError: a real publish crashes here.
    """
    _apply_directory(upper, "", draft)


def _apply_directory(upper: str, directory: str, draft: Draft) -> None:
    with os.scandir(os.path.join(upper, directory)) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    for entry in entries:
        path = os.path.join(directory, entry.name)
        found = entry.stat(follow_symlinks=False)
        if path == ".cvmfs":
            raise CommandError("[ERROR] invalid attempt to modify .cvmfs")
        if entry.name.startswith(_WHITEOUT):
            # Whatever it is, it deletes the entry of the name that follows, and is not stored itself.
            _delete(os.path.join(directory, entry.name.removeprefix(_WHITEOUT)), draft)
        elif stat.S_ISCHR(found.st_mode) and found.st_rdev == _NO_DEVICE:
            _delete(path, draft)
        elif entry.name.startswith(".cvmfsgraft-"):
            continue
        elif stat.S_ISDIR(found.st_mode):
            if _OPAQUE in os.listxattr(entry.path, follow_symlinks=False) and draft.find(path) is not None:
                _delete(path, draft)
            draft.put_directory(path, _attributes(entry.path, found, draft))
            _apply_directory(upper, path, draft)
        else:
            _put(entry.path, path, found, draft)


def _put(full: str, path: str, found: os.stat_result, draft: Draft) -> None:
    attributes = _attributes(full, found, draft)
    if os.path.basename(path) == MARKER and not stat.S_ISREG(found.st_mode):
        raise CommandError(f"Error: nested catalog marker in {path} is not a regular file")
    if draft.is_directory(path):
        _delete(path, draft)
    if stat.S_ISLNK(found.st_mode):
        draft.put_symlink(path, os.readlink(full), attributes)
    elif stat.S_ISREG(found.st_mode):
        draft.put_chunked_file(path, _pieces(full), attributes)
    else:
        draft.put_special(path, found.st_rdev, attributes)


def _delete(path: str, draft: Draft) -> None:
    """Remove an entry. A real publish crashes on a published directory that holds a file named as a whiteout."""
    if draft.find(path) is None:
        return
    if draft.is_directory(path):
        for directory, _, files in os.walk(draft.path(path)):
            crash = [name for name in files if name.startswith(_WHITEOUT)]
            if crash:
                raise CommandError(f"Synchronization failed: Aborted at {os.path.relpath(directory, draft.slot.root)}/{crash[0]}")
    draft.remove(path)


def _pieces(full: str) -> Iterator[bytes]:
    with open(full, "rb") as file:
        yield from iter(lambda: file.read(1 << 20), b"")


def _attributes(full: str, found: os.stat_result, draft: Draft) -> Attributes:
    xattrs = _xattrs(full) if draft.repository.setting("CVMFS_INCLUDE_XATTRS", "") == "true" else None
    return Attributes(found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns // 10**9, xattrs)


def _xattrs(full: str) -> Mapping[str, bytes]:
    """Read what is stored: not overlay's own; a value of exactly 256 bytes becomes empty, a longer one is dropped."""
    kept = {}
    for name in os.listxattr(full, follow_symlinks=False):
        value = os.getxattr(full, name, follow_symlinks=False)
        if name.startswith(_OVERLAY):
            # The kernel writes an attribute of this kind, when set in the union, with its prefix twice.
            if not name.startswith(_OVERLAY + "overlay."):
                continue
            name = _OVERLAY + name.removeprefix(_OVERLAY + "overlay.")  # noqa: PLW2901
        if len(value) <= _XATTR_LIMIT:
            kept[name] = value if len(value) < _XATTR_LIMIT else b""
    return kept
