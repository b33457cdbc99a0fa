"""What is in the way of a public name, and of what describes it: nothing but a name's own symlink and files is put aside (spec H7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import StoreError
from cstore.hub.layout import INDEX, MANIFEST
from cstore.model.offer import Offer

if TYPE_CHECKING:
    from collections.abc import Collection

    from cstore.hub.layout import HubLayout
    from cstore.hub.reading import HubReading
    from cstore.model.remote import RemoteName

__all__ = ["is_free", "refuse_obstacles"]


def refuse_obstacles(reading: HubReading, layout: HubLayout, name: RemoteName, offers: Collection[Offer]) -> None:
    """See that all that is offered of an image under a name can be put: an ingest would replace whatever is there (spec C4).

    Raises:
        StoreError: something is in the way.
    """
    if Offer.FLAT in offers:
        path = layout.name(name)
        _refuse(reading, path, ("nothing", "a symlink"), "a symlink or nothing at a public name")
        _refuse_way(reading, path, "a public name")
    if Offer.METADATA in offers:
        for document in (MANIFEST, INDEX):
            path = f"{layout.metadata(name)}/{document}"
            _refuse(reading, path, ("nothing", "a file"), "a file or nothing where a name is described")
            _refuse_way(reading, path, "what describes a name")


def is_free(reading: HubReading, path: str) -> bool:
    """Whether nothing but directories is on the way to a path."""
    above = path.rpartition("/")[0]
    while above:
        if reading.found(above) not in ("nothing", "a directory"):
            return False
        above = above.rpartition("/")[0]
    return True


def _refuse_way(reading: HubReading, path: str, what: str) -> None:
    above = path.rpartition("/")[0]
    while above:
        _refuse(reading, above, ("nothing", "a directory"), f"a directory on the way to {what}")
        above = above.rpartition("/")[0]


def _refuse(reading: HubReading, path: str, allowed: Collection[str], expected: str) -> None:
    there = reading.found(path)
    if there not in allowed:
        raise StoreError(f"{reading.root}/{path}: expected {expected}, found {there}")
