"""The trees of a repository: a few full ones, of which one is published and a spare one becomes the next revision.

A spare tree is brought up to date with the paths that later revisions changed, so that a revision costs what it changes. A tree that
was left half-way holds no note of its revision and is compared as a whole before it is used again.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from attrs import frozen

from tools.cvmfs_standin.mirror import mirror_paths, mirror_tree
from tools.cvmfs_standin.site import CommandError, locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.cvmfs_standin.site import Repository

__all__ = ["Manifest", "Slot", "changes_after", "free_slots", "manifest", "newest", "note_of", "take_slot"]


@frozen
class Manifest:
    """What `.cvmfspublished` says."""

    revision: int
    root_hash: str
    timestamp: int
    name: str

    def text(self) -> str:
        """Return the file's lines; the signature that follows in a real one is missing."""
        lines = (f"C{self.root_hash}", "B4096", "Rd41d8cd98f00b204e9800998ecf8427e", "D240", f"S{self.revision}", "Gno", "Ano")
        return "".join(f"{line}\n" for line in (*lines, f"N{self.name}", f"T{self.timestamp}", "--"))


def manifest(repository: Repository) -> Manifest:
    """Read what is published now."""
    text = (repository.storage / ".cvmfspublished").read_text()
    fields = {line[:1]: line[1:] for line in text.splitlines()}
    return Manifest(int(fields["S"]), fields["C"], int(fields["T"]), fields["N"])


@frozen
class Slot:
    """One full tree, held by this process for as long as its lock is open."""

    place: Path
    _lock: int

    @property
    def root(self) -> str:
        """The repository's top directory in this tree."""
        return str(self.place / "root")

    @property
    def revision(self) -> int | None:
        """The revision that the tree is equal to; None if it was left half-way."""
        return note_of(self.place)

    def note(self, revision: int) -> None:
        """Say which revision the tree is equal to."""
        (self.place / "revision").write_text(str(revision))

    def begin(self) -> None:
        """Say that the tree is being changed."""
        (self.place / "revision").unlink(missing_ok=True)

    def release(self) -> None:
        """Let others use the tree."""
        os.close(self._lock)


def note_of(place: Path) -> int | None:
    """Return the revision that a tree says it is equal to."""
    try:
        return int((place / "revision").read_text())
    except (FileNotFoundError, ValueError):
        return None


def changes_after(repository: Repository, since: int, until: int) -> set[str]:
    """Return the paths that the revisions after one have changed, up to and with another."""
    found: set[str] = set()
    for revision in range(since + 1, until + 1):
        data = (repository.storage / "changes" / str(revision)).read_bytes()
        found.update(os.fsdecode(path) for path in data.split(b"\0")[:-1])
    return found


def take_slot(repository: Repository) -> Slot:
    """Take a tree that nobody uses, equal to the newest revision; make one if there is none."""
    slot = next(free_slots(repository), None) or _new_slot(repository)
    with newest(repository) as (source, now):
        had = slot.revision
        slot.begin()
        if had is None:
            mirror_tree(source, slot.root)
        else:
            mirror_paths(source, slot.root, changes_after(repository, had, now))
        slot.note(now)
    return slot


@contextmanager
def newest(repository: Repository) -> Iterator[tuple[str, int]]:
    """Yield the published tree and its revision; nobody changes that tree while the body runs."""
    while True:
        place = (repository.storage / "current").resolve()
        with locked(place / "lock", fcntl.LOCK_SH):
            if place == (repository.storage / "current").resolve():
                yield str(place / "root"), manifest(repository).revision
                return


def free_slots(repository: Repository) -> Iterator[Slot]:
    """Hold each tree that is neither published, nor mounted by a publisher, nor held, one after the other."""
    for place in sorted((repository.storage / "trees").iterdir()):
        try:
            descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        if place.resolve() in _pinned(repository):
            os.close(descriptor)
            continue
        yield Slot(place, descriptor)


def _pinned(repository: Repository) -> set[Path]:
    root = repository.site.root
    spools = [root, *(root / "hosts").glob("*")]
    mounts = [home / "var/spool/cvmfs" / repository.name / "rdonly" for home in spools]
    return {(repository.storage / "current").resolve(), *(mount.resolve().parent for mount in mounts)}


def _new_slot(repository: Repository) -> Slot:
    for number in count():
        place = repository.storage / "trees" / str(number)
        try:
            place.mkdir()
        except FileExistsError:
            continue
        (place / "root").mkdir()
        descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return Slot(place, descriptor)
    raise CommandError("no place for a tree")
