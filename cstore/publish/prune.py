"""Pruning a store in a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.location import place_of
from cstore.prune import plan_prune
from cstore.publish.directory import apply, is_interrupted, writing
from cstore.store import Store

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from cstore.delta import Delta

__all__ = ["prune"]


def prune(location: Path | str, grace: dt.timedelta, today: dt.date) -> Delta:
    """Remove the layers that were retired at least `grace` ago, and return the steps that did it.

    Args:
        location: the store's directory.
        grace: how long readers may still build on a retired layer, in whole days.
        today: the day to count from.

    Raises:
        StoreError: there is no store, it is damaged, or it cannot be written.
    """
    root = place_of(location)
    delta = plan_prune(Store.open(root), grace, today)
    if delta or is_interrupted(root):
        with writing(root):
            delta = plan_prune(Store.open(root), grace, today)
            apply(delta, root)
    return delta
