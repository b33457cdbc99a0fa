"""A CernVM-FS repository as its publisher sees it: the one place that calls `cvmfs_server`."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.errors import PublishError, StoreError
from cstore.publish.opening import Opening
from cstore.publish.program import BusyError, answer, running, wide_pipe
from cstore.publish.writer import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Moment", "Repository", "Site"]

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]*")
_HEAD = 7
_PUBLISH = b"publish\n"
_ABORT = b"abort\n"
_GUARD = """
name=$1 place=$2
shift 2
"$@" transaction "$place" </dev/null || exit
read -r opened
read -r verb
exec </dev/null
case $verb in
publish)
    "$@" publish "$name" && exit
    code=$?
    "$@" abort -f "$name" >/dev/null 2>&1
    exit $code
    ;;
esac
"$@" abort -f "$name"
"""
"""Runs a transaction for cstore, and ends it without a trace unless cstore says that it is to be published. It outlives cstore."""


@frozen(kw_only=True)
class Site:
    """Where the publisher of this machine keeps its things, and how its program is called."""

    command: tuple[str, ...] = ("cvmfs_server",)
    spool: Path = Path("/var/spool/cvmfs")
    """The published state of a repository R is below `R/rdonly` in it."""
    mount: Path = Path("/cvmfs")
    """Where transactions open a repository for writing."""
    settings: Path = Path("/etc/cvmfs/repositories.d")
    """Each repository's `server.conf` is in a directory of its name."""
    locks: Path = Path("/run/lock")
    """Where cstore keeps one lock for each repository."""


@frozen
class Moment:
    """One published state of a repository."""

    revision: int
    root_hash: str


@frozen
class Repository:
    """One repository on a publisher."""

    name: str
    site: Site = field(factory=Site)

    @classmethod
    def parse(cls, name: str, site: Site) -> Repository:
        """Find a repository.

        Raises:
            StoreError: this machine publishes no repository of that name.
        """
        repository = cls(name, site)
        if not _NAME.fullmatch(name) or not repository.published.is_dir():
            raise StoreError(f"cvmfs://{name}: expected a repository that this machine publishes, found no {repository.published}")
        return repository

    @property
    def published(self) -> Path:
        """Where the published state is mounted, read-only."""
        return self.site.spool / self.name / "rdonly"

    @property
    def client(self) -> Path:
        """Where clients see it, and a transaction writes."""
        return self.site.mount / self.name

    def moment(self) -> Moment:
        """Return what is published now.

        Raises:
            PublishError: the mount does not tell.
        """
        try:
            revision = os.getxattr(self.published, "user.revision")
            root_hash = os.getxattr(self.published, "user.root_hash")
            return Moment(int(revision), root_hash.decode())
        except (OSError, ValueError) as error:
            raise PublishError(f"{self.published}: expected a mounted repository with its revision, found: {error}") from None

    def setting(self, name: str) -> str:
        """Return a setting of the repository's server.conf, empty where it is not set.

        Raises:
            PublishError: there is no such file, or it cannot be read: what it would have said is never guessed.
        """
        place = self.site.settings / self.name / "server.conf"
        try:
            text = place.read_text("utf-8", "replace")
        except OSError as error:
            raise PublishError(f"{place}: expected the settings of the repository, found: {error.strerror}") from None
        found = re.findall(rf"^\s*{re.escape(name)}\s*=\s*[\"']?(.*?)[\"']?\s*$", text, re.MULTILINE)
        return str(found[-1]) if found else ""

    @property
    def has_gateway(self) -> bool:
        """Whether publishing goes through a gateway."""
        return self.setting("CVMFS_UPSTREAM_STORAGE").startswith("gw,")

    @property
    def keeps_xattrs(self) -> bool:
        """Whether extended attributes that a transaction sets are published."""
        return self.setting("CVMFS_INCLUDE_XATTRS") == "true"

    @contextmanager
    def ingest(self, *, base: str, removes: Sequence[str] = (), keeps_owners: bool = True) -> Iterator[Callable[[bytes], object]]:
        """Publish a tar stream and removals as one revision.

        Yields a function that takes the bytes of the tar. After an exception in the body the stream ends where it is; the caller has
        made it invalid before.

        Args:
            base: below which the names of the tar are; `/` for the repository's top.
            removes: paths in the repository.
            keeps_owners: whether files belong to whom the tar says, and not to the repository's owner.

        Raises:
            BusyError: somebody else is publishing.
            PublishError: it failed; nothing is published.
        """
        options = ["-k"] if keeps_owners else []
        deletions = [part for path in removes for part in ("-d", path)]
        call = ["ingest", *options, "-t", "-", "-b", base, *deletions, self.name]
        reader, writer = wide_pipe()
        started: list[subprocess.Popen[bytes]] = []

        def write(data: bytes) -> None:
            if not started:
                # Only when something is in the pipe, less than a block: an empty stream would be published, with the removals (spec C8).
                write_all(writer, data[:_HEAD])
                data = data[_HEAD:]
                started.append(calls.enter_context(self._call(call, reader)))
                os.close(reader)
                opening.wait(writer, started[0])
            write_all(writer, data)

        with self._opening() as opening, ExitStack() as calls:
            try:
                yield write
            finally:
                os.close(writer)
                if not started:
                    os.close(reader)

    def remove(self, path: str) -> None:
        """Publish the removal of a path as one revision; behind a gateway it is a call that takes no stream (spec C22).

        Raises:
            BusyError: somebody else is publishing.
            PublishError: it failed; nothing is published.
        """
        with self._opening() as opening, self._call(["ingest", "-d", path, self.name], subprocess.DEVNULL) as process:
            opening.wait_unseen(process)

    @contextmanager
    def transaction(self, path: str = "") -> Iterator[Path]:
        """Open a transaction, and publish it after the body; after an exception it is ended without a trace.

        Yields the directory in which the repository can be written.

        Args:
            path: where the lease is to be, behind a gateway; empty for the whole repository.

        Raises:
            BusyError: somebody else is publishing.
            PublishError: it failed; nothing is published.
        """
        with self._opened(path) as end:
            try:
                yield self.client
            except OSError as error:
                place = os.fsdecode(error.filename or self.client)
                raise PublishError(f"{place}: expected to write in a transaction, found: {error.strerror}") from None
            end(_PUBLISH)

    def look(self, path: str = "") -> None:
        """Bring the mount up to date, by a transaction that is ended at once.

        Args:
            path: where its lease is to be, behind a gateway; the directory above must exist. Empty for the whole repository.

        Raises:
            BusyError: somebody else is publishing.
        """
        with self._opened(path) as end:
            end(_ABORT)

    @contextmanager
    def _opened(self, path: str) -> Iterator[Callable[[bytes], None]]:
        """Open a transaction, and yield what tells how it ends; untold, and if this process is killed, it ends without a trace."""
        place = f"{self.name}/{path}" if path else self.name
        guard = ["sh", "-c", _GUARD, "sh", self.name, place, *self.site.command]
        reader, writer = os.pipe()
        with self._opening() as opening, running(guard, f"cvmfs_server transaction {self.name}", reader) as process:
            try:
                os.close(reader)
                write_all(writer, b"\n")
                opening.wait(writer, process)
                if not opening.is_ours:
                    # It ends, and says why.
                    raise BrokenPipeError
                yield lambda verb: write_all(writer, verb)
            finally:
                os.close(writer)

    @contextmanager
    def _opening(self) -> Iterator[Opening]:
        """See that no transaction of cstore's stays open after a program that was killed, and that what fails in it blames nobody."""
        opening = Opening(self.site.spool / self.name / "in_transaction.lock")
        try:
            yield opening
        except BaseException as error:
            if opening.is_left_open():
                with suppress(PublishError):
                    self.run("abort", "-f")
            if isinstance(error, BusyError) and opening.is_ours:
                raise PublishError(str(error)) from None
            raise

    def tags(self) -> frozenset[str]:
        """Return the names that revisions have.

        Raises:
            PublishError: they cannot be listed.
        """
        told = answer([*self.site.command, "tag", "-l", "-x", self.name], f"cvmfs_server tag {self.name}")
        return frozenset(line.split(maxsplit=1)[0] for line in told.splitlines() if line.strip())

    def run(self, verb: str, *arguments: str) -> None:
        """Call `cvmfs_server VERB ARGUMENTS NAME`.

        Raises:
            PublishError: it failed.
        """
        with self._call([verb, *arguments, self.name], subprocess.DEVNULL):
            pass

    def _call(self, arguments: Sequence[str], stdin: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
        return running([*self.site.command, *arguments], f"cvmfs_server {arguments[0]} {self.name}", stdin)
