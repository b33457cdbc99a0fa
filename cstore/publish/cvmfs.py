"""The publisher of stores in CernVM-FS: any number of changes in one revision, streamed into one `cvmfs_server ingest`.

What it rests on are statements of the spec (spec C1 to C25).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from cstore.delta import Delta, PutTree
from cstore.errors import PublishError, StoreError
from cstore.layer.names import is_reserved
from cstore.location import SCHEME
from cstore.model.layout import ABOUT, CATALOG, IMAGES_INDEX, Form
from cstore.progress import Progress, silent
from cstore.publish.carrier import Carried, Carrier, MovedOnError, Target
from cstore.publish.gateway import GatewayCarrier
from cstore.publish.locks import everybodys
from cstore.publish.owners import Owners
from cstore.publish.place import Published
from cstore.publish.program import BusyError
from cstore.publish.refusals import refuse_links_to_reserved, refuse_reserved, refuse_xattrs
from cstore.publish.repository import Moment, Repository, Site
from cstore.verification.touched import refuse_unsound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cstore.store import Store

__all__ = ["CvmfsPlace", "parse_hub_location", "parse_location"]

T = TypeVar("T")

DEFAULT_PATH = "podmanStore"
_PAUSE = 3.0
_GATEWAY_PATIENCE = 600.0
_MOST_HOLES = 64 << 30
_BEGUN = frozenset([CATALOG, ABOUT, "overlay", "overlay-images", "overlay-layers", "pool"])
_OWN_PATIENCE = 3600.0
"""Seconds to wait for another cstore, which ends by itself."""
_PART = re.compile(r"[\w.+=@%][\w.+=@%-]*")
"""A part of PATH: `cvmfs_server` hands it to a shell, takes `:` for the end of one path, and a client expands `$(`."""
_LONGEST_PART = 255
_WHITEOUT = ".wh."
_TAG = re.compile(r"[\w.+=@%:/][\w.+=@%:/-]*")
_NO_MESSAGE = re.compile(r'["$`\\]|[^\x20-\x7e\x80-\U0010ffff]')
"""What a message cannot have: `cvmfs_server` hands it to a shell in double quotes."""


@frozen(kw_only=True)
class CvmfsPlace:
    """A store in a repository that this machine publishes."""

    repository: Repository
    path: str = DEFAULT_PATH
    """Where in the repository the store is."""
    stores: tuple[str, ...] = ("",)
    """Where below the path the stores are that a delta changes; empty for just the path."""
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

    @staticmethod
    def is_current(_store: Store) -> bool:
        """No: times in a repository are those of publishing, and a client may show another revision at any moment."""
        return False

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
        self.check(delta)
        with everybodys(self.repository.site.locks / f"cstore-{self.repository.name}.lock", _OWN_PATIENCE):
            return self._patiently(lambda: self._try(carrier, plan), end)

    def _patiently(self, work: Callable[[], T], end: float) -> T:
        """Do something again while somebody else is publishing, and at once where he has published."""
        told = False
        while True:
            try:
                return work()
            except MovedOnError:
                continue
            except BusyError as error:
                left = end - time.monotonic()
                # Behind a gateway, who tries again too early may undo what he waited for (spec C23).
                if left <= 0 or (left < _PAUSE and self.repository.has_gateway):
                    raise _explained(error, self.repository) from None
                if not told:
                    self.progress("waiting for", f"whoever is publishing to {self.repository.name}", 0)
                    told = True
                time.sleep(min(_PAUSE, left))

    def _look(self, carrier: Carrier, plan: Callable[[], Delta]) -> Delta:
        carrier.refresh()
        self._target.check()
        return plan()

    def _try(self, carrier: Carrier, plan: Callable[[], Delta]) -> Published:
        carrier.refresh()
        moment = carrier.moment()
        self._target.check()
        delta = plan()
        if not delta:
            return Published(delta=delta)
        self._check_delta(delta)
        return self._published(delta, carrier.carry(delta, moment))

    @property
    def _target(self) -> Target:
        return Target(self.repository, self.path, self.progress, leaves_out=self.skips_reserved, sets_xattrs=self.keeps_xattrs)

    def _carrier(self) -> Carrier:
        return GatewayCarrier(self._target) if self.repository.has_gateway else Carrier(self._target)

    def _published(self, delta: Delta, carried: Carried) -> Published:
        made = carried.moment
        if self.tag:
            try:
                self._name(made)
            except PublishError as error:
                raise PublishError(f"published as revision {made.revision}, but that is not named {self.tag}: {error}") from None
        return Published(delta=delta, revision=made.revision, root_hash=made.root_hash or None, streamed=carried.streamed)

    def _name(self, made: Moment) -> None:
        """Give the revision its name, and no other one.

        Raises:
            PublishError: somebody else has published since, or the name was refused.
        """
        if not made.root_hash:
            raise PublishError(f"{self.repository.name}: expected it to be the newest, found that somebody else has published since")
        # A gateway names the newest only.
        which = () if self.repository.has_gateway else ("-h", made.root_hash)
        self.repository.run("tag", "-a", self.tag, *which, *(("-m", self.message) if self.message else ()))

    def check(self, delta: Delta) -> None:
        """See that nothing is in the way of a delta that could be known before anything is published.

        Raises:
            StoreError: the way to the store leads through something else than directories.
            PublishError: a layer has something that could not be published, or the revision cannot get its name.
        """
        self._target.check()
        self._check_delta(delta)
        if self.message and _NO_MESSAGE.search(self.message):
            raise PublishError(f"{self.message!r}: expected a message without quotes, dollars, backslashes and control characters")
        if not self.tag:
            return
        if not _TAG.fullmatch(self.tag):
            raise PublishError(f"{self.tag!r}: expected a name for a revision of letters, digits and ._+=@%:/-, found another")
        if self.tag in self.repository.tags():
            raise PublishError(f"{self.repository.name}: expected no revision named {self.tag} yet, found one")

    def _check_delta(self, delta: Delta) -> None:
        for store in self.stores:
            refuse_unsound(delta.part_in(store) if store else delta, self.root / store)
        trees = [step for step in delta if isinstance(step, PutTree)]
        if self.skips_reserved:
            refuse_links_to_reserved(trees)
        else:
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
        StoreError: this machine publishes no such repository, or the path leads out of it, or has what CernVM-FS or its program would
            take for something else.
    """
    repository, parts = _split_location(text, site)
    return repository, "/".join(parts or [DEFAULT_PATH])


def parse_hub_location(text: str, site: Site) -> tuple[Repository, str]:
    """Split `cvmfs://REPOSITORY[/SUBDIRECTORY]`; without SUBDIRECTORY the path is empty.

    Raises:
        StoreError: as `parse_location`; or behind a gateway, which leases directories, none is given.
    """
    repository, parts = _split_location(text, site)
    if not parts and repository.has_gateway:
        raise StoreError(f"{text}: expected a SUBDIRECTORY, on which a gateway gives a lease, found none")
    return repository, "/".join(parts)


def _split_location(text: str, site: Site) -> tuple[Repository, list[str]]:
    name, _, path = text.removeprefix(SCHEME).partition("/")
    parts = path.removesuffix("/").split("/") if path else []
    if not name or ".." in parts or "." in parts or "" in parts:
        raise StoreError(f"{text}: expected cvmfs://REPOSITORY or cvmfs://REPOSITORY/PATH, found another form")
    for part in parts:
        if not _PART.fullmatch(part) or len(part.encode()) > _LONGEST_PART:
            raise StoreError(f"{text!r}: expected a PATH of letters, digits and ._+=@%-, found {part!r}")
        if is_reserved(part.encode()) or part.startswith(_WHITEOUT):
            raise StoreError(f"{text}: expected a PATH without names that CernVM-FS takes for its own, found {part}")
    return Repository.parse(name, site), parts


def _explained(error: BusyError, repository: Repository) -> PublishError:
    spool = repository.site.spool / repository.name
    return PublishError(
        f"{error}; somebody else is publishing: `ls -l {spool}` shows since when and as whom. cstore never ends a transaction that it "
        "did not open; --wait SECONDS waits for it"
    )
