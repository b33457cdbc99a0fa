"""The publisher of stores in plain directories: local disk, NFS, a USB stick."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from cstore.delta import Delta, PutDirectory, PutFile, PutSymlink, PutTree, Remove, ReplaceIndex
from cstore.errors import PublishError
from cstore.model.layout import WORK, WORK_LOCK
from cstore.progress import Progress, silent
from cstore.publish.deleting import DIRECTORY
from cstore.publish.journal import Journal, clear, recover
from cstore.publish.locks import NoLocksError, take
from cstore.publish.owners import Owners
from cstore.publish.writer import Writer
from cstore.verification.touched import refuse_unsound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


__all__ = ["apply", "check_space", "is_interrupted", "is_vacant", "settle", "writing"]

PATIENCE = 120.0
"""Seconds to wait for podmans that hold the lock of an index."""
WRITERS_PATIENCE = 3600.0
"""Seconds to wait for another writer, which ends by itself; one that dies lets go at once."""

_LOCK = WORK_LOCK.rpartition("/")[2]
_LOCK_MODE = 0o644
"""Others can see that somebody writes."""


@contextmanager
def writing(root: Path, progress: Progress = silent) -> Iterator[None]:
    """Be the only writer of a store, after what an interrupted writer left is undone or finished.

    The directory is made if its parent exists. What this needs in it is gone afterwards.

    Args:
        root: the store's directory.
        progress: is told once that another writer is waited for.

    Raises:
        PublishError: another writer is at work for longer than an hour, or the directory cannot be written.
        FormatError: the journal of an interrupted run is damaged.
    """
    with _as_publish_errors(root):
        made = not root.exists()
        try:
            Writer(root, Owners.of(root)).put_directory("")
            with _sole(root, progress):
                recover(Writer(root, Owners.of(root)))
                yield
        finally:
            if made:
                with suppress(OSError):
                    root.rmdir()


def is_interrupted(root: Path) -> bool:
    """Whether a writer is at work in a store, or was interrupted there."""
    return os.path.lexists(root / WORK)


def settle(root: Path, progress: Progress = silent) -> None:
    """Finish or undo what an interrupted run left in a store; without one, nothing is written.

    Args:
        root: the store's directory.
        progress: is told once that another writer is waited for.

    Raises:
        PublishError: as `writing`.
        FormatError: the journal of an interrupted run is damaged.
    """
    if is_interrupted(root):
        with writing(root, progress):
            pass


def is_vacant(root: Path) -> bool:
    """Whether a store can be made here: nothing is there, or an empty directory, or what an interrupted writer began.

    Raises:
        PublishError: nothing is there, and no directory above it.
    """
    with _as_publish_errors(root):
        if root.is_symlink() and not root.exists():
            raise PublishError(f"{root}: expected a directory, found a symlink that leads nowhere")
        if not root.exists():
            if not root.parent.is_dir():
                raise PublishError(f"{root}: expected a directory above it, found none")
            return True
        return root.is_dir() and {place.name for place in root.iterdir()} <= {WORK}


def apply(delta: Delta, root: Path, progress: Progress = silent) -> None:
    """Carry out the steps of a delta in a directory.

    On a clean return all of it is there and on the disk. When it raises, the store holds what it held before.

    Args:
        delta: the steps; an empty delta writes nothing.
        root: the store's directory; the caller is its only writer (see `writing`).
        progress: is told of each tree that is written.

    Raises:
        PublishError: the file system refused: no space, no permission, or something else is at a path of the store; or the store would
            stop every command of every reader (spec P23).
        ContentError: a blob changed after it was verified.
    """
    if not delta:
        return
    writer = Writer(root, Owners.of(root))
    with _as_publish_errors(root), _work(writer):
        recover(writer)
        try:
            refuse_unsound(delta, root)
            check_space(delta, root)
            _refuse_symlinks(delta, writer)
            journal = Journal.of(delta, root)
            journal.write(writer)
            _carry_out(delta, writer, progress)
        except BaseException:
            _undo(writer)
            raise
        try:
            journal.finish(writer)
            clear(writer)
        except OSError:
            # The change has taken effect, and can only be finished: now, or else by the next run.
            recover(writer)


@contextmanager
def _work(writer: Writer) -> Iterator[None]:
    """Have a work directory, which goes with the last that uses it."""
    writer.put_directory(WORK)
    try:
        yield
    finally:
        with suppress(OSError):
            (writer.root / WORK).rmdir()


def _refuse_symlinks(delta: Delta, writer: Writer) -> None:
    """See that no directory of a delta is reached through a symlink: below one, steps could neither be carried out nor undone."""
    paths = [*(step.path for step in delta), *(step.lock_path for step in delta if isinstance(step, ReplaceIndex))]
    for above in dict.fromkeys(path.rpartition("/")[0] for path in paths):
        writer.check(f"{above}/{WORK}" if above else WORK)


def _carry_out(delta: Delta, writer: Writer, progress: Progress) -> None:
    """Carry out all steps that put something; on a clean return they are on the disk."""
    for step in delta:
        if not isinstance(step, Remove):
            _put(step, writer, progress)
    writer.sync()


def _undo(writer: Writer) -> None:
    journal = Journal.read(writer.root)
    if journal is not None:
        journal.undo(writer)
    clear(writer)


def _put(step: PutTree | PutDirectory | PutFile | PutSymlink | ReplaceIndex, writer: Writer, progress: Progress) -> None:
    if isinstance(step, PutTree):
        writer.put_tree(step, progress("unpacking", step.path.rpartition("/")[2], step.size))
    elif isinstance(step, PutDirectory):
        writer.put_directory(step.path)
    elif isinstance(step, PutFile):
        writer.put_file(step.path, step.open())
    elif isinstance(step, PutSymlink):
        writer.put_symlink(step.path, step.target)
    else:
        _replace_index(step, writer)


def _replace_index(step: ReplaceIndex, writer: Writer) -> None:
    """Replace an index while podman waits; all that it names is on the disk before."""
    writer.sync()
    if not writer.has(step.lock_path):
        writer.put_lock(step.lock_path, step.lock)
    # Only the lock of this index: podman holds one of both while it waits for the other, so that who did the same would wait for ever.
    with writer.locked(step.lock_path, PATIENCE):
        writer.put_index(step.path, step.data)
        writer.put_lock(step.lock_path, step.lock)


@contextmanager
def _sole(root: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock in the work directory; both are made for the time, and go when it ends."""
    held = None
    while held is None:
        held = _locked(root, progress)
    work, file = held
    try:
        yield
    finally:
        _take_away(root, work)
        os.close(work)
        os.close(file)


def _take_away(root: Path, work: int) -> None:
    """Take away the lock and the work directory; what is left in that one, the next writer looks at."""
    with suppress(OSError):
        os.unlink(_LOCK, dir_fd=work)
        (root / WORK).rmdir()


def _locked(root: Path, progress: Progress) -> tuple[int, int] | None:
    """Return the open work directory and its locked lock file, None where their former holder took them away meanwhile."""
    place = root / WORK
    place.mkdir(exist_ok=True)
    try:
        work = os.open(place, DIRECTORY)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise PublishError(f"{place}: expected a directory of the store, found a symlink") from None
    with ExitStack() as opened:
        opened.callback(os.close, work)
        is_new = _LOCK not in os.listdir(work)  # noqa: PTH208 - of a descriptor
        try:
            file = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _LOCK_MODE, dir_fd=work)
        except FileNotFoundError:
            return None
        except OSError as error:
            with suppress(OSError):
                place.rmdir()
            raise OSError(error.errno, error.strerror, str(root / WORK_LOCK)) from None
        opened.callback(os.close, file)
        try:
            take(file, root / WORK_LOCK, WRITERS_PATIENCE, lambda: progress("waiting for", f"another writer of {root}", 0))
        except NoLocksError:
            # Where nobody can lock it, nobody else is using it.
            if is_new:
                _take_away(root, work)
            raise
        try:
            is_there = os.path.samestat(os.fstat(file), os.stat(_LOCK, dir_fd=work, follow_symlinks=False))
        except FileNotFoundError:
            is_there = False
        if is_there:
            opened.pop_all()
        return (work, file) if is_there else None


def check_space(delta: Delta, root: Path) -> None:
    """See that there is room for a delta.

    Raises:
        PublishError: there is none.
    """
    disk = os.statvfs(root if root.exists() else root.parent)
    free = disk.f_bavail * disk.f_frsize
    if delta.size > free:
        raise PublishError(f"{root}: expected {delta.size} bytes of free space, found {free}")


@contextmanager
def _as_publish_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(root)
        reason = error.strerror or str(error)
        if error.errno == errno.ENOSPC:
            reason = "no space is left on the device"
        raise PublishError(f"{place}: expected to write the store, found: {reason}") from error
