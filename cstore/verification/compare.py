"""Comparing a tree with what its layer says of it (spec V63, V64, V96, V97)."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from cstore.files import READ, kind_of
from cstore.layer.entry import Entry, Kind, plain
from cstore.layer.names import MARK, is_reserved, parent

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cstore.verification.tree import Walked

__all__ = ["Comparison"]

_CHUNK = 1 << 20
_TYPES = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
}
_DEVICES = (Kind.CHARACTER, Kind.BLOCK)


@frozen
class _Other:
    """An entry that looks otherwise than the layer says."""

    path: bytes
    said: str
    found: tuple[int, object]
    """Its inode, and what was found."""


@define
class Comparison:
    """Compares the entries of a layer, one after the other, with what lies in its tree."""

    _walked: Walked
    _guessed: Collection[bytes]
    """Directories that the layer only implies: how they look is not its own."""
    _expected: set[bytes] = field(factory=set)
    _others: list[_Other] = field(factory=list)
    """Entries with other owners than the layer gives them."""
    _owners: set[tuple[int, int]] = field(factory=set)
    """The owners that entries of the tree have."""
    _without_devices: list[bytes] = field(factory=list)
    _modes: list[_Other] = field(factory=list)
    """Entries with other modes."""
    _given: set[tuple[int, object]] = field(factory=set)
    """Modes and owners that hard links give to an inode: podman sets them on the file (spec A14)."""

    def pass_over(self, path: bytes) -> None:
        """Take it that something may be at a path, whatever it is."""
        self._expected.add(path)

    def see(self, entry: Entry) -> None:
        """Compare an entry; parents must come before what is in them."""
        path = entry.path
        self._expected.add(path)
        if path and parent(path) not in self._walked.directories:
            return
        try:
            status = os.stat(path or b".", dir_fd=self._walked.diff.file, follow_symlinks=False)
        except (OSError, ValueError):
            self._miss(entry)
            return
        wanted = _TYPES.get(entry.kind, stat.S_IFREG)
        if entry.kind is not Kind.HARDLINK and stat.S_IFMT(status.st_mode) != wanted:
            code = "V64" if entry.is_whiteout else "V63"
            self._walked.tally.add(code, path, f"expected {kind_of(wanted)}, found {kind_of(status.st_mode)}")
            return
        self._look(entry, status)

    def see_opaque(self, own: Collection[bytes], below: Mapping[bytes, Collection[bytes]]) -> None:
        """Note what a directory hides that the layer does not make opaque.

        Args:
            own: the directories that the layer does make opaque.
            below: the names that the layers below show in directories; all entries must have been seen.
        """
        for path in sorted(self._walked.opaque - {*own}):
            for name in sorted(below.get(path, ())):
                if (inner := path + b"/" + name if path else name) not in self._expected:
                    self._walked.tally.add("V64", inner, "expected what is below, found it hidden by an opaque directory")

    def finish(self) -> None:
        """Note what the tree has besides, and whose its files are."""
        for path in sorted((self._walked.directories | self._walked.others) - self._expected):
            if path and not is_reserved(path) and not path.rpartition(b"/")[2].startswith(MARK):
                self._walked.tally.add("V63", path, "expected nothing, found something")
        is_shared = len(self._owners) == 1
        for path in self._without_devices:
            if not (is_shared and self._owners != {(0, 0)}):
                self._walked.tally.add("V63", path, "expected a device, found nothing")
        for others, code in ((self._modes, "V63"), (self._others, "V97" if is_shared else "V63")):
            for other in others:
                if other.found not in self._given:
                    self._walked.tally.add(code, other.path, other.said)

    def _miss(self, entry: Entry) -> None:
        path = entry.path
        if entry.is_whiteout:
            if not self._is_below_opaque(path):
                self._walked.tally.add("V64", path, "expected a whiteout, found nothing")
        elif entry.kind in _DEVICES:
            self._without_devices.append(path)
        elif not is_reserved(path):
            self._walked.tally.add("V63", path, f"expected a {entry.kind.value}, found nothing")

    def _is_below_opaque(self, path: bytes) -> bool:
        while path:
            path = parent(path)
            if path in self._walked.opaque:
                return True
        return b"" in self._walked.opaque

    def _look(self, entry: Entry, status: os.stat_result) -> None:
        path, kind = entry.path, entry.kind
        if kind is Kind.SYMLINK:
            target = os.fsencode(self._walked.diff.target(os.fsdecode(path)) or "")
            if target != entry.target:
                self._walked.tally.add(
                    "V63", path, f'expected a symlink to "{os.fsdecode(entry.target)}", found one to "{os.fsdecode(target)}"'
                )
        elif kind is Kind.FILE and status.st_size != entry.size:
            self._walked.tally.add("V63", path, f"expected {entry.size} bytes, found {status.st_size}")
        elif kind in _DEVICES and (os.major(status.st_rdev), os.minor(status.st_rdev)) != entry.device:
            self._walked.tally.add("V64" if entry.is_whiteout else "V63", path, f"expected the device {entry.device}, found another")
        if kind is Kind.HARDLINK:
            self._look_at_link(entry, status)
        elif not entry.is_whiteout:
            self._look_further(entry, status)

    def _look_at_link(self, entry: Entry, status: os.stat_result) -> None:
        """Compare a hard link with the file that it is another name of; where links are broken up, it is a file like that."""
        self._given |= {(status.st_ino, entry.mode), (status.st_ino, (entry.uid, entry.gid))}
        try:
            other = os.stat(entry.target, dir_fd=self._walked.diff.file, follow_symlinks=False)
        except (OSError, ValueError):
            return
        if os.path.samestat(status, other):
            return
        if stat.S_IFMT(status.st_mode) != stat.S_IFMT(other.st_mode):
            said = f"expected {kind_of(other.st_mode)} as at {plain(entry.target)}, found {kind_of(status.st_mode)}"
        elif stat.S_ISREG(status.st_mode) and (status.st_size != other.st_size or not self._are_equal(entry.path, entry.target)):
            said = f"expected the content of {plain(entry.target)}, found other content"
        elif stat.S_IMODE(status.st_mode) not in (stat.S_IMODE(other.st_mode), entry.mode):
            said = f"expected mode {entry.mode:o}, found {stat.S_IMODE(status.st_mode):o}"
        else:
            return
        self._walked.tally.add("V63", entry.path, said)

    def _are_equal(self, path: bytes, other: bytes) -> bool:
        try:
            with ExitStack() as opened:
                files = []
                for name in (path, other):
                    files.append(os.open(name, READ, dir_fd=self._walked.diff.file))
                    opened.callback(os.close, files[-1])
                while (chunk := os.read(files[0], _CHUNK)) == os.read(files[1], _CHUNK):
                    if not chunk:
                        return True
        except OSError:
            pass
        return False

    def _look_further(self, entry: Entry, status: os.stat_result) -> None:
        """Compare mode and owner."""
        path, mode, owner = entry.path, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
        is_guessed = path in self._guessed
        if entry.kind is not Kind.SYMLINK and mode != entry.mode:
            said = f"expected mode {entry.mode:o}, found {mode:o}"
            if is_guessed:
                self._walked.tally.add("V96", path, said)
            else:
                self._modes.append(_Other(path, said, (status.st_ino, mode)))
        self._owners.add(owner)
        if owner != (entry.uid, entry.gid):
            said = f"expected the owner {entry.uid}:{entry.gid}, found {owner[0]}:{owner[1]}"
            if is_guessed:
                self._walked.tally.add("V96", path, said)
            else:
                self._others.append(_Other(path, said, (status.st_ino, owner)))
