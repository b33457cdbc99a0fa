"""From the text of a location to its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.location import SCHEME, place_of
from cstore.progress import Progress, silent
from cstore.publish.place import DirectoryPlace, Place

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.publish.repository import Site

__all__ = ["find_place"]


def find_place(location: Path | str, progress: Progress = silent, site: Site | None = None) -> Place:
    """Return the place that a location means: a directory, or `cvmfs://REPOSITORY[/PATH]`.

    Args:
        location: the text, or a path.
        progress: is told of trees that are written.
        site: where the publisher's CernVM-FS keeps things; None takes the usual places.

    Raises:
        StoreError: this machine publishes no such repository, or the location has another scheme.
    """
    if str(location).startswith(SCHEME):
        # A plain directory needs nothing of all that, which takes its time.
        from cstore.publish.cvmfs import CvmfsPlace, parse_location  # noqa: PLC0415
        from cstore.publish.repository import Site  # noqa: PLC0415

        repository, path = parse_location(str(location), site or Site())
        return CvmfsPlace(repository=repository, path=path, progress=progress)
    return DirectoryPlace(place_of(location), progress)
