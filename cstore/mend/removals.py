"""What a repair removes: what belongs to nothing for long enough, and what overlay left beside a layer's tree."""

from __future__ import annotations

import datetime as dt
import os
import stat
from typing import TYPE_CHECKING

from attrs import define, field

from cstore.delta import Remove
from cstore.files import Directory
from cstore.model.chain import is_id
from cstore.model.layout import TAR_SPLIT
from cstore.verification.images import item_files
from cstore.verification.orphans import check_orphans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.origin import Origin
    from cstore.verification.overlay import Overlay
    from cstore.verification.survey import Survey

__all__ = ["Removals", "left_by_overlay"]


def left_by_overlay(made: Directory) -> Iterator[Remove]:
    """Yield the removal of what overlay left beside the tree of a layer; what holds anything else, or is mounted, stays."""
    here = os.fstat(made.file).st_dev
    for name in ("work", "merged"):
        status = made.status(name)
        if status is None or not stat.S_ISDIR(status.st_mode) or status.st_dev != here:
            continue
        with made.opened(name) as found:
            if found is not None and _is_bare(found, name):
                yield Remove(path=made.place(name))


def _is_bare(found: Directory, name: str) -> bool:
    names = _names(found)
    if name != "work" or names != ["work"]:
        return names == []
    with found.opened("work") as inner:
        return inner is not None and found.found("work") == "a directory" and _names(inner) == []


def _names(found: Directory) -> list[str] | None:
    """Return what is in a directory; None where that cannot be told."""
    try:
        return os.listdir(found.file)  # noqa: PTH208 - a descriptor
    except OSError:
        return None


@define
class Removals:
    """Finds what no record names, in a store as it is to be."""

    _survey: Survey
    _overlay: Overlay
    _origin: Origin
    _grace: dt.timedelta
    _today: dt.date
    _needed: set[tuple[str, ...]] | None = field(default=None, init=False)
    """Where symlinks of layers and images lead, and all directories above; None before anybody asked."""

    def steps(self) -> Iterator[Remove]:
        """Yield the removals."""
        for path in [*(found.path for found in check_orphans(self._survey, self._overlay)), *self._unlisted()]:
            above, _, name = path.rpartition("/")
            room = self._overlay.room(above)
            status = room.status(name) if room is not None else None
            if status is not None and self._is_old(status) and not self._is_needed(path):
                yield Remove(path=path)

    def _is_old(self, status: os.stat_result) -> bool:
        return self._today - dt.datetime.fromtimestamp(status.st_mtime, tz=dt.UTC).date() >= self._grace

    def _unlisted(self) -> Iterator[str]:
        """Yield the files beside big data that the record of their image does not list."""
        for image in self._survey.images.values():
            room = self._overlay.room(f"overlay-images/{image.id}")
            if room is not None and is_id(image.id):
                known = item_files(image)
                yield from (room.place(name) for name in room.entries() if name not in known)

    def _is_needed(self, path: str) -> bool:
        """Whether a symlink of a layer or an image leads there, or to something below."""
        if self._needed is None:
            places = [place for directory, name in self._symlinks() for place in self._leads_to(directory, name)]
            self._needed = {tuple(place[:end]) for place in places for end in range(1, len(place) + 1)}
        return tuple(self._origin.inside(path)) in self._needed

    def _symlinks(self) -> Iterator[tuple[Directory, str]]:
        """Yield what may be a symlink that readers follow, each with its directory."""
        overlay, layers, images = (self._overlay.room(room) for room in ("overlay", "overlay-layers", "overlay-images"))
        for layer in self._survey.layers:
            yield from [(overlay, layer)] if overlay is not None else []
            yield from [(layers, f"{layer}{TAR_SPLIT}")] if layers is not None else []
            with self._overlay.layer(layer) as made:
                if isinstance(made, Directory):
                    yield from ((made, name) for name in made.entries())
        for image in filter(is_id, self._survey.images):
            yield from [(images, image)] if images is not None else []
            room = self._overlay.room(f"overlay-images/{image}")
            yield from ((room, name) for name in room.entries()) if room is not None else ()

    def _leads_to(self, directory: Directory, name: str) -> Iterator[list[str]]:
        """Yield where a symlink leads in the end, and where its own text does: that may be a symlink again."""
        target = directory.target(name)
        if target is None:
            return
        here = self._origin.inside(directory.path)
        place = self._origin.find(here, target)
        if place is not None:
            yield place
        if not target.startswith("/"):
            yield [part for part in os.path.normpath("/".join([*here, target])).split("/") if part]
