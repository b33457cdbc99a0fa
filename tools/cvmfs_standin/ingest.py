"""Applying a tar stream and deletions as one revision."""

# Paths are texts here, for there are hundreds of thousands of them.
# ruff: noqa: PTH118, PTH119, PTH120

from __future__ import annotations

import os
import stat
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

from tools.cvmfs_standin.costs import MARKER, is_catalog
from tools.cvmfs_standin.draft import Attributes
from tools.cvmfs_standin.mirror import find
from tools.cvmfs_standin.site import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tools.cvmfs_standin.draft import Draft
    from tools.cvmfs_standin.tarstream import Entry, TarStream

__all__ = ["Ingest"]

NOBODY = 65534
"""Who owns, with -k, a directory that has no entry of its own."""
NO_ONE = 4294967294
"""Who owns, with -k and through a gateway, a new base; the real number, one more, cannot be set."""
_TYPES = {tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK, tarfile.FIFOTYPE: stat.S_IFIFO}


@define
class Ingest:
    """One ingest under way."""

    draft: Draft
    base: str
    """Below which the names of the tar are; empty for the repository's top."""
    owner: tuple[int, int] | None
    """Of all entries; None keeps those of the tar."""
    catalog_limit: int
    """From how many new nested catalogs on it fails."""
    _deleted: set[str] = field(factory=set, init=False)
    _directories: set[str] = field(factory=lambda: {""}, init=False)
    _added: set[str] = field(factory=set, init=False)
    _links: list[tuple[str, str]] = field(factory=list, init=False)
    _catalogs: int = field(default=0, init=False)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete paths, before anything is added. One that does not exist is no error."""
        for path in paths:
            _check_allowed(path)
            if not path or any(_is_related(path, known) for known in self._deleted):
                raise CommandError(f"cannot delete {path or '/'}")
            if self.draft.repository.has_gateway and _has_loose_special(self.draft.path(path)):
                self.draft.is_broken = True
            if self.draft.find(path) is not None:
                self.draft.remove(path)
                self._deleted.add(path)

    def add(self, stream: TarStream, after_each: Callable[[], object]) -> None:
        """Add all entries of a stream."""
        for entry in stream.entries():
            self._add(entry, stream)
            after_each()
        for target, path in sorted(self._links, key=lambda link: link[0]):
            if self.draft.find(target) is None or self.draft.is_directory(target):
                raise CommandError(f"catalog for file '{target}' cannot be found, aborting")
            self.draft.copy(target, path)

    def add_catalog(self) -> None:
        """Make the base a nested catalog (`--catalog`)."""
        if self.base:
            self._make_directories(self.base)
            uid, gid = self.draft.repository.owner
            self._put_marker(f"{self.base}/{MARKER}")
            self.draft.put_file(f"{self.base}/{MARKER}", (), Attributes(0o664, uid, gid, int(time.time())))

    def _add(self, entry: Entry, stream: TarStream) -> None:
        path = self._path(entry.name)
        name = os.path.basename(path)
        _check_allowed(path)
        if not path or name.startswith(".cvmfsgraft-"):
            return
        self._make_directories(os.path.dirname(path))
        if entry.kind == tarfile.DIRTYPE:
            self._add_directory(path, entry)
            return
        if path in self._deleted or path in self._added or path in self._directories:
            raise CommandError(f"{path}: UNIQUE constraint failed: catalog.md5path_1, catalog.md5path_2")
        self._added.add(path)
        if name == MARKER:
            self._put_marker(path)
            if not entry.is_file and entry.kind != tarfile.LNKTYPE:
                raise CommandError(f"Found entity called as a catalog marker '{path}' that however is not a regular file, abort")
        if entry.kind == tarfile.LNKTYPE:
            self._links.append((self._path(entry.link), path))
        elif entry.kind == tarfile.SYMTYPE:
            self.draft.put_symlink(path, entry.link, self._attributes(entry))
        elif entry.is_file:
            self.draft.put_file(path, stream.content(), self._attributes(entry))
        else:
            self.draft.put_special(path, os.makedev(*entry.device), self._attributes(entry))

    def _add_directory(self, path: str, entry: Entry) -> None:
        """Add a directory. One that is known already, or is published already, keeps its attributes."""
        if path not in self._directories:
            self._enter(path, self._attributes(entry))

    def _make_directories(self, path: str) -> None:
        """See that a directory exists that has had no entry of its own."""
        if path in self._directories:
            return
        self._make_directories(os.path.dirname(path))
        uid, gid = self.owner or (NOBODY, NOBODY)
        if path == self.base and not self.owner and self.draft.repository.has_gateway:
            uid, gid = NO_ONE, NO_ONE
        self._enter(path, Attributes(0o755, uid, gid, int(time.time())))

    def _enter(self, path: str, attributes: Attributes) -> None:
        if path in self._deleted:
            raise CommandError(f"{path}: cannot delete and add in one call")
        self._directories.add(path)
        if self.draft.is_directory(path):
            return
        if self.draft.find(path) is not None:
            # A file that becomes a directory: the real one says nothing, and leaves broken catalogs.
            self.draft.is_broken = True
        self.draft.put_directory(path, attributes)

    def _put_marker(self, path: str) -> None:
        if self.draft.find(path) is None:
            self._catalogs += 1
        if self._catalogs >= self.catalog_limit:
            raise CommandError(f"Synchronization failed: {self._catalogs} new nested catalogs: Too many open files")

    def _path(self, name: str) -> str:
        """Return where an entry of the tar belongs: `./x` and `/x` mean `x`."""
        parts = [part for part in f"{self.base}/{name}".split("/") if part not in ("", ".")]
        if ".." in parts:
            raise CommandError(f"{name}: leads out of the repository")
        return "/".join(parts)

    def _attributes(self, entry: Entry) -> Attributes:
        uid, gid = self.owner or (entry.uid, entry.gid)
        return Attributes(_TYPES.get(entry.kind, 0) | entry.mode, uid, gid, entry.mtime)


def _check_allowed(path: str) -> None:
    if path == ".cvmfs" or path.startswith(".cvmfs/"):
        raise CommandError(f"[ERROR] invalid attempt to modify {path}")
    if os.path.basename(path) == ".cvmfsbundles":
        raise CommandError("Error: .cvmfsbundles file must be in the root directory of the repository")


def _is_related(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def _has_loose_special(directory: str) -> bool:
    """Whether a directory that is no nested catalog holds devices or fifos, outside the nested catalogs in it."""
    if find(directory) is None or Path(directory).is_symlink() or is_catalog(directory):
        return False
    for place, names, files in os.walk(directory):
        names[:] = [name for name in names if not is_catalog(os.path.join(place, name))]
        modes = [os.lstat(os.path.join(place, name)).st_mode for name in files]
        if any(not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)) for mode in modes):
            return True
    return False
