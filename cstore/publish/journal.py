"""The journal of a delta under way, from which an interrupted one is undone, or finished where it had taken effect.

It lies in the store's work directory with the former versions of the files that the delta replaces (spec P3).
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Self

from attrs import asdict, frozen

from cstore.delta import Delta, PutFile, PutTree, Remove, ReplaceIndex
from cstore.errors import FormatError, PublishError
from cstore.files import UnreadableError
from cstore.index.gojson import decode, encode
from cstore.index.lock import hash_of
from cstore.model.fields import Fields, text
from cstore.model.layout import WORK, WORK_LOCK
from cstore.origin import read, room

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.publish.writer import Writer

__all__ = ["Journal", "clear", "recover"]

_NAME = "journal"
_VERSION = 1
_LONGEST_LOCK = 1 << 20
_LARGEST = 1 << 30


@frozen(kw_only=True)
class Journal:
    """What one delta puts, replaces and removes, and how to see whether it took effect."""

    puts: tuple[str, ...]
    """Paths that are new."""
    replaced: tuple[str, ...]
    """Paths of files and symlinks that give way to others."""
    removes: tuple[str, ...]
    old_locks: dict[str, str]
    """Locks that are rewritten, with their former bytes in hexadecimal."""
    new_locks: dict[str, str]
    decisive: str
    """The path of the file that, once it has its new content, makes the delta effective; empty where none does."""
    sha256: str
    """Of that content, in hexadecimal."""
    directories: tuple[str, ...]
    """Directories that do not exist before the delta, outer ones first."""

    @classmethod
    def of(cls, delta: Delta, root: Path) -> Self:
        """Return the journal of a delta that is about to be applied.

        Raises:
            PublishError: there is a directory where a file is to be put: to undo that would take it away.
        """
        there = {step.path: _kind(root, step.path) for step in delta}
        for step in delta:
            if not isinstance(step, PutTree | Remove) and stat.S_ISDIR(there[step.path]):
                raise PublishError(f"{root / step.path}: expected nothing that is not replaced, found a directory")
        written = list(dict.fromkeys(step.path for step in delta if not isinstance(step, Remove)))
        replaced = [path for path in written if stat.S_ISREG(there[path]) or stat.S_ISLNK(there[path])]
        indexes = [step for step in delta if isinstance(step, ReplaceIndex)]
        locks = {step.lock_path: step.lock.hex() for step in indexes}
        # All that is put after the decisive one would be missing where a run is finished that was killed just then.
        decisive = next((step for step in reversed(delta.steps) if isinstance(step, ReplaceIndex | PutFile)), None)
        told = decisive.first if isinstance(decisive, ReplaceIndex) else hash_of(decisive.open().read() if decisive else b"")
        above = {path[: match.start()] for path in [*written, *locks] for match in re.finditer("/", path)}
        former = {path: _read(root, path, _LONGEST_LOCK) for path in locks}
        old_locks = {path: data.hex() for path, data in former.items() if data is not None}
        known = {*replaced, *old_locks}
        return cls(
            puts=tuple(path for path in [*written, *locks] if path not in known),
            replaced=tuple(replaced),
            removes=tuple(step.path for step in delta if isinstance(step, Remove)),
            old_locks=old_locks,
            new_locks=locks,
            decisive=decisive.path if decisive else "",
            sha256=told.hex(),
            directories=tuple(sorted(path for path in above if not _kind(root, path))),
        )

    def write(self, writer: Writer) -> None:
        """Write the journal, and keep the files that will be replaced, before the first step."""
        for number, path in enumerate(self.replaced):
            writer.keep(path, f"{WORK}/old-{number}")
        writer.put_index(f"{WORK}/{_NAME}", encode({"version": _VERSION, **asdict(self)}))

    @classmethod
    def read(cls, root: Path) -> Self | None:
        """Return the journal of an interrupted run, None where it had not begun.

        Raises:
            FormatError: the journal is damaged.
        """
        at = f"{WORK}/{_NAME}"
        data = _read(root, at, _LARGEST)
        if data is None:
            return None
        take = Fields(decode(data, at), at)
        if take.count("version") != _VERSION:
            raise FormatError(at, "expected version 1, found another: finish with the cstore that wrote it")
        return cls(
            puts=take.items("puts", _inside),
            replaced=take.items("replaced", _inside),
            removes=take.items("removes", _inside),
            old_locks=_locks(take.mapping("old_locks", _hexadecimal), take.at("old_locks")),
            new_locks=_locks(take.mapping("new_locks", _hexadecimal), take.at("new_locks")),
            decisive=_inside(take.raw("decisive"), take.at("decisive")) if take.raw("decisive") else "",
            sha256=take.text("sha256"),
            directories=take.items("directories", _inside),
        )

    def took_effect(self, root: Path) -> bool:
        """Whether the decisive file has its new content."""
        try:
            data = _read(root, self.decisive, _LARGEST) if self.decisive else None
        except FormatError:
            return False
        return data is not None and hash_of(data).hex() == self.sha256

    def undo(self, writer: Writer) -> None:
        """Make the store what it was before the delta; as far as it gets, readers see a sound store, or none where there was none."""
        for number, path in reversed([*enumerate(self.replaced)]):
            writer.restore(f"{WORK}/old-{number}", path)
        for path, lock in self.old_locks.items():
            if _read(writer.root, path, _LONGEST_LOCK) != bytes.fromhex(lock):
                writer.put_lock(path, bytes.fromhex(lock))
        # Without the last index a new store is none (spec P1), whatever else is still there.
        for path in ([self.decisive] if self.decisive in self.puts else []) + [*reversed(self.puts)]:
            writer.remove(path)
        self.tidy(writer)
        for path in reversed(self.directories):
            writer.remove_empty(path)

    def finish(self, writer: Writer) -> None:
        """Carry out what is left of a delta that took effect."""
        for path, lock in self.new_locks.items():
            writer.put_lock(path, bytes.fromhex(lock))
        for path in self.removes:
            writer.remove(path)

    def tidy(self, writer: Writer) -> None:
        """Delete what an interrupted run left beside the places of its steps."""
        for directory in sorted({path.rpartition("/")[0] for path in (*self.puts, *self.replaced, *self.removes)}):
            writer.tidy(directory)


def recover(writer: Writer) -> None:
    """Undo or finish what an interrupted run left, and clear the work directory; do nothing where there is none.

    Raises:
        FormatError: the journal is damaged.
    """
    if not os.path.lexists(writer.root / WORK):
        return
    writer.check(f"{WORK}/{_NAME}")
    journal = Journal.read(writer.root)
    if journal is not None:
        if journal.took_effect(writer.root):
            journal.finish(writer)
            journal.tidy(writer)
        else:
            journal.undo(writer)
    clear(writer)


def clear(writer: Writer) -> None:
    """Empty the work directory, the journal first; only the lock stays."""
    writer.empty(WORK, _NAME, WORK_LOCK.rpartition("/")[2])


def _kind(root: Path, path: str) -> int:
    """Return the mode of what is at a path, 0 where nothing is."""
    above, _, name = path.rpartition("/")
    with room(root, above) as found:
        status = found.status(name) if found is not None else None
    return status.st_mode if status is not None else 0


def _read(root: Path, path: str, most: int) -> bytes | None:
    """Return the bytes of a file of the store, None where there is none."""
    try:
        return read(root, path, most)
    except UnreadableError as error:
        raise FormatError(path, f"expected a file, found {error}") from None


def _locks(values: dict[str, str], at: str) -> dict[str, str]:
    return {_inside(path, at): lock for path, lock in values.items()}


def _hexadecimal(value: object, at: str) -> str:
    try:
        return bytes.fromhex(text(value, at)).hex()
    except ValueError:
        raise FormatError(at, "expected bytes in hexadecimal, found something else") from None


def _inside(value: object, at: str) -> str:
    path = text(value, at)
    if path.startswith("/") or not path or ".." in path.split("/"):
        raise FormatError(at, f'expected a path inside the store, found "{path}"')
    return path
