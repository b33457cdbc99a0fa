"""How many entries a store's catalogs in CernVM-FS have (spec V91)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.files import Directory
from cstore.model.layout import CATALOG
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cstore.verification.overlay import Overlay
    from cstore.verification.problem import Problem
    from cstore.verification.survey import Survey

__all__ = ["LayerSize", "check_catalogs"]

_MOST = 500_000
_MOST_ABOVE = 200_000
_FEWEST = 100
_BESIDE_DIFF = 5
"""Entries of a layer besides its tree."""


@frozen
class LayerSize:
    """How large a layer's tree is."""

    entries: int
    special: int
    """Of them, devices and fifos: a layer with some needs a catalog of its own behind a gateway (spec C20)."""


def check_catalogs(survey: Survey, overlay: Overlay, sizes: Mapping[str, LayerSize]) -> Iterator[Problem]:
    """Check that no catalog is too large, and none that is a layer's own too small. A store without any has nothing to check.

    Args:
        survey: the store.
        overlay: its directories.
        sizes: of all layers.
    """
    rooms = ("overlay", "overlay-images", "overlay-layers", *_shards(overlay))
    catalogs = {room for room in rooms if _has_marker(overlay.room(room))}
    counts: Counter[str] = Counter()
    is_any = bool(catalogs)
    for layer, size in sizes.items():
        with overlay.layer(layer) as made:
            if not isinstance(made, Directory):
                continue
            if _has_marker(made):
                is_any = True
                yield from _check_own(layer, made, size)
            else:
                counts[_holder(made.path, catalogs)] += size.entries + _BESIDE_DIFF
    if not is_any:
        return
    for room in ("overlay", "overlay/l", "overlay-layers", "overlay-images"):
        directory = overlay.room(room)
        counts[_holder(room, catalogs)] += len(directory.entries()) if directory is not None else 0
    for image in survey.images.values():
        counts[_holder("overlay-images", catalogs)] += len(image.big_data)
    for room, count in sorted(counts.items()):
        most = _MOST if room else _MOST_ABOVE
        if count > most:
            place = f"{room}/{CATALOG}" if room else ""
            yield problem("V91", place or "store", place, f"expected up to {most} entries in one catalog, found {count}")


def _shards(overlay: Overlay) -> list[str]:
    pool = overlay.room("pool")
    return [f"pool/{name}" for name in pool.entries()] if pool is not None else []


def _has_marker(directory: Directory | None) -> bool:
    return directory is not None and directory.status(CATALOG) is not None


def _holder(path: str, catalogs: set[str]) -> str:
    """Return which catalog of the store holds a directory; empty for the one above the store."""
    while path and path not in catalogs:
        path = path.rpartition("/")[0]
    return path


def _check_own(layer: str, made: Directory, size: LayerSize) -> Iterator[Problem]:
    place = made.place(CATALOG)
    if size.entries > _MOST:
        yield problem("V91", f"layer {layer}", place, f"expected up to {_MOST} entries in one catalog, found {size.entries}")
    elif size.entries < _FEWEST and not size.special:
        yield problem("V91", f"layer {layer}", place, f"expected no catalog for fewer than {_FEWEST} entries, found one for {size.entries}")
