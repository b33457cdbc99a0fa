"""The publisher of stores in CernVM-FS: any number of changes in one revision, streamed into one `cvmfs_server ingest`.

What it rests on are statements of the spec (spec C1 to C23).
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from cstore.delta import Delta, PutTree
from cstore.errors import PublishError, StoreError
from cstore.location import SCHEME
from cstore.model.layout import ABOUT, CATALOG, IMAGES_INDEX, Form
from cstore.publish.carrier import Carrier, MovedOnError, Target
from cstore.publish.gateway import GatewayCarrier
from cstore.publish.locks import take
from cstore.publish.owners import Owners
from cstore.publish.place import Published
from cstore.publish.program import BusyError
from cstore.publish.refusals import refuse_reserved, refuse_xattrs
from cstore.publish.repository import Repository, Site
from cstore.source.fetch import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["CvmfsPlace", "parse_location"]

T = TypeVar("T")

DEFAULT_PATH = "podmanStore"
_PAUSE = 3.0
_GATEWAY_PATIENCE = 600.0
_MOST_HOLES = 64 << 30
_LOCK_MODE = 0o600
_BEGUN = frozenset([CATALOG, ABOUT, "overlay", "overlay-images", "overlay-layers", "pool"])
_OWN_PATIENCE = 3600.0
"""Seconds to wait for another cstore, which ends by itself."""


@frozen(kw_only=True)
class CvmfsPlace:
    """A store in a repository that this machine publishes."""

    repository: Repository
    path: str = DEFAULT_PATH
    """Where in the repository the store is."""
    progress: Progress = silent
    wait: float = 0.0
    """Seconds to wait for somebody else's transaction."""
    tag: str = ""
    """The name that the new revision gets; empty for none."""
    message: str = ""
    """What is told of that revision."""
    keeps_xattrs: bool = False
    """Whether extended attributes are set, in a transaction of their own."""
    skips_reserved: bool = False
    """Whether files with names that CernVM-FS would take for its own are left out; else they are an error."""

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
        """Whether there is no store yet, nor anything else but what an ingest that was cut left of one."""
        if not self.root.exists():
            return True
        there = {place.name for place in self.root.iterdir()} if self.root.is_dir() else {""}
        return there <= _BEGUN and not (self.root / IMAGES_INDEX).exists()

    def publish(self, plan: Callable[[], Delta]) -> Published:
        """Publish what `plan` returns in one revision; with nothing to do, CernVM-FS is not called at all.

        Where somebody else published meanwhile, `plan` is called again.

        Raises:
            PublishError: it could not be published; what was published before is as it was, and no transaction of cstore's is open.
        """
        carrier = self._carrier()
        end = time.monotonic() + max(self.wait, _GATEWAY_PATIENCE if self.repository.has_gateway else 0.0)
        delta = self._patiently(lambda: self._look(carrier, plan), end)
        if not delta:
            return Published(delta=delta)
        self._check(delta)
        with _only_cstore(self.repository):
            return self._patiently(lambda: self._try(carrier, plan), end)

    def _patiently(self, work: Callable[[], T], end: float) -> T:
        """Do something again while somebody else is publishing, and at once where he has published."""
        while True:
            try:
                return work()
            except MovedOnError:
                continue
            except BusyError as error:
                if time.monotonic() >= end:
                    raise _explained(error, self.repository) from None
                time.sleep(_PAUSE)

    def _look(self, carrier: Carrier, plan: Callable[[], Delta]) -> Delta:
        carrier.refresh()
        return plan()

    def _try(self, carrier: Carrier, plan: Callable[[], Delta]) -> Published:
        carrier.refresh()
        moment = carrier.moment()
        delta = plan()
        return self._published(carrier, delta, carrier.carry(delta, moment)) if delta else Published(delta=delta)

    def _carrier(self) -> Carrier:
        target = Target(self.repository, self.path, self.progress, leaves_out=self.skips_reserved, sets_xattrs=self.keeps_xattrs)
        return GatewayCarrier(target) if self.repository.has_gateway else Carrier(target)

    def _published(self, carrier: Carrier, delta: Delta, streamed: int) -> Published:
        moment = carrier.moment()
        if self.tag:
            try:
                self.repository.run("tag", "-a", self.tag, *(("-m", self.message) if self.message else ()))
            except PublishError as error:
                raise PublishError(f"published as revision {moment.revision}, but that is not named {self.tag}: {error}") from None
        return Published(delta=delta, revision=moment.revision, root_hash=moment.root_hash, streamed=streamed)

    def _check(self, delta: Delta) -> None:
        """See that nothing is in the layers that could not be published, before anything is.

        Raises:
            PublishError: something is.
        """
        trees = [step for step in delta if isinstance(step, PutTree)]
        if not self.skips_reserved:
            refuse_reserved(trees)
        for step in trees:
            if step.holes > _MOST_HOLES:
                raise PublishError(f"{step.path}: expected holes of up to {_MOST_HOLES} bytes in sparse files, found {step.holes}")
        if self.keeps_xattrs and any(step.xattrs for step in trees):
            refuse_xattrs(trees)
            if not self.repository.keeps_xattrs:
                raise PublishError(f"{self.repository.name}: expected a repository with CVMFS_INCLUDE_XATTRS=true, found one without")


def parse_location(text: str, site: Site) -> tuple[Repository, str]:
    """Split `cvmfs://REPOSITORY[/PATH]`.

    Raises:
        StoreError: this machine publishes no such repository, or the path leads out of it.
    """
    name, slash, path = text.removeprefix(SCHEME).partition("/")
    parts = path.strip("/").split("/")
    if slash and (".." in parts or "." in parts or "" in parts):
        raise StoreError(f"{text}: expected cvmfs://REPOSITORY or cvmfs://REPOSITORY/PATH, found another form")
    return Repository.parse(name, site), path.strip("/") if slash else DEFAULT_PATH


@contextmanager
def _only_cstore(repository: Repository) -> Iterator[None]:
    """Be the only cstore of this machine that publishes to the repository."""
    path = repository.site.locks / f"cstore-{repository.name}.lock"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _LOCK_MODE)
    except OSError as error:
        raise PublishError(f"{path}: expected a lock file that can be written, found: {error.strerror}") from None
    try:
        take(file, path, _OWN_PATIENCE)
        yield
    finally:
        os.close(file)


def _explained(error: BusyError, repository: Repository) -> PublishError:
    spool = repository.site.spool / repository.name
    return PublishError(
        f"{error}; somebody else is publishing: `ls -l {spool}` shows since when and as whom. cstore never ends a transaction that it "
        "did not open; --wait SECONDS waits for it"
    )
