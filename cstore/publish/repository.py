"""A CernVM-FS repository as its publisher sees it: the one place that calls `cvmfs_server`."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
import termios
import time
from array import array
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from attrs import field, frozen

from cstore.errors import PublishError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["BusyError", "Moment", "Repository", "Site"]

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]*")
_IN_TRANSACTION = 17
_LEASE_BUSY = 16
_BUSY_WORDS = ("lease path busy", "another process is", "already in a transaction", "cannot establish writable mountpoint", "already open")
_TOLD = 400
_PAUSE = 0.002
_HEAD = 7


class BusyError(PublishError):
    """Somebody else's transaction is open, or holds the lease."""


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
        """Return a setting of the repository's server.conf, empty where it is not set."""
        try:
            text = (self.site.settings / self.name / "server.conf").read_text()
        except OSError:
            return ""
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
        reader, writer = os.pipe()
        running: list[subprocess.Popen[bytes]] = []

        def write(data: bytes) -> None:
            if not running:
                # Only when something is in the pipe, less than a block: an empty stream would be published, with the removals (spec C8).
                _write_all(writer, data[:_HEAD])
                data = data[_HEAD:]
                running.append(calls.enter_context(self._call(call, reader)))
                os.close(reader)
                _wait_for_reader(writer, running[0])
            _write_all(writer, data)

        try:
            with ExitStack() as calls:
                try:
                    yield write
                finally:
                    os.close(writer)
                    if not running:
                        os.close(reader)
        except PublishError:
            if running and running[0].returncode < 0:
                # It was killed after it had begun to read, so that the transaction that is open is the one that it opened for us.
                with suppress(PublishError):
                    self.run("abort", "-f")
            raise

    def remove(self, paths: Sequence[str]) -> None:
        """Publish removals as one revision.

        Raises:
            BusyError: somebody else is publishing.
            PublishError: it failed; nothing is published.
        """
        self.run("ingest", *(part for path in paths for part in ("-d", path)))

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
        with self._opened(path):
            try:
                yield self.client
            except OSError as error:
                raise PublishError(f"{error.filename}: expected to write in a transaction, found: {error.strerror}") from None
            self.run("publish")

    def look(self, path: str = "") -> None:
        """Bring the mount up to date, by a transaction that is ended at once.

        Args:
            path: where its lease is to be, behind a gateway; the directory above must exist. Empty for the whole repository.

        Raises:
            BusyError: somebody else is publishing.
        """
        with self._opened(path):
            self.run("abort", "-f")

    @contextmanager
    def _opened(self, path: str) -> Iterator[None]:
        """Open a transaction, and end it after any failure but the one that somebody else has one open."""
        try:
            with self._call(["transaction", f"{self.name}/{path}" if path else self.name], subprocess.DEVNULL):
                pass
            yield
        except BusyError:
            raise
        except BaseException:
            with suppress(PublishError):
                self.run("abort", "-f")
            raise

    def run(self, verb: str, *arguments: str) -> None:
        """Call `cvmfs_server VERB ARGUMENTS NAME`.

        Raises:
            BusyError: somebody else is publishing.
            PublishError: it failed.
        """
        with self._call([verb, *arguments, self.name], subprocess.DEVNULL):
            pass

    @contextmanager
    def _call(self, call: Sequence[str], stdin: int) -> Iterator[subprocess.Popen[bytes]]:
        """Run the program while the body runs, and see that it ends well; the body's own error comes first."""
        with tempfile.TemporaryFile() as output:
            # In a session of its own, Ctrl-C reaches cstore alone, which then ends the stream as it should. The directory must not be in
            # the repository.
            try:
                process = subprocess.Popen(
                    [*self.site.command, *call],
                    stdin=stdin,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                raise PublishError(f"{self.site.command[0]}: expected the program of CernVM-FS, found: {error.strerror}") from None
            try:
                yield process
            except BrokenPipeError:
                # It stopped reading, and says why.
                self._ended(process, call, output)
                raise PublishError(
                    f"cvmfs_server ingest {self.name}: expected it to read the whole stream, found that it stopped"
                ) from None
            except BaseException:
                process.wait()
                raise
            self._ended(process, call, output)

    def _ended(self, process: subprocess.Popen[bytes], call: Sequence[str], output: IO[bytes]) -> None:
        code = process.wait()
        if code == 0:
            return
        output.seek(0)
        told = output.read().decode("utf-8", "replace")
        kind = BusyError if code in (_IN_TRANSACTION, _LEASE_BUSY) or any(words in told for words in _BUSY_WORDS) else PublishError
        shown = " ".join(told.split())[-_TOLD:] or "it said nothing"
        raise kind(f"cvmfs_server {call[0]} {self.name}: expected it to publish, found exit code {code}: {shown}")


def _write_all(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def _wait_for_reader(pipe: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a program has read what is in its pipe, or has ended: an ingest reads only when its transaction is open."""
    waiting = array("i", [1])
    while process.poll() is None:
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        if not waiting[0]:
            return
        time.sleep(_PAUSE)
