"""Publishing inside a CernVM-FS transaction that the caller has opened, and will publish or abort himself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.delta import PutTree
from cstore.errors import PublishError
from cstore.model.layout import Form
from cstore.progress import Progress, silent
from cstore.publish.directory import apply, is_vacant
from cstore.publish.owners import Owners
from cstore.publish.place import Published
from cstore.publish.refusals import refuse_reserved, refuse_xattrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.delta import Delta
    from cstore.store import Store

__all__ = ["TransactionPlace", "within"]


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

    @property
    def keeps_xattrs(self) -> bool:
        """Whether extended attributes are set; the repository decides whether it keeps them."""
        return True

    def is_vacant(self) -> bool:
        """Whether nothing is there, or an empty directory."""
        return is_vacant(self.root)

    @staticmethod
    def is_current(store: Store) -> bool:
        """Whether no file that was read has changed."""
        return store.is_current()

    def publish(self, plan: Callable[[], Delta]) -> Published:
        """Carry out a delta in the transaction; nothing is published before the caller does.

        Raises:
            PublishError: a layer has whiteouts or devices, which only an ingest can publish, or the transaction refused something.
        """
        delta = plan()
        self.check(delta)
        apply(delta, self.root, self.progress)
        return Published(delta=delta)

    def check(self, delta: Delta) -> None:
        """See that a transaction can carry a delta.

        Raises:
            PublishError: a layer has whiteouts or devices, reserved names, or too long attributes.
        """
        trees = [step for step in delta if isinstance(step, PutTree)]
        refuse_reserved(trees)
        refuse_xattrs(trees)
        for step in trees:
            if step.special:
                raise PublishError(
                    f"{step.path}: expected a layer of files, directories and links, found {step.special} whiteouts or devices, which a "
                    "transaction cannot make; add the image with cvmfs:// instead"
                )


def within(transaction_root: Path | str, progress: Progress = silent) -> TransactionPlace:
    """Return the place of a store inside an open transaction, for `cstore.publishing`.

    Args:
        transaction_root: the store's directory there, as `/cvmfs/REPOSITORY/podmanStore`.
        progress: is told of trees that are written.
    """
    return TransactionPlace(root=Path(transaction_root), progress=progress)
