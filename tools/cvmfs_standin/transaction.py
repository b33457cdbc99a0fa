"""Opening, publishing and aborting transactions, also the one that an ingest opens for itself."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.cvmfs_standin import leases, scratch
from tools.cvmfs_standin.costs import has_nested_catalog
from tools.cvmfs_standin.mirror import find, remove
from tools.cvmfs_standin.mounts import is_busy_writing, is_inside, show_published, show_writable, unmount
from tools.cvmfs_standin.revisions import commit, open_draft, tags
from tools.cvmfs_standin.site import CommandError, locked, replace_link
from tools.cvmfs_standin.slots import newest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.cvmfs_standin.draft import Draft
    from tools.cvmfs_standin.failing import Injection
    from tools.cvmfs_standin.site import Repository

__all__ = ["abort", "begin", "end", "guard_special", "open_transaction", "publish", "publishing"]

_RETRY = 0.5


def begin(repository: Repository, lease: str) -> None:
    """Enter the transaction state: one for each publisher; through a gateway it holds a lease too.

    Raises:
        CommandError: 17 if one is open, 16 if the lease is busy, 2 or 20 if the leased path has no directory above it.
    """
    try:
        os.close(os.open(repository.flag, os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        raise CommandError("CernVM-FS transaction error: another transaction is already open", 17) from None
    try:
        if repository.has_gateway:
            leases.acquire(repository, lease)
        with newest(repository) as (root, _):
            _check_parent(root, lease)
            repository.flag.write_text(json.dumps({"lease": lease, "pid": os.getpid()}))
            if repository.has_gateway:
                replace_link(root, repository.published)
    except BaseException:
        end(repository)
        raise


def end(repository: Repository) -> None:
    """Leave the transaction state."""
    if repository.has_gateway:
        leases.drop(repository)
    repository.flag.unlink(missing_ok=True)


def open_transaction(repository: Repository, lease: str, patience: float, injection: Injection) -> None:
    """Open a transaction and make the union writable.

    Args:
        repository: of which.
        lease: the path that a gateway locks.
        patience: for how many seconds to try again while it is busy; negative: not at all, 0: for ever.
        injection: where to fail.
    """
    deadline = time.monotonic() + patience if patience else float("inf")
    while True:
        try:
            begin(repository, lease)
            break
        except CommandError as failure:
            if failure.code not in (16, 17) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY)
    try:
        _clear_scratch(repository)
        show_writable(repository)
    except BaseException:
        end(repository)
        raise
    injection.reach("during")


def publish(repository: Repository, tag: str, message: str, injection: Injection) -> None:
    """Publish what the transaction has written.

    Raises:
        CommandError: nothing is published, and the transaction stays open.
    """
    if tag and any(known["tag"] == tag for known in tags(repository)):
        raise CommandError(f"Tag name '{tag}' is already in use.")
    if not repository.flag.exists():
        raise CommandError(f"Repository {repository.name} is not in a transaction")
    if is_busy_writing(repository.union):
        raise CommandError(f"Open writable file descriptors on {repository.name}")
    if is_inside(repository.union):
        raise CommandError(f"Current working directory is in {repository.union}.  Please release, e.g. by 'cd $HOME'.")
    with publishing(repository):
        draft = open_draft(repository)
        try:
            draft.lease = json.loads(repository.flag.read_text())["lease"]
            guard_special(draft)
            injection.reach("during")
            scratch.apply(str(repository.scratch), draft)
            if repository.has_gateway:
                leases.check(repository)
        except BaseException:
            draft.discard()
            raise
        commit(draft, tag=tag, message=message)
        unmount(repository.union)
        _clear_scratch(repository)
        end(repository)
        show_published(repository)


def abort(repository: Repository) -> None:
    """Throw the open transaction's changes away; it may be one that a killed ingest has left.

    Raises:
        CommandError: 22 if there is none, or it is being published just now.
    """
    if is_inside(repository.union):
        raise CommandError(f"Current working directory is in {repository.union}.  Please release, e.g. by 'cd $HOME'.")
    with publishing(repository, 22):
        if not repository.flag.exists():
            if repository.has_gateway:
                leases.drop(repository)
            raise CommandError(f"Repository {repository.name} is not in a transaction", 22)
        unmount(repository.union)
        _clear_scratch(repository)
        end(repository)
        show_published(repository)


@contextmanager
def publishing(repository: Repository, code: int = 1) -> Iterator[None]:
    """Keep other publishing processes of this host out; a killed one's lock is free at once."""
    try:
        with locked(repository.spool / "is_publishing.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise CommandError(f"Another publish process is active for {repository.name}", code) from None


def guard_special(draft: Draft) -> None:
    """Let a gateway drop devices and fifos, unless the leased path is, or lies above, a nested catalog that exists already."""
    draft.drops_special = draft.repository.has_gateway and not has_nested_catalog(draft.slot.root, draft.lease)


def _check_parent(root: str, lease: str) -> None:
    parent = lease.rpartition("/")[0]
    found = find(f"{root}/{parent}")
    if lease.startswith("/") or found is None:
        raise CommandError(f"CernVM-FS transaction error: cannot open transaction on non-existing path /{parent}", 2)
    if not stat.S_ISDIR(found.st_mode):
        raise CommandError(f"CernVM-FS transaction error: cannot open transaction on /{parent}, which is not a directory", 20)


def _clear_scratch(repository: Repository) -> None:
    """Empty the upper directory, and give it the attributes of the repository's top."""
    work = repository.spool / "ofs_workdir"
    for path in (*repository.scratch.iterdir(), *work.iterdir()):
        remove(str(path))
    shutil.copystat(repository.published, repository.scratch)
    for name in os.listxattr(repository.scratch):
        os.removexattr(repository.scratch, name)
    top = repository.published.stat()
    os.chown(repository.scratch, top.st_uid, top.st_gid)
