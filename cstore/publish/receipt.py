"""What is told of a batch that was published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.changes import Add, Change, Tag
from cstore.delta import PutTree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cstore.delta import Delta
    from cstore.model.chain import LayerID
    from cstore.model.reference import Reference
    from cstore.publish.place import Place, Published
    from cstore.source.fetch import FetchedLayer

__all__ = ["Receipt", "receipt_of"]


@frozen(kw_only=True)
class Receipt:
    """What was published."""

    delta: Delta = field(repr=False)
    names: tuple[str, ...]
    """Under which names images were added or tagged, in order."""
    images: int
    """Images that were to be added."""
    layers: int
    """New layers."""
    known_layers: int
    """Layers of these images that were there already, and stay as they are."""
    entries: int
    """Entries written."""
    bytes_written: int
    owners: str
    """Whose the files are."""
    devices_left_out: tuple[str, ...]
    """Devices that only root could have made."""
    xattrs_left_out: int
    """Extended attributes that the place does not keep, that only root can set, or that would tell overlay or SELinux something."""
    expanding_symlinks: tuple[str, ...]
    """Symlinks with `$(` in their text, which CernVM-FS clients expand."""
    seconds: float
    """From the first look at the store to the end."""
    revision: int | None = None
    """The revision of the repository; None in a plain directory, or where there was nothing to do.

    Behind a gateway, where others publish at the same time, it is the first that is known to hold the change.
    """
    root_hash: str | None = None
    """The root hash of that revision; None also where somebody else has published since, so that it is not told any more."""
    bytes_streamed: int = 0
    """Of the tar that was streamed into the repository."""


def receipt_of(
    published: Published, changes: Sequence[Change], place: Place, layers: Mapping[LayerID, FetchedLayer], seconds: float
) -> Receipt:
    """Return what is told of changes that were published.

    Args:
        published: what a place did.
        changes: what was wanted.
        place: where that was.
        layers: those that were fetched for it.
        seconds: how long it took.
    """
    delta, owners = published.delta, place.owners
    trees = {step.path.rpartition("/")[2] for step in delta if isinstance(step, PutTree)}
    chains = {change.image.id: change.image.chain for change in changes if isinstance(change, Add)}
    scans = [layer.scan for layer in layers.values() if layer.id in trees] if trees else []
    lost = [scan.xattrs if not place.keeps_xattrs else 0 if owners.as_in_image else scan.privileged_xattrs for scan in scans]
    return Receipt(
        delta=delta,
        names=tuple(str(name) for change in changes for name in _named(change)),
        images=len(chains),
        layers=len(trees),
        known_layers=len({layer for chain in chains.values() for layer in chain} - trees),
        entries=delta.entries,
        bytes_written=delta.size,
        owners=str(owners),
        devices_left_out=() if owners.as_in_image else tuple(device for scan in scans for device in scan.devices),
        xattrs_left_out=sum(scan.dropped_xattrs for scan in scans) + sum(lost),
        expanding_symlinks=tuple(path for scan in scans for path in scan.variables),
        seconds=seconds,
        revision=published.revision,
        root_hash=published.root_hash,
        bytes_streamed=published.streamed,
    )


def _named(change: Change) -> tuple[Reference, ...]:
    if isinstance(change, Add):
        return change.names
    return (change.new_name,) if isinstance(change, Tag) else ()
