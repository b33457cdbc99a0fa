"""Repairing a store, wherever it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cstore.mend.containers import refuse_containers
from cstore.mend.repair import plan_repair
from cstore.publish.find import find_place

if TYPE_CHECKING:
    import datetime as dt

    from cstore.publish.place import Place, Published

__all__ = ["repair"]


def repair(location: Place | Path | str, grace: dt.timedelta, today: dt.date) -> Published:
    """Mend what can be mended of a store, and return what was done; `cstore.verify` says what is left.

    Links, lowers, lower-layers and locks are made anew where they are wrong, records completed from manifest and config, double ones
    dropped, with names at the newest image. Layer content is never touched.

    Args:
        location: the store's directory, or `cvmfs://REPOSITORY[/PATH]`, or a place.
        grace: how old what belongs to nothing must be to be removed, in whole days.
        today: the day to count from.

    Raises:
        StoreError: there is no store, it cannot be read or written, or podman keeps containers in it.
    """
    place = find_place(location) if isinstance(location, Path | str) else location
    refuse_containers(place.root)
    return place.publish(lambda: plan_repair(place.root, str(place.readers_root), grace, today))
