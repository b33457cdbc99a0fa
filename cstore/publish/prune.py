"""Pruning a store, wherever it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cstore.pruning import plan_prune
from cstore.publish.find import find_place
from cstore.store import Store

if TYPE_CHECKING:
    import datetime as dt

    from cstore.publish.place import Place, Published

__all__ = ["prune"]


def prune(location: Place | Path | str, grace: dt.timedelta, today: dt.date) -> Published:
    """Remove the layers that were retired at least `grace` ago, and return what was done.

    Args:
        location: the store's directory, or `cvmfs://REPOSITORY[/PATH]`, or a place.
        grace: how long readers may still build on a retired layer, in whole days.
        today: the day to count from.

    Raises:
        StoreError: there is no store, it is damaged, or it cannot be written.
    """
    place = find_place(location) if isinstance(location, Path | str) else location
    return place.publish(lambda: plan_prune(Store.open(place.root), grace, today))
