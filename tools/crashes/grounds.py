"""Where a change is tried: fresh copies of the store as it is before, in a plain directory or in CernVM-FS."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.model.layout import IMAGES_LOCK, LAYERS_LOCK, WORK_LOCK
from tests.publish.cvmfs import NAME, publishing_machine
from tests.publish.ending import packed
from tools.crashes.changes import STORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.publish.cvmfs import Publisher

__all__ = ["Copy", "CvmfsGround", "DirectoryGround", "Ground"]


@frozen
class Copy:
    """A store of its own, on which one run after the other is tried."""

    location: str
    """As the command line takes it."""
    root: Path
    """Where readers find it."""
    beside: Path
    """Where what lies beside it is found."""
    locks: tuple[Path, ...]
    """Files that writers hold locked."""
    environment: Mapping[str, str] = field(factory=dict)
    publisher: Publisher | None = None
    """The machine that publishes it; None in a plain directory."""

    def failing(self, plan: str) -> Mapping[str, str]:
        """Return the environment in which calls of `cvmfs_server` fail as planned."""
        if self.publisher is None:
            raise ValueError(f"{self.location}: expected a store in CernVM-FS")
        return self.publisher.failing(plan).environment

    def complaint(self) -> str:
        """Return what is wrong besides the store itself; empty if nothing is."""
        if self.publisher is None:
            return ""
        return "a transaction is open" if self.publisher.is_open else self.publisher.check()


@frozen
class DirectoryGround:
    """Plain directories.

    Args:
        top: the directory that holds the store as it is before; copies are made beside it.
    """

    top: Path

    @contextmanager
    def copy(self, name: str) -> Iterator[Copy]:
        """Yield a copy, which is gone afterwards."""
        top = self.top.with_name(name)
        subprocess.run(["cp", "-a", self.top, top], check=True)
        root = top / STORE
        locks = (root / LAYERS_LOCK, root / IMAGES_LOCK, root / WORK_LOCK)
        try:
            yield Copy(str(root), root, top, locks)
        finally:
            shutil.rmtree(top)


@frozen
class CvmfsGround:
    """Repositories that machines of the stand-in publish.

    Args:
        top: the directory that holds the repository as it is before; the machines have their places beside it.
        upstream: where the repository is stored, `gw` behind a gateway.
    """

    top: Path
    upstream: str = "local"

    @contextmanager
    def copy(self, name: str) -> Iterator[Copy]:
        """Yield a copy, which is gone afterwards."""
        place = self.top.with_name(name)
        try:
            with publishing_machine(place, upstream=self.upstream) as publisher:
                code, told = publisher.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=packed(self.top))
                if code:
                    raise RuntimeError(told)
                (publisher.machine.site.root / "calls.log").unlink()
                site = publisher.site
                beside = Path(os.fsdecode(site.mount)) / NAME
                lock = site.locks / f"cstore-{NAME}.lock"
                yield Copy(f"cvmfs://{NAME}/{STORE}", publisher.newest / STORE, beside, (lock,), publisher.environment, publisher)
        finally:
            shutil.rmtree(place)


Ground = DirectoryGround | CvmfsGround
