"""The flat root file system of an image: all layers in one tree that everybody can read, with Apptainer's files (spec E1 to E12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.delta import PutTree
from cstore.hub.apptainer import MOUNT_POINTS, apptainer_part
from cstore.index.gojson import decode
from cstore.layer.entry import Entry, Kind
from cstore.layer.merging import Merged, Part, merge
from cstore.model.layout import CATALOG
from cstore.model.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["flat_step", "flat_tree"]

_DIRECTORY = 0o755
_READABLE = 0o444
_RUNNABLE = 0o111
_LENDS_RIGHTS = 0o6000
_LEFT_OUT = (Kind.CHARACTER, Kind.BLOCK, Kind.FIFO)


def flat_tree(parts: Sequence[Part], config: bytes, at: str) -> Merged:
    """Read the headers of an image's layers, and return its flat tree.

    Args:
        parts: the layers, base first.
        config: the bytes of the image's config.
        at: what errors call the image.

    Raises:
        ContentError: the names take more memory than they may.
        FormatError: the config is malformed, or a tar-split damaged.
    """
    settings = Settings.from_dict(decode(config, f"{at}: config"), f"{at}: config")
    return merge([*parts, apptainer_part(settings)], at=at, dress=readable, wanted=MOUNT_POINTS)


def flat_step(path: str, tree: Merged, *, is_catalog: bool = False) -> PutTree:
    """Return the step that puts a flat tree.

    Args:
        path: where its top directory is to be.
        tree: from `flat_tree`.
        is_catalog: whether it is to be a catalog of CernVM-FS of its own; the marker is in the tree then, where readers see it.
    """
    counts = tree.counts
    return PutTree(
        path=path,
        tree=tree,
        inside="",
        files={CATALOG: b""} if is_catalog else {},
        directories=(),
        entries=counts.entries,
        size=counts.size,
        holes=counts.holes,
        special=counts.special,
        reserved=counts.reserved,
    )


def readable(entry: Entry) -> Entry | None:
    """Return an entry of a layer as it is in a flat tree; None for what is not (spec E7).

    Everybody can read it, and run it if anybody can. Where somebody may run it only now, it lends nobody the rights of its owner.
    """
    kind, mode = entry.kind, entry.mode
    if kind is Kind.FILE:
        mode |= _READABLE
        if mode & _RUNNABLE and mode & _RUNNABLE != _RUNNABLE:
            mode = (mode | _RUNNABLE) & ~_LENDS_RIGHTS
    elif kind is Kind.DIRECTORY:
        mode |= _DIRECTORY
    elif kind in _LEFT_OUT:
        return None
    if mode == entry.mode and not entry.xattrs:
        return entry
    return Entry(entry.path, kind, mode, entry.uid, entry.gid, entry.mtime, entry.size, entry.target, pieces=entry.pieces)
