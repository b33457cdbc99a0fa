"""Places: where a store is, and how changes get there."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from cstore.errors import StoreError
from cstore.model.layout import Form
from cstore.progress import Progress, silent
from cstore.publish.directory import apply, check_space, is_interrupted, is_vacant, settle, writing
from cstore.publish.owners import Owners
from cstore.verification.touched import refuse_unsound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cstore.delta import Delta
    from cstore.store import Store

__all__ = ["DirectoryPlace", "Place", "Published", "preview"]


@frozen(kw_only=True)
class Published:
    """What a place did with a delta."""

    delta: Delta
    revision: int | None = None
    """The new revision of the repository; None in a plain directory, or where nothing was published.

    Behind a gateway, where others publish at the same time, it is the first that is known to hold the change.
    """
    root_hash: str | None = None
    """The root hash of that revision; None where somebody else has published since, so that it is not told any more."""
    streamed: int = 0
    """Bytes of the tar that was streamed."""


def preview(place: Place, delta: Delta) -> Published:
    """Return what publishing a delta would do, after it was seen that nothing is in its way.

    Raises:
        StoreError: something is, as far as that can be known without writing.
    """
    if delta:
        place.check(delta)
    return Published(delta=delta)


class Place(Protocol):
    """Where a store is, or is to be."""

    @property
    def root(self) -> Path:
        """Where it can be read."""
        ...

    @property
    def readers_root(self) -> Path:
        """Where readers find it."""
        ...

    @property
    def form(self) -> Form:
        """The form that a new store gets here."""
        ...

    @property
    def owners(self) -> Owners:
        """Whose the files are that are written here."""
        ...

    @property
    def keeps_xattrs(self) -> bool:
        """Whether extended attributes of images arrive here."""
        ...

    def is_vacant(self) -> bool:
        """Whether a store can be made here."""
        ...

    def is_current(self, store: Store) -> bool:
        """Whether a reading of the store is known to be what is there still."""
        ...

    def check(self, delta: Delta) -> None:
        """See that nothing is in the way of a delta, as far as that can be known without writing.

        Raises:
            StoreError: something is.
        """
        ...

    def publish(self, plan: Callable[[], Delta]) -> Published:
        """Carry out what `plan` returns, as a whole or not at all.

        Args:
            plan: reads the store and plans; it is called again whenever the store may have changed since.

        Raises:
            PublishError: it could not be published; the store holds what it held before.
            StoreError: whatever `plan` raises.
        """
        ...


@frozen
class DirectoryPlace:
    """A plain directory."""

    root: Path
    progress: Progress = silent

    @property
    def readers_root(self) -> Path:
        """The same directory, by its absolute path."""
        return self.root.absolute()

    @property
    def form(self) -> Form:
        """Direct, as podman itself writes."""
        return Form.DIRECT

    @property
    def owners(self) -> Owners:
        """Those of the store that is there, or of this process."""
        return Owners.of(self.root)

    @property
    def keeps_xattrs(self) -> bool:
        """Yes."""
        return True

    def is_vacant(self) -> bool:
        """Whether nothing is there, or an empty directory."""
        return is_vacant(self.root)

    def is_current(self, store: Store) -> bool:
        """Whether no file that was read has changed."""
        return store.is_current()

    def check(self, delta: Delta) -> None:
        """See that there is room for a delta, and that it would not stop every reader.

        Raises:
            PublishError: there is none, or it would.
        """
        refuse_unsound(delta, self.root)
        check_space(delta, self.root)

    def publish(self, plan: Callable[[], Delta]) -> Published:
        """Carry out a delta; one that is empty takes no lock and writes nothing. What an interrupted run left is put right first.

        Raises:
            PublishError: it could not be written; the store holds what it held before.
        """
        settle(self.root, self.progress)
        try:
            delta = plan()
        except StoreError:
            # Another writer may have been half-way just then; a reason that lasts shows again.
            with writing(self.root, self.progress) if is_interrupted(self.root) else nullcontext():
                delta = plan()
        if delta:
            with writing(self.root, self.progress):
                delta = plan()
                apply(delta, self.root, self.progress)
        return Published(delta=delta)
