"""The whole of `cvmfs_server ingest`: its transaction, its revision, and what it leaves behind when it fails."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING

from attrs import frozen

from tools.cvmfs_standin import leases
from tools.cvmfs_standin.ingest import Ingest
from tools.cvmfs_standin.mounts import is_inside, show_published
from tools.cvmfs_standin.revisions import commit, open_draft, open_old_draft
from tools.cvmfs_standin.site import CommandError
from tools.cvmfs_standin.slots import manifest
from tools.cvmfs_standin.tarstream import TarStream, Timed
from tools.cvmfs_standin.transaction import begin, end, guard_special, publishing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from tools.cvmfs_standin.draft import Draft
    from tools.cvmfs_standin.failing import Injection
    from tools.cvmfs_standin.site import Repository

__all__ = ["Call", "ingest"]

_BUFFER = 1 << 16


@frozen
class Call:
    """What one ingest is asked for."""

    tar: str
    """A file, `-` for standard input, or empty."""
    base: str
    deletes: Sequence[str]
    keeps_owner: bool
    makes_catalog: bool


def ingest(repository: Repository, call: Call, injection: Injection) -> None:
    """Publish a tar stream and deletions as one revision.

    Raises:
        CommandError: nothing is published and no transaction is left, except a transaction that was open before.
    """
    deletes = [path.strip("/") for argument in call.deletes for path in argument.split(":")]
    lease = _lease(repository, call, deletes)
    try:
        begin(repository, lease)
    except CommandError as failure:
        if failure.code == 17 and repository.has_gateway:
            raise CommandError("cannot establish writable mountpoint\nImpossible to start a transaction") from None
        raise CommandError(f"{failure}\nImpossible to start a transaction") from None
    try:
        if is_inside(repository.union):
            raise CommandError(f"Current working directory is in {repository.union}.  Please release, e.g. by 'cd $HOME'.")
        with publishing(repository):
            _publish(repository, call, deletes, lease, injection)
            if not repository.has_gateway:
                show_published(repository)
    finally:
        end(repository)


def _lease(repository: Repository, call: Call, deletes: Sequence[str]) -> str:
    """See that the options fit together, and return what is leased: the base, or the one deleted path."""
    if not call.tar and not call.base and not deletes:
        raise CommandError("Please provide some parameters, use -t $TAR_FILE, -b $BASE_DIR and -d $TO_DELETE")
    if call.base and not call.tar:
        raise CommandError("Please provide the tarball to extract, use -t $TARBALL_PATH")
    if call.tar and not call.base:
        raise CommandError("Please set the base directory where to extract the tarball, use -b $BASE_DIR")
    if call.base == ".":
        raise CommandError("Synchronization failed: the base directory is no path")
    if not repository.has_gateway:
        return ""
    if len(deletes) > 1:
        raise CommandError("Could not delete multiple paths using a gateway in a single transaction.")
    if call.tar and deletes:
        raise CommandError("Could not delete and add a file in the same transaction while using gateway.")
    return "".join(deletes) or ("" if call.base == "/" else call.base.rstrip("/"))


def _publish(repository: Repository, call: Call, deletes: Sequence[str], lease: str, injection: Injection) -> None:
    draft = _open_draft(repository, lease)
    try:
        guard_special(draft)
        base = call.base.strip("/")
        limit = int(repository.setting("STANDIN_MAX_NESTED_CATALOGS", "20000"))
        work = Ingest(draft, base, None if call.keeps_owner else repository.owner, limit)
        work.delete(deletes)
        if call.tar:
            if repository.has_gateway and draft.find(base) is not None and not draft.is_directory(base):
                # Through a gateway, a base that is a file: exit 0, and nothing is published.
                draft.discard()
                return
            with _open(call.tar) as file:
                stream = Timed(file)
                work.add(TarStream(stream), lambda: injection.reach("during"))
                draft.seconds = {"stream": stream.seconds, "stream_waited": stream.waited}
        if call.makes_catalog:
            work.add_catalog()
        injection.reach("during")
        if repository.has_gateway:
            leases.check(repository)
    except BaseException as error:
        draft.discard()
        if isinstance(error, CommandError):
            raise CommandError(f"{error}\nSynchronization failed", error.code) from None
        raise
    commit(draft)


def _open_draft(repository: Repository, lease: str) -> Draft:
    """Begin from the newest revision; where updates get lost, from the one before that which another host published just now."""
    if repository.setting("STANDIN_LOST_UPDATES", "") == "true":
        newest = manifest(repository).revision
        record = repository.storage / "revisions" / f"{newest}.json"
        if newest > 1 and time.time() - record.stat().st_mtime < 1 and f'"host": "{repository.site.host}"' not in record.read_text():
            old = open_old_draft(repository, newest - 1, lease)
            if old is not None:
                return old
    draft = open_draft(repository)
    draft.lease = lease
    return draft


def _open(tar: str) -> AbstractContextManager[IO[bytes]]:
    if tar == "-":
        return nullcontext(os.fdopen(0, "rb", _BUFFER, closefd=False))
    try:
        return Path(tar).open("rb")
    except OSError as error:
        raise CommandError(f"Impossible to open the archive: {error.strerror}") from None
