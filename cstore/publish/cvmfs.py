"""The publisher of stores in CernVM-FS: any number of changes in one revision, streamed into one `cvmfs_server ingest`.

What it rests on are the statements C1 to C12 of the spec.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.delta import Delta, PutFile, PutSymlink, PutTree, Remove, ReplaceIndex, Step
from cstore.errors import PublishError, StoreError
from cstore.location import SCHEME
from cstore.model.layout import CATALOG, Form
from cstore.publish.directory import apply, is_vacant
from cstore.publish.locks import take
from cstore.publish.owners import Owners
from cstore.publish.place import Published
from cstore.publish.repository import BusyError, Moment, Repository, Site
from cstore.publish.tarstream import TarStream
from cstore.source.fetch import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["CvmfsPlace", "TransactionPlace", "parse_location", "within"]

DEFAULT_PATH = "podmanStore"
_MOST_CATALOGS = 300
_PAUSE = 3.0
_LOCK_MODE = 0o600
_OWN_PATIENCE = 3600.0
"""Seconds to wait for another cstore, which ends by itself."""


class _MovedOnError(Exception):
    """Somebody published since the delta was planned."""


@frozen(kw_only=True)
class CvmfsPlace:
    """A store in a repository that this machine publishes."""

    repository: Repository
    path: str = DEFAULT_PATH
    """Where in the repository the store is; empty for its top."""
    progress: Progress = silent
    wait: float = 0.0
    """Seconds to wait for somebody else's transaction."""
    tag: str = ""
    """The name that the new revision gets; empty for none."""
    message: str = ""
    """What is told of that revision."""

    @property
    def root(self) -> Path:
        """The store as it is published now."""
        return self.repository.published / self.path

    @property
    def readers_root(self) -> Path:
        """Where clients see it."""
        return self.repository.client / self.path

    @property
    def form(self) -> Form:
        """Sharded, which keeps the catalogs small that a revision rewrites."""
        return Form.SHARDED

    @property
    def owners(self) -> Owners:
        """As in the images: an ingest keeps them."""
        return Owners(None)

    def is_vacant(self) -> bool:
        """Whether there is no store yet, nor anything else."""
        return not self.root.exists() or (self.root.is_dir() and not any(self.root.iterdir()))

    def publish(self, plan: Callable[[], Delta]) -> Published:
        """Publish what `plan` returns in one revision; with nothing to do, CernVM-FS is not called at all.

        Where somebody else published meanwhile, `plan` is called again.

        Raises:
            PublishError: it could not be published; what was published before is as it was, and no transaction of cstore's is open.
        """
        delta = plan()
        if not delta:
            return Published(delta=delta)
        end = time.monotonic() + self.wait
        with _only_cstore(self.repository, end):
            while True:
                moment = self.repository.moment()
                delta = plan()
                if not delta:
                    return Published(delta=delta)
                try:
                    return self._carry(delta, moment)
                except _MovedOnError:
                    continue
                except BusyError as error:
                    if time.monotonic() >= end:
                        raise _explained(error, self.repository) from None
                    time.sleep(min(_PAUSE, max(end - time.monotonic(), 0)))

    def _carry(self, delta: Delta, moment: Moment) -> Published:
        streamed = 0
        left = [step.path for step in delta if isinstance(step, PutTree) and os.path.lexists(self.root / step.path)]
        if left:
            # Remains of a run that was killed, which no index names. One call cannot both remove and put a path.
            self.repository.remove([self._placed(path) for path in left])
            moment = self.repository.moment()
        for part in _parts(delta):
            streamed += self._ingest(part, moment)
            moment = self.repository.moment()
        self._check(delta)
        if self.tag:
            self.repository.run("tag", "-a", self.tag, *(("-m", self.message) if self.message else ()))
        return Published(delta=delta, revision=moment.revision, root_hash=moment.root_hash, streamed=streamed)

    def _ingest(self, part: Delta, moment: Moment) -> int:
        removes = [self._placed(step.path) for step in part if isinstance(step, Remove) and os.path.lexists(self.root / step.path)]
        with self.repository.ingest(base="/", removes=removes) as write:
            stream = TarStream(write, self.path)
            try:
                for step in _each_path_once(part.steps):
                    if isinstance(step, ReplaceIndex):
                        self._same(moment)
                    advance = self.progress("streaming", step.path.rpartition("/")[2], step.size) if isinstance(step, PutTree) else None
                    stream.put(step, advance or (lambda _size: None))
                self._same(moment)
                stream.finish()
            except BaseException:
                with suppress(OSError):
                    stream.poison()
                raise
        return stream.size

    def _same(self, moment: Moment) -> None:
        """See that nobody published since; while an ingest reads its stream, nobody else can."""
        if self.repository.moment() != moment:
            raise _MovedOnError

    def _check(self, delta: Delta) -> None:
        """See that what was published is there.

        Raises:
            PublishError: something is not.
        """
        for step in {step.path: step for step in delta}.values():
            place = self.root / step.path
            if not _is_done(step, place):
                raise PublishError(f"{place}: expected what was just published, found something else")

    def _placed(self, path: str) -> str:
        return "/".join(filter(None, (self.path, path)))


@frozen(kw_only=True)
class TransactionPlace:
    """A store in a repository whose transaction the caller has opened, and will publish or abort himself."""

    root: Path
    progress: Progress = silent

    @property
    def readers_root(self) -> Path:
        """The same directory: in a transaction it has the path that it has on clients."""
        return self.root.absolute()

    @property
    def form(self) -> Form:
        """Sharded, as everywhere in CernVM-FS."""
        return Form.SHARDED

    @property
    def owners(self) -> Owners:
        """Those of this process."""
        return Owners.of(self.root)

    def is_vacant(self) -> bool:
        """Whether nothing is there, or an empty directory."""
        return is_vacant(self.root)

    def publish(self, plan: Callable[[], Delta]) -> Published:
        """Carry out a delta in the transaction; nothing is published before the caller does.

        Raises:
            PublishError: a layer has whiteouts or devices, which only an ingest can publish, or the transaction refused something.
        """
        delta = plan()
        for step in delta:
            if isinstance(step, PutTree) and step.special:
                raise PublishError(
                    f"{step.path}: expected a layer of files, directories and links, found {step.special} whiteouts or devices, which a "
                    "transaction cannot make; add the image with cvmfs:// instead"
                )
        apply(delta, self.root, self.progress)
        return Published(delta=delta)


def within(transaction_root: Path | str, progress: Progress = silent) -> TransactionPlace:
    """Return the place of a store inside an open transaction, for `cstore.publishing`.

    Args:
        transaction_root: the store's directory there, as `/cvmfs/REPOSITORY/podmanStore`.
        progress: is told of trees that are written.
    """
    return TransactionPlace(root=Path(transaction_root), progress=progress)


def parse_location(text: str, site: Site) -> tuple[Repository, str]:
    """Split `cvmfs://REPOSITORY[/PATH]`.

    Raises:
        StoreError: this machine publishes no such repository, or the path leads out of it.
    """
    name, slash, path = text.removeprefix(SCHEME).partition("/")
    if slash and (".." in path.split("/") or "//" in path or not path.strip("/")):
        raise StoreError(f"{text}: expected cvmfs://REPOSITORY or cvmfs://REPOSITORY/PATH, found another form")
    return Repository.parse(name, site), path.strip("/") if slash else DEFAULT_PATH


def _parts(delta: Delta) -> Iterator[Delta]:
    """Cut a delta where it would bring too many new catalogs at once; after each part the store is valid."""
    steps: list[Step] = []
    catalogs = 0
    for step in delta:
        new = _is_catalog(step)
        if new and catalogs >= _MOST_CATALOGS:
            yield Delta(tuple(steps))
            steps, catalogs = [], 0
        catalogs += new
        steps.append(step)
    yield Delta(tuple(steps))


def _is_catalog(step: Step) -> bool:
    return CATALOG in step.files if isinstance(step, PutTree) else step.path.endswith(f"/{CATALOG}")


def _each_path_once(steps: Sequence[Step]) -> list[Step]:
    """Return the steps without those that a later one of the same path overtakes: a revision shows only the last."""
    last = {step.path: number for number, step in enumerate(steps)}
    return [step for number, step in enumerate(steps) if last[step.path] == number]


def _is_done(step: Step, place: Path) -> bool:
    try:
        if isinstance(step, PutTree):
            return (place / "diff").is_dir() and all((place / name).read_bytes() == data for name, data in step.files.items())
        if isinstance(step, PutFile):
            return place.lstat().st_size == step.size
        if isinstance(step, PutSymlink):
            return str(place.readlink()) == step.target
        if isinstance(step, ReplaceIndex):
            return place.read_bytes() == step.data
    except OSError:
        return False
    return not os.path.lexists(place)


@contextmanager
def _only_cstore(repository: Repository, end: float) -> Iterator[None]:
    """Be the only cstore of this machine that publishes to the repository."""
    path = repository.site.locks / f"cstore-{repository.name}.lock"
    with ExitStack() as opened:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _LOCK_MODE)
        except OSError as error:
            raise PublishError(f"{path}: expected a lock file that can be written, found: {error.strerror}") from None
        opened.callback(os.close, file)
        take(file, path, max(end - time.monotonic(), _OWN_PATIENCE))
        yield


def _explained(error: BusyError, repository: Repository) -> PublishError:
    spool = repository.site.spool / repository.name
    return PublishError(
        f"{error}; somebody else is publishing: `ls -l {spool}` shows since when and as whom. cstore never ends a transaction that it "
        "did not open; --wait SECONDS waits for it"
    )
