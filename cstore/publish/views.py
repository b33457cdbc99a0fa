"""Making and removing views of a store, wherever that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.errors import StoreError
from cstore.model.layout import IMAGES_INDEX, VIEWS, view_at
from cstore.model.view import parse_patterns, parse_view_name
from cstore.publish.find import find_place
from cstore.store import Store
from cstore.views import open_view, plan_view, plan_view_removal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from cstore.publish.place import Place, Published

__all__ = ["View", "create_view", "list_views", "refuse_place_of_view", "remove_view"]


@frozen(kw_only=True)
class View:
    """A view of a store, as it is."""

    name: str
    root: Path
    """Where readers find it."""
    patterns: tuple[str, ...]
    """Of the names that it shows; none for a view that was removed."""
    removed: dt.date | None
    """The day since when it shows nothing any more; None for a view that does."""
    images: int
    layers: int
    retired: int
    """How many of the layers no image of the view needs any more."""
    index_bytes: int
    """Bytes of its two indexes, which is what a reader reads first."""


def create_view(location: Place | Path | str, name: str, patterns: Iterable[str], today: dt.date) -> Published:
    """Have a view of a store with the images of which a name matches, and return what was done.

    One that is there gets these patterns instead of its own. From then on every change of the store carries it along.

    Args:
        location: the store's directory, or `cvmfs://REPOSITORY[/PATH]`, or a place.
        name: of the view, and of its directory in `views/`.
        patterns: as shells have them, for whole names; `*` takes slashes too.
        today: the day to note for layers that the view does not need any more.

    Raises:
        StoreError: there is no store, it is damaged or cannot be written, it is a view itself, or something else is at the view's place.
        FormatError: the name or a pattern is malformed.
    """
    place = find_place(location) if isinstance(location, Path | str) else location
    view, wanted = parse_view_name(name), parse_patterns(patterns)
    return place.publish(lambda: plan_view(Store.open(place.root), view, wanted, today))


def remove_view(location: Place | Path | str, name: str, today: dt.date) -> Published:
    """Have a view show nothing any more, and return what was done.

    Its layers are retired: readers may build on them. `prune` removes them, and the view with them, after the grace period; readers
    must not name it any more by then, since no podman starts that is told of a store which is not there.

    Args:
        location: the store's directory, or `cvmfs://REPOSITORY[/PATH]`, or a place.
        name: of the view.
        today: the day to note.

    Raises:
        StoreError: there is no such view, or the store is damaged or cannot be written.
    """
    place = find_place(location) if isinstance(location, Path | str) else location
    return place.publish(lambda: plan_view_removal(Store.open(place.root), name, today))


def list_views(location: Place | Path | str) -> tuple[View, ...]:
    """Return the views of a store, by name.

    Args:
        location: the store's directory, or `cvmfs://REPOSITORY[/PATH]`, or a place.

    Raises:
        StoreError: there is no store, or it or one of its views is damaged.
    """
    place = find_place(location) if isinstance(location, Path | str) else location
    store = Store.open(place.root)
    return tuple(_described(store, name, place.readers_root / view_at(name)) for name in sorted(store.about.all_views))


def refuse_place_of_view(root: Path) -> None:
    """See that a new store is not made where a store has its views.

    Raises:
        StoreError: it would be.
    """
    store = root.absolute().parents[1] if len(root.absolute().parents) > 1 else root
    if root.absolute().parent.name == VIEWS and (store / IMAGES_INDEX).exists():
        raise StoreError(f"{root}: expected a place for a store, found one for a view of {store}: `cstore view create` makes that")


def _described(store: Store, name: str, root: Path) -> View:
    view = open_view(store, name)
    return View(
        name=name,
        root=root,
        patterns=store.about.views.get(name, ()),
        removed=store.about.removed_views.get(name),
        images=sum(1 for _ in view.images.all()),
        layers=sum(1 for _ in view.layers.all()),
        retired=len(view.about.retired),
        index_bytes=len(view.images.data) + len(view.layers.data),
    )
