"""What a change of a store means for its views (spec F12 to F16). Nothing is written here, and no clock asked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import evolve

from cstore.delta import Delta, PutDirectory, ReplaceIndex, Step, file_of, index_step
from cstore.errors import FormatError, StoreError
from cstore.index.gojson import encode
from cstore.model.about import About
from cstore.model.layout import ABOUT, CATALOG, LINKS, VIEWS, Form, view_at
from cstore.origin import room
from cstore.showing import Changed, follow
from cstore.store import Store

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Sequence


__all__ = [
    "beginning",
    "following",
    "moved",
    "names_view",
    "new_view",
    "open_view",
    "plan_view",
    "plan_view_removal",
    "refuse_view",
    "unlisted_view",
]


def refuse_view(store: Store) -> None:
    """See that a store is none that only follows another.

    Raises:
        StoreError: it is a view.
    """
    if store.about.is_view:
        raise StoreError(f"{store.root}: expected a store, found a view of one; change the store, {store.root.absolute().parents[1]}")


def following(store: Store, changed: Changed, today: dt.date | None = None) -> Iterator[Step]:
    """Yield the steps by which the views of a store follow a change of it; a view that shows nothing of it gets none.

    They belong after those that put something into the store, and before those that remove something from it.

    Args:
        store: what is there.
        changed: what the change does to it.
        today: the day to note for layers that a view does not need any more; None where no image loses a name.

    Raises:
        StoreError: a view is damaged.
    """
    for name, patterns in store.about.all_views.items() if changed.images else ():
        view = open_view(store, name)
        with names_view(name):
            steps = follow(store, view, patterns, changed, today)
        yield from moved(name, steps)


def plan_view(store: Store, name: str, patterns: Sequence[str], today: dt.date) -> Delta:
    """Return the delta after which a store has a view of this name with these patterns; an empty one if it has that already.

    Args:
        store: what is there.
        name: of the view.
        patterns: of the names of images that it shows.
        today: the day to note for layers that it does not need any more.

    Raises:
        StoreError: there is something else at the place of the view, or the store is a view itself.
        FormatError: a record is malformed.
    """
    refuse_view(store)
    removed = {other: day for other, day in store.about.removed_views.items() if other != name}
    about = evolve(store.about, views={**store.about.views, name: tuple(patterns)}, removed_views=removed)
    if about == store.about:
        return Delta()
    return _planned(store, about, name, today)


def plan_view_removal(store: Store, name: str, today: dt.date) -> Delta:
    """Return the delta after which a view shows nothing any more; an empty one if it does not already.

    Its layers are retired, since readers may build on them; pruning removes them and the view after the grace period (spec F16).

    Args:
        store: what is there.
        name: of the view.
        today: the day to note.

    Raises:
        StoreError: there is no such view, or it is damaged.
    """
    refuse_view(store)
    if name in store.about.removed_views:
        return Delta()
    if name not in store.about.views:
        raise StoreError(f'{store.root}: expected a view "{name}", found none')
    views = {other: patterns for other, patterns in store.about.views.items() if other != name}
    about = evolve(store.about, views=views, removed_views={**store.about.removed_views, name: today})
    return _planned(store, about, name, today)


def _planned(store: Store, about: About, name: str, today: dt.date) -> Delta:
    view = open_view(store, name) if name in store.about.all_views else unlisted_view(store, name) or new_view(store, name)
    gone = {str(value["id"]): None for _, value in view.images.all()}
    changed = Changed(images={**gone, **{str(value["id"]): store.images.raw(value["id"]) for _, value in store.images.all()}})
    steps: list[Step] = [*moved(name, beginning(store, view)), file_of(ABOUT, encode(about.to_dict()) + b"\n")]
    with names_view(name):
        steps += moved(name, follow(store, view, about.all_views[name], changed, today))
    return Delta(tuple(steps))


def open_view(store: Store, name: str) -> Store:
    """Return the reading of a view that a store lists.

    Raises:
        StoreError: it is not there, or damaged.
    """
    found = unlisted_view(store, name)
    if found is None:
        raise StoreError(f"{store.root / view_at(name)}: expected a view of the store, found nothing; `cstore repair` makes it")
    return found


def unlisted_view(store: Store, name: str) -> Store | None:
    """Return the reading of a view, whether or not cstore.json names it; None where nothing is.

    Raises:
        StoreError: there is something else, or it is damaged.
    """
    place = view_at(name)
    if not store.has(place):
        return None
    for path in (VIEWS, place):
        # A view is opened by its path, through which nobody is to lead anywhere (spec P26).
        with room(store.root, path) as found:
            if found is None or found.is_followed:
                raise StoreError(f"{store.root / path}: expected a directory of the store, found something else")
    try:
        view = Store.open(store.root / place)
    except StoreError as error:
        is_listed = name in store.about.all_views
        way_out = "`cstore repair` makes the views of a store anew" if is_listed else "no view of the store is there, so move it away"
        raise StoreError(f"{error}; {way_out}") from None
    if not view.about.is_view:
        raise StoreError(f"{store.root / place / ABOUT}: expected that of a view, found that of a store")
    return view


def new_view(store: Store, name: str) -> Store:
    """Return the reading of a view that is still to be made."""
    return Store.new(store.root / view_at(name), About(is_view=True))


def beginning(store: Store, view: Store) -> Iterator[Step]:
    """Yield the steps that make a view without anything in it, where there is none."""
    if view.is_new:
        yield index_step(view.layers)
        yield index_step(view.images)
        yield PutDirectory(path=LINKS)
        yield file_of(ABOUT, encode(view.about.to_dict()) + b"\n")
        if store.about.form is Form.SHARDED:
            yield file_of(CATALOG, b"")


@contextmanager
def names_view(name: str) -> Iterator[None]:
    """Have errors of form tell that they concern a view, whose records are called as those of its store are."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{view_at(name)}: {error.at}" if error.at else view_at(name), error.said) from None


def moved(name: str, steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps with the paths of a view as they are in its store."""
    for step in steps:
        path = f"{view_at(name)}/{step.path}"
        yield (
            evolve(step, path=path, lock_path=f"{view_at(name)}/{step.lock_path}")
            if isinstance(step, ReplaceIndex)
            else evolve(step, path=path)
        )
