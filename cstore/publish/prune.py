"""Pruning a store, wherever it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cstore.mend.containers import refuse_containers
from cstore.pruning import plan_prune
from cstore.publish.find import find_place
from cstore.store import Store

if TYPE_CHECKING:
    import datetime as dt

    from cstore.delta import Delta
    from cstore.publish.place import Place, Published

__all__ = ["prune", "prune_plan"]


def prune(location: Place | Path | str, grace: dt.timedelta, today: dt.date) -> Published:
    """Remove the layers that were retired at least `grace` ago, and return what was done.

    Args:
        location: the store's directory, or `cvmfs://REPOSITORY[/PATH]`, or a place.
        grace: how long readers may still build on a retired layer, in whole days.
        today: the day to count from.

    Raises:
        StoreError: there is no store, it is damaged or cannot be written, or podman keeps containers in it.
    """
    place = find_place(location) if isinstance(location, Path | str) else location
    refuse_containers(place.root)
    return place.publish(lambda: prune_plan(place.root, grace, today))


def prune_plan(root: Path, grace: dt.timedelta, today: dt.date) -> Delta:
    """Return the delta that removes them.

    Args:
        root: the store's directory.
        grace: how long readers may still build on a retired layer, in whole days.
        today: the day to count from.

    Raises:
        StoreError: there is no store, it is damaged, or podman keeps containers in it.
    """
    refuse_containers(root)
    return plan_prune(Store.open(root), grace, today)
