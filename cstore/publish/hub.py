"""Hubs: directories, or repositories of CernVM-FS, that hold podman stores and what is offered beside them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from attrs import evolve, frozen

from cstore.delta import Delta, Remove
from cstore.errors import StoreError
from cstore.location import SCHEME, place_of
from cstore.progress import Progress, silent
from cstore.publish.directory import apply, check_space, settle, writing
from cstore.publish.place import DirectoryPlace, Place, Published
from cstore.verification.touched import refuse_unsound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cstore.delta import Step
    from cstore.publish.cvmfs import CvmfsPlace
    from cstore.publish.repository import Site

__all__ = ["CvmfsHub", "DirectoryHub", "Hub", "find_hub"]


class Hub(Protocol):
    """Where a hub is, or is to be. Paths of its deltas are relative to it; those of its stores are among them."""

    @property
    def root(self) -> Path:
        """Where it can be read."""
        ...

    @property
    def has_catalogs(self) -> bool:
        """Whether directories of it become catalogs by markers in them."""
        ...

    @property
    def takes_links(self) -> bool:
        """Whether files of one tree may be hard links to those of another."""
        ...

    @property
    def refuses_reserved(self) -> bool:
        """Whether layers with names that CernVM-FS takes for its own cannot be published."""
        ...

    def store(self, path: str) -> Place:
        """Return the place of one of its stores, by its path below the hub."""
        ...

    def check(self, delta: Delta, stores: Sequence[str]) -> None:
        """See that nothing is in the way of a delta, as far as that can be known without writing.

        Raises:
            StoreError: something is.
        """
        ...

    def settle(self, stores: Sequence[str]) -> None:
        """Finish or undo what an interrupted run left, so that what is read from now on stays as it is.

        Args:
            stores: the paths of all stores that there are.

        Raises:
            PublishError: it could not be put right, or another writer is at work for longer than an hour.
        """
        ...

    def publish(self, plan: Callable[[], Delta], stores: Sequence[str]) -> Published:
        """Carry out what `plan` returns.

        In CernVM-FS that is one revision (spec H8). In a directory what comes before the steps of stores is carried out first, then each
        store changes as a whole, and what comes beside them is last, so that readers find everything that is named at any time.

        Args:
            plan: reads the hub and plans; it is called again whenever the hub may have changed since.
            stores: the paths of all stores that the delta may change.

        Raises:
            PublishError: it could not be published.
            StoreError: whatever `plan` raises.
        """
        ...


@frozen
class DirectoryHub:
    """A plain directory that stands for a repository."""

    root: Path
    progress: Progress = silent

    @property
    def has_catalogs(self) -> bool:
        """No: there are no catalogs."""
        return False

    @property
    def takes_links(self) -> bool:
        """No: each tree stays by itself, whatever becomes of the others."""
        return False

    @property
    def refuses_reserved(self) -> bool:
        """No: all names are the same here."""
        return False

    def store(self, path: str) -> Place:
        """Return the place of one of its stores."""
        return DirectoryPlace(self.root / path, self.progress)

    def check(self, delta: Delta, stores: Sequence[str]) -> None:
        """See that there is room for a delta, and that it would not stop every reader of a store.

        Raises:
            PublishError: there is none, or it would.
        """
        for store in stores:
            refuse_unsound(delta.part_in(store), self.root / store)
        check_space(delta, self.root)

    def settle(self, stores: Sequence[str]) -> None:
        """Finish or undo what an interrupted run left; without one, nothing is written."""
        for root in self._roots(stores):
            settle(root, self.progress)

    def publish(self, plan: Callable[[], Delta], stores: Sequence[str]) -> Published:
        """Carry out a delta; one that is empty takes no lock and writes nothing. What an interrupted run left is put right first."""
        self.settle(stores)
        delta = plan()
        if not delta:
            return Published(delta=delta)
        self.check(delta, stores)
        with ExitStack() as held:
            for root in self._roots(stores):
                held.enter_context(writing(root, self.progress))
            delta = plan()
            for root, part in self._parts(delta, stores):
                apply(part, root, self.progress)
        return Published(delta=delta)

    def _roots(self, stores: Sequence[str]) -> list[Path]:
        return [self.root, *(self.root / store for store in stores)]

    def _parts(self, delta: Delta, stores: Sequence[str]) -> list[tuple[Path, Delta]]:
        """Return what is carried out one after the other.

        What is beside the stores comes last, but for that which a removal or a step in a store follows.
        """
        last = max((number for number, step in enumerate(delta, 1) if isinstance(step, Remove) or _is_in(stores, step)), default=0)
        before, after = (Delta(steps).part_outside(stores) for steps in (delta.steps[:last], delta.steps[last:]))
        inside = [(self.root / store, delta.part_in(store)) for store in stores]
        return [(self.root, before), *inside, (self.root, after)]


@frozen
class CvmfsHub:
    """A repository of CernVM-FS, or a directory in one."""

    place: CvmfsPlace
    """The place of the hub itself, with what was asked about revisions."""

    @property
    def root(self) -> Path:
        """The hub as it is published now."""
        return self.place.root

    @property
    def has_catalogs(self) -> bool:
        """Yes."""
        return True

    @property
    def takes_links(self) -> bool:
        """Yes: an ingest makes files of their own of them (spec H10)."""
        return True

    @property
    def refuses_reserved(self) -> bool:
        """Yes, unless it was asked that they are left out."""
        return not self.place.skips_reserved

    def store(self, path: str) -> Place:
        """Return the place of one of its stores."""
        return evolve(self.place, path=self._placed(path))

    def check(self, delta: Delta, stores: Sequence[str]) -> None:
        """See that nothing is in the way of a delta.

        Raises:
            StoreError: the way to the hub leads through something else than directories.
            PublishError: something could not be published, or the revision cannot get its name.
        """
        evolve(self.place, stores=tuple(stores)).check(delta)

    def settle(self, stores: Sequence[str]) -> None:
        """Do nothing: of a transaction that is interrupted nothing is published."""

    def publish(self, plan: Callable[[], Delta], stores: Sequence[str]) -> Published:
        """Publish what `plan` returns in one revision."""
        return evolve(self.place, stores=tuple(stores)).publish(plan)

    def _placed(self, path: str) -> str:
        return f"{self.place.path}/{path}" if self.place.path else path


def _is_in(stores: Sequence[str], step: Step) -> bool:
    return step.path.startswith(tuple(f"{store}/" for store in stores))


def find_hub(location: str, progress: Progress = silent, site: Site | None = None) -> Hub:
    """Return the hub that a location means: a directory, or `cvmfs://REPOSITORY[/SUBDIRECTORY]`.

    Args:
        location: the text.
        progress: is told of trees that are written.
        site: where the publisher's CernVM-FS keeps things; None takes the usual places.

    Raises:
        StoreError: this machine publishes no such repository, there is no such directory, or the location has another scheme.
    """
    if location.startswith(SCHEME):
        # A plain directory needs nothing of all that, which takes its time.
        from cstore.publish.cvmfs import CvmfsPlace, parse_hub_location  # noqa: PLC0415
        from cstore.publish.repository import Site  # noqa: PLC0415

        repository, path = parse_hub_location(location, site or Site())
        return CvmfsHub(CvmfsPlace(repository=repository, path=path, progress=progress))
    scheme, separator, _ = location.partition("://")
    if not location or (separator and scheme.isalnum()):
        raise StoreError(
            f"{location}: expected a directory or {SCHEME}REPOSITORY[/SUBDIRECTORY] to publish to, found another kind of place"
        )
    root = place_of(location)
    if not root.is_dir():
        # One that is made here would be one more for each wrong letter in a configuration.
        found = "something else" if root.exists() else "nothing; make an empty one first"
        raise StoreError(f"{root}: expected a directory for a hub, found {found}")
    return DirectoryHub(root, progress)
