"""What is in the way of a public name, and of what describes it: nothing but a name's own symlink and files is put aside (spec H7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import StoreError
from cstore.hub.layout import INDEX, MANIFEST
from cstore.model.offer import Offer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cstore.hub.layout import HubLayout
    from cstore.hub.reading import HubReading
    from cstore.model.remote import RemoteName

__all__ = ["is_free", "refuse_obstacles"]

_WAY = ("nothing", "a directory")
"""What may be found on the way to a path."""


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
        directory = layout.metadata(name)
        for document in (MANIFEST, INDEX):
            _refuse(reading, f"{directory}/{document}", ("nothing", "a file"), "a file or nothing where a name is described")
        _refuse_way(reading, f"{directory}/{MANIFEST}", "what describes a name")


def is_free(reading: HubReading, path: str) -> bool:
    """Whether nothing but directories is on the way to a path."""
    return all(reading.found(above) in _WAY for above in _way(path))


def _refuse_way(reading: HubReading, path: str, what: str) -> None:
    for above in _way(path):
        _refuse(reading, above, _WAY, f"a directory on the way to {what}")


def _way(path: str) -> Iterator[str]:
    """Yield the paths of all directories above a path, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def _refuse(reading: HubReading, path: str, allowed: Collection[str], expected: str) -> None:
    there = reading.found(path)
    if there not in allowed:
        raise StoreError(f"{reading.root}/{path}: expected {expected}, found {there}")
