"""A revision in the making: a spare tree, what is changed in it, and what that costs."""

# Paths are texts here, for there are hundreds of thousands of them.
# ruff: noqa: PTH101, PTH102, PTH115, PTH118, PTH120, PTH123, PTH211

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from tools.cvmfs_standin.mirror import find, mirror_paths, remove
from tools.cvmfs_standin.slots import changes_after, newest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tools.cvmfs_standin.site import Repository
    from tools.cvmfs_standin.slots import Slot

__all__ = ["Attributes", "Draft", "chunks", "inside"]

_MIN_CHUNK, _MAX_CHUNK = 4 << 20, 16 << 20
_MASK = (1 << 14) - 1


@frozen
class Attributes:
    """Mode, owner and time of an entry, and its extended attributes where they are kept; times are whole seconds."""

    mode: int
    uid: int
    gid: int
    mtime: int
    xattrs: Mapping[str, bytes] | None = None


def inside(path: str, directory: str) -> bool:
    """Whether a path is a directory or below it; the empty one holds everything."""
    return not directory or path == directory or path.startswith(directory + "/")


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a file as a transaction does: by content, from 4 to 16 MiB; a smaller file is one piece."""
    held = b""
    for piece in pieces:
        held += piece
        while len(held) >= _MAX_CHUNK:
            cut = _cut(held)
            yield held[:cut]
            held = held[cut:]
    while len(held) > _MIN_CHUNK:
        cut = _cut(held)
        yield held[:cut]
        held = held[cut:]
    if held:
        yield held


def _cut(data: bytes) -> int:
    position = data.find(b'"', _MIN_CHUNK)
    while 0 <= position < _MAX_CHUNK:
        if zlib.crc32(data[position - 64 : position]) & _MASK == 0:
            return position
        position = data.find(b'"', position + 1)
    return min(len(data), _MAX_CHUNK)


@define
class Draft:
    """Changes of a spare tree. Every change is noted, so that it can be undone, counted and carried to other trees."""

    repository: Repository
    slot: Slot
    base: int
    """The revision that the tree was equal to."""
    lease: str = ""
    """Below which nobody else changes anything meanwhile."""
    drops_special: bool = False
    """A gateway drops devices and fifos silently."""
    touched: dict[str, None] = field(factory=dict)
    is_broken: bool = False
    entries_written: int = 0
    entries_removed: int = 0
    bytes_written: int = 0
    chunks: int = 0
    hashes: dict[bytes, int] = field(factory=dict)
    """Of each object written, with its size."""
    seconds: dict[str, float] = field(factory=dict)
    """How long its parts took: `stream`, and `stream_waited` of that for who writes it."""
    _times: dict[str, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.slot.begin()

    def path(self, path: str) -> str:
        """Return where a path of the repository is in the tree."""
        return os.path.join(self.slot.root, path)

    def find(self, path: str) -> os.stat_result | None:
        """Look at an entry."""
        return find(self.path(path))

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory."""
        found = self.find(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def remove(self, path: str) -> None:
        """Remove an entry that exists, with all that is below it."""
        full = self.path(path)
        self._change(path)
        self.entries_removed += 1
        if self.is_directory(path):
            self.entries_removed += sum(len(names) + len(files) for _, names, files in os.walk(full))
            for known in [known for known in self._times if inside(known, path)]:
                del self._times[known]
        remove(full)

    def put_directory(self, path: str, attributes: Attributes) -> None:
        """Make a directory, or give one that exists new attributes."""
        if not self.is_directory(path):
            self._clear(path)
            self._change(path)
            os.mkdir(self.path(path))
        self._change(path)
        self._dress(path, attributes)
        self._times[path] = attributes.mtime * 10**9

    def put_file(self, path: str, pieces: Iterable[bytes], attributes: Attributes) -> None:
        """Write a file whose content comes in pieces: one object, whatever its size."""
        self._write(path, pieces, attributes, hashlib.sha1(usedforsecurity=False))

    def put_chunked_file(self, path: str, pieces: Iterable[bytes], attributes: Attributes) -> None:
        """Write a file as a transaction does: one of more than 4 MiB is stored as several objects."""
        parts = [
            (hashlib.sha1(part, usedforsecurity=False).digest(), len(part)) for part in self._written(path, chunks(pieces), attributes)
        ]
        if len(parts) > 1:
            self.chunks += len(parts)
        self.hashes.update(parts)

    def put_symlink(self, path: str, text: str, attributes: Attributes) -> None:
        """Make a symlink."""
        self._clear(path)
        self._change(path)
        os.symlink(text, self.path(path))
        self._dress(path, attributes)

    def put_special(self, path: str, device: int, attributes: Attributes) -> None:
        """Make a device, fifo or socket; the mode says which."""
        if self.drops_special:
            if self.find(path) is not None:
                self.remove(path)
            return
        self._clear(path)
        self._change(path)
        os.mknod(self.path(path), attributes.mode, device)
        self._dress(path, attributes)

    def copy(self, source: str, path: str) -> None:
        """Give a second name to a file: in CernVM-FS, a file of its own with the same content."""
        found = os.lstat(self.path(source))
        attributes = Attributes(found.st_mode, found.st_uid, found.st_gid, int(found.st_mtime))
        if stat.S_ISLNK(found.st_mode):
            self.put_symlink(path, os.readlink(self.path(source)), attributes)
        elif stat.S_ISREG(found.st_mode):
            with open(self.path(source), "rb") as file:
                self.put_file(path, iter(lambda: file.read(1 << 20), b""), attributes)
        else:
            self.put_special(path, found.st_rdev, attributes)

    def catch_up(self, now: int) -> None:
        """Take over what others published meanwhile, except in what is leased: there the draft's own state wins."""
        missed = changes_after(self.repository, self.base, now)
        reverted = {path for path in missed if inside(path, self.lease)}
        mirror_paths(str(self.repository.storage / "current/root"), self.slot.root, missed - reverted)
        self.touched.update(dict.fromkeys(reverted))
        self.base = now

    def finish(self) -> None:
        """Set the times of directories, which changed with every entry made in them."""
        for path in sorted(self._times, reverse=True):
            if self.is_directory(path):
                os.utime(self.path(path), ns=(self._times[path], self._times[path]))

    def discard(self) -> None:
        """Undo all changes, and let others use the tree."""
        with newest(self.repository) as (source, now):
            if now == self.base:
                mirror_paths(source, self.slot.root, self.touched)
                self.slot.note(now)
        self.slot.release()

    def _write(self, path: str, pieces: Iterable[bytes], attributes: Attributes, digest: hashlib._Hash) -> None:
        size = 0
        for piece in self._written(path, pieces, attributes):
            digest.update(piece)
            size += len(piece)
        self.hashes[digest.digest()] = size

    def _written(self, path: str, pieces: Iterable[bytes], attributes: Attributes) -> Iterator[bytes]:
        self._clear(path)
        self._change(path)
        with open(self.path(path), "xb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)
                self.bytes_written += len(piece)
                yield piece
        self._dress(path, attributes)

    def _clear(self, path: str) -> None:
        if self.find(path) is not None:
            self.remove(path)

    def _change(self, path: str) -> None:
        self.touched[path] = None
        parent = os.path.dirname(path)
        if path and parent not in self._times:
            self._times[parent] = os.lstat(self.path(parent)).st_mtime_ns

    def _dress(self, path: str, attributes: Attributes) -> None:
        full = self.path(path)
        self.entries_written += 1
        os.lchown(full, attributes.uid, attributes.gid)
        if not stat.S_ISLNK(os.lstat(full).st_mode):
            os.chmod(full, stat.S_IMODE(attributes.mode))
            if attributes.xattrs is not None:
                for name in set(os.listxattr(full)) - set(attributes.xattrs):
                    os.removexattr(full, name)
                for name, value in attributes.xattrs.items():
                    os.setxattr(full, name, value)
        os.utime(full, ns=(attributes.mtime * 10**9, attributes.mtime * 10**9), follow_symlinks=False)
