"""A machine of the stand-in that publishes, and what cstore must be told to publish there."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve, frozen

from cstore.progress import silent
from cstore.publish.batch import Batch
from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.repository import Repository, Site
from tests.images import file, tar
from tests.publish.stores import DAY
from tools.cvmfs_standin.harness import COMMAND, standin
from tools.cvmfs_standin.slots import manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cstore.delta import Delta
    from cstore.progress import Progress
    from cstore.publish.batch import Receipt
    from cstore.publish.place import Published
    from tools.cvmfs_standin.harness import Standin

NAME = "r.example.org"
STORE = "podmanStore"


@frozen
class Publisher:
    """A machine that publishes one repository."""

    machine: Standin
    before: tuple[str, ...] = ()
    """A program, with arguments, that is called with the command line of each call, and makes it."""
    locks: str = "locks"
    """Where cstore's own locks are, on this machine."""

    @property
    def command(self) -> tuple[str, ...]:
        """How cvmfs_server is called, whatever the environment is."""
        wanted = {name: value for name, value in self.machine.environment.items() if os.environ.get(name) != value}
        return ("env", *(f"{name}={value}" for name, value in wanted.items()), *self.before, str(COMMAND))

    @property
    def site(self) -> Site:
        home, root = self.machine.site.home, self.machine.site.root
        locks = home / self.locks
        locks.mkdir(parents=True, exist_ok=True)
        return Site(
            command=self.command,
            spool=home / "var/spool/cvmfs",
            mount=home / "cvmfs",
            settings=root / "etc/cvmfs/repositories.d",
            locks=locks,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What the command line takes from the environment."""
        site = self.site
        return {
            "CSTORE_CVMFS_SERVER": shlex.join(site.command),
            "CSTORE_CVMFS_SPOOL": str(site.spool),
            "CSTORE_CVMFS_MOUNT": str(site.mount),
            "CSTORE_CVMFS_SETTINGS": str(site.settings),
            "CSTORE_CVMFS_LOCKS": str(site.locks),
        }

    @property
    def location(self) -> str:
        return f"cvmfs://{NAME}/{STORE}"

    @property
    def repository(self) -> Repository:
        return Repository(NAME, self.site)

    @property
    def newest(self) -> Path:
        """The repository as a client sees it now."""
        return self.machine.site.root / "client" / NAME

    @property
    def store(self) -> Path:
        """The store as a client sees it now."""
        return self.newest / STORE

    @property
    def revision(self) -> int:
        """The number of what is published."""
        return manifest(self.machine.repository(NAME)).revision

    @property
    def root_hash(self) -> str:
        return manifest(self.machine.repository(NAME)).root_hash

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open on this host."""
        return self.machine.repository(NAME).flag.exists()

    @property
    def verbs(self) -> list[str]:
        """The verbs of all calls so far."""
        return [call[0] for call in self.machine.calls()]

    def on(self, host: str) -> Publisher:
        """Return another machine that publishes the same repository."""
        machine = self.machine.on(host)
        machine.repository(NAME).make_spool()
        return evolve(self, machine=machine)

    @property
    def unknown(self) -> Publisher:
        """The same machine as another program uses it, which knows nothing of cstore's own locks."""
        return evolve(self, locks="other-locks")

    def failing(self, plan: str) -> Publisher:
        """Return the same machine, where calls fail as planned."""
        return evolve(self, machine=self.machine.failing(plan))

    def through(self, script: str, *arguments: str | Path) -> Publisher:
        """Return the same machine, where a shell script makes each call: its last arguments, from `$@` on after `shift`s."""
        return evolve(self, before=("sh", "-c", script, "sh", *map(str, arguments)))

    def place(self, progress: Progress = silent, path: str = STORE, **settings: Any) -> CvmfsPlace:  # noqa: ANN401 - of CvmfsPlace
        return CvmfsPlace(repository=self.repository, path=path, progress=progress, **settings)

    def add(self, images: dict[str, str], progress: Progress = silent, path: str = STORE, **settings: Any) -> Receipt:  # noqa: ANN401 - of CvmfsPlace
        """Publish images, of which the sources are given by name, in one batch."""
        batch = Batch(self.place(progress, path, **settings), today=DAY, progress=progress)
        try:
            for name, source in images.items():
                batch.add(source, name=name)
            return batch.publish()
        finally:
            batch.close()

    def change(self, *changes: tuple[str, ...], **settings: Any) -> Receipt:  # noqa: ANN401 - of CvmfsPlace
        """Publish changes of names, each as the name of a method of a batch and its arguments."""
        batch = Batch(self.place(**settings), today=DAY)
        try:
            for verb, *arguments in changes:
                getattr(batch, verb)(*arguments)
            return batch.publish()
        finally:
            batch.close()

    def publish_something(self, path: str = "somebody/else", content: bytes = b"1") -> None:
        """Publish a file that is none of cstore's, as somebody else does."""
        code, told = self.machine.run("ingest", "-t", "-", "-b", "/", NAME, data=tar(file(path, content)))
        assert code == 0, told

    def check(self) -> str:
        """Return what the program says on checking the catalogs; empty if they are fine."""
        code, told = self.machine.run("check", NAME)
        return told if code else ""


class Planned:
    """The plan of a batch, with something that happens after each planning.

    Args:
        batch: plans.
        after: is called with the number of the planning, from 1 on.
    """

    def __init__(self, batch: Batch, after: Callable[[int], object]) -> None:
        self.times = 0
        self._batch = batch
        self._after = after

    def __call__(self) -> Delta:
        self.times += 1
        delta = self._batch.plan()
        self._after(self.times)
        return delta


@contextmanager
def publishing_machine(root: Path, *settings: str, upstream: str = "local") -> Iterator[Publisher]:
    """Yield a machine that publishes one empty repository; skip the test where it cannot be."""
    if os.geteuid():
        pytest.skip("the stand-in mounts and makes devices, which needs root")
    with standin(root) as machine:
        machine.make(NAME, *settings, upstream=upstream)
        yield Publisher(machine)


def published(place: CvmfsPlace, images: dict[str, str], after: Callable[[int], object]) -> tuple[Published, int]:
    """Publish images while something happens after each planning; return what was done, and how often it was planned."""
    batch = Batch(place, today=DAY)
    try:
        for name, source in images.items():
            batch.add(source, name=name)
        planned = Planned(batch, after)
        return place.publish(planned), planned.times
    finally:
        batch.close()


def markers(root: Path) -> list[str]:
    """Return the directories below one that are catalogs of their own."""
    return sorted(str(path.parent.relative_to(root)) for path in _found(root) if path.name == ".cvmfscatalog")


def _found(root: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(root.resolve()):
        for name in names:
            yield root / os.path.relpath(os.path.join(directory, name), root.resolve())  # noqa: PTH118 - beside relpath


def once(action: Callable[[], object]) -> Callable[..., object]:
    """Return a function that does something at its first call only."""
    left: list[Callable[[], object]] = [action]

    def do(*_: object) -> object:
        return left.pop()() if left else None

    return do


def when_streaming(action: Callable[[], object]) -> Progress:
    """Return a progress at which something happens before the first layer is streamed."""
    first = once(action)

    def progress(work: str, _subject: str, _total: int) -> Callable[[int], object]:
        if work == "streaming":
            first()
        return lambda _size: None

    return progress


def call_of(calls: Sequence[Sequence[str]]) -> list[str]:
    """Return the only call."""
    (call,) = calls
    return list(call)


def nothing_told(_work: str, _subject: str, _total: int) -> Callable[[int], object]:
    """Take what a progress is told, and do nothing with it."""
    return lambda _size: None
