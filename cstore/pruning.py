"""Removing layers that were retired longer ago than the grace period."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from cstore.delta import Delta, Remove
from cstore.model.layout import view_at
from cstore.model.lineage import Lineage
from cstore.steps import about_steps, pruning, removing
from cstore.views import moved, names_view, open_view, refuse_view

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping

    from cstore.delta import Step
    from cstore.model.chain import LayerID
    from cstore.model.image import ImageRecord
    from cstore.model.summary import Summary
    from cstore.store import Store

__all__ = ["plan_prune", "unreferenced"]


def unreferenced(lineage: Lineage, images: Iterable[ImageRecord | Summary]) -> dict[LayerID, LayerID | None]:
    """Return the layers that no image needs, directly or below another layer, each with its parent."""
    return lineage.unneeded(top for image in images for top in image.tops)


def plan_prune(store: Store, grace: dt.timedelta, today: dt.date, held: Collection[LayerID] = ()) -> Delta:
    """Return the delta that removes the layers which were retired at least `grace` ago, and all that was theirs.

    A layer that nobody needs and that was never noted as retired is noted as of today. One on which another layer still builds
    stays as long as that one. A view loses the layers that were retired in it, at the latest when the store loses them; one that
    was removed goes when its layers have gone (spec F16).

    Args:
        store: what is there.
        grace: how long readers may still build on a retired layer, in whole days.
        today: the day to count from.
        held: layers that stay retired, since something beside the store needs them.

    Raises:
        FormatError: a record is malformed, or a layer to remove has no link.
        StoreError: the store is a view, or one of its views is damaged.
    """
    refuse_view(store)
    outdated = _outdated(store, grace, today, held=held)
    steps: list[Step] = []
    gone: list[str] = []
    for name in store.about.all_views:
        view = open_view(store, name)
        with names_view(name):
            old = _outdated(view, grace, today, outdated.doomed)
        removed = store.about.removed_views.get(name)
        if removed is not None and today - removed >= grace and not old.retired and not any(view.all_images()):
            gone.append(name)
        else:
            steps += moved(name, pruning(view, old.doomed, old.left, old.retired))
    left = {name: day for name, day in store.about.removed_views.items() if name not in gone}
    steps += about_steps(store, evolve(store.about, retired=outdated.retired, removed_views=left))
    steps += [Remove(path=view_at(name)) for name in gone]
    return Delta((*steps, *removing(store, outdated.doomed, outdated.left)))


@frozen
class _Outdated:
    """What becomes of the layers of a store."""

    doomed: list[LayerID]
    """Those that go, children first."""
    left: Collection[LayerID]
    """All others."""
    retired: dict[LayerID, dt.date]
    """Those of the others that are retired, each with the day since when."""


def _outdated(
    store: Store, grace: dt.timedelta, today: dt.date, also: Collection[LayerID] = (), held: Collection[LayerID] = ()
) -> _Outdated:
    """Return which layers are to go.

    Args:
        store: what is there.
        grace: how long readers may still build on a retired layer, in whole days.
        today: the day to count from.
        also: layers that nobody needs and that go in any case, with all that build on them.
        held: layers that stay in any case, with all that they build on.
    """
    lineage = store.lineage()
    unused = unreferenced(lineage, store.all_images())
    since = {layer: store.about.retired.get(layer, today) for layer in unused}
    kept: set[LayerID] = set()
    for layer in unused:
        if (today - since[layer] < grace and layer not in also) or layer in held:
            _keep_chain(layer, unused, kept)
    doomed = _children_first({layer: parent for layer, parent in unused.items() if layer not in kept})
    return _Outdated(doomed, lineage.parents.keys() - doomed, {layer: since[layer] for layer in unused if layer in kept})


def _keep_chain(layer: LayerID | None, unused: Mapping[LayerID, LayerID | None], kept: set[LayerID]) -> None:
    while layer is not None and layer in unused and layer not in kept:
        kept.add(layer)
        layer = unused[layer]


def _children_first(parents: Mapping[LayerID, LayerID | None]) -> list[LayerID]:
    """Return the layers so that each comes before its parent."""
    lineage = Lineage(parents, {})
    return sorted(parents, key=lambda layer: (-sum(1 for _ in lineage.chain(layer)), layer))
