"""Views put right: whatever is wrong with one follows from its store (spec F12 to F16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from cstore.delta import PutDirectory, PutSymlink, Remove, ReplaceIndex, Step, file_of, index_step
from cstore.errors import StoreError
from cstore.files import LARGEST_INDEX, UnreadableError
from cstore.index.gojson import decode, encode
from cstore.model.chain import ImageID, LayerID, is_id
from cstore.model.layout import ABOUT, CATALOG, LINKS, TAR_SPLIT, VIEWS, Form, view_at
from cstore.origin import read, room
from cstore.showing import needed_layers, retired_layers, shown, symlink_of_image, symlinks_of_layer
from cstore.views import moved, new_view, unlisted_view

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cstore.index.index import Index
    from cstore.model.layout import Link
    from cstore.store import Store

__all__ = ["repair_views"]


def repair_views(store: Store, links: Mapping[LayerID, Link], today: dt.date) -> Iterator[Step]:
    """Yield the steps after which the views of a store show what it holds; none where they do.

    A layer that a view has and does not need stays in it, retired: readers may build on it.

    Args:
        store: as it will be; its files may be still to be written.
        links: of its layers that have one.
        today: the day to note for layers that are retired.
    """
    for name, patterns in store.about.all_views.items():
        if not (store.root / VIEWS).is_symlink() and not (store.root / view_at(name)).is_symlink():
            yield from moved(name, _Repair(store, _view(store, name), links).steps(patterns, today))


def _view(store: Store, name: str) -> Store:
    """Return the reading of a view; one that cannot be read is made anew."""
    try:
        return unlisted_view(store, name) or new_view(store, name)
    except StoreError:
        return new_view(store, name)


@define
class _Repair:
    _store: Store
    _view: Store
    _links: Mapping[LayerID, Link]

    def steps(self, patterns: Sequence[str], today: dt.date) -> Iterator[Step]:
        """Yield the steps, with paths as they are in the view."""
        store = self._store
        wanted = {str(value["id"]): shown(store.images.raw(value["id"]), patterns) for _, value in store.images.all()}
        images = _as_wanted(self._view.images, {image: record for image, record in wanted.items() if record is not None})
        layers = _as_wanted(self._view.layers, self._layers(images))
        symlinks = self._symlinks(images, layers)
        about = self._view.about.with_retired(retired_layers(self._view.about, images, layers, today))
        if self._view.is_new or about != self._view.about:
            yield file_of(ABOUT, encode(about.to_dict()) + b"\n")
        if store.about.form is Form.SHARDED and not self._view.has(CATALOG):
            yield file_of(CATALOG, b"")
        if not symlinks and not self._view.has(LINKS):
            yield PutDirectory(path=LINKS)
        yield from (symlink for symlink in symlinks if _target(self._view.root, symlink.path) != symlink.target)
        yield from (step for step in (index_step(layers), index_step(images)) if not self._is_there(step))
        known = {symlink.path for symlink in symlinks}
        yield from (Remove(path=path) for path in self._found() if path not in known)

    def _layers(self, images: Index) -> dict[LayerID, bytes]:
        """Return the records of the layers that the view is to have: what its images need, and what it has already."""
        records = (record for image in _ids(images) if (record := images.raw(image)) is not None)
        found = needed_layers(self._store, records)
        had = [*_ids(self._view.layers)] or self._laid()
        kept = {LayerID(identity): record for identity in had if (record := self._store.layers.raw(identity)) is not None}
        for record in kept.values():
            parent: object = decode(record, "layers")
            while isinstance(parent, dict) and (above := parent.get("parent")) and above not in kept and above not in found:
                raw = self._store.layers.raw(above)
                if raw is None:
                    break
                found[LayerID(above)] = raw
                parent = decode(raw, "layers")
        return {**found, **kept}

    def _laid(self) -> list[str]:
        """Return the layers of which a view that cannot be read has symlinks."""
        return [name for name in _listed(self._view.root, "overlay") if is_id(name)]

    def _symlinks(self, images: Index, layers: Index) -> list[PutSymlink]:
        """Return all the symlinks of the view."""
        of_layers = [
            symlinks_of_layer(self._store, LayerID(layer), self._links[LayerID(layer)])
            for layer in _ids(layers)
            if LayerID(layer) in self._links
        ]
        of_images = [symlink_of_image(self._store, ImageID(image)) for image in _ids(images)]
        return [*(symlink for symlinks in of_layers for symlink in symlinks), *of_images]

    def _is_there(self, step: ReplaceIndex) -> bool:
        return [_read(self._view.root, path) for path in (step.path, step.lock_path)] == [step.data, step.lock]

    def _found(self) -> Iterator[str]:
        """Yield the symlinks that the view has, of layers and images, their links and tar-splits."""
        for above in ("overlay", LINKS, "overlay-layers", "overlay-images"):
            for name in _listed(self._view.root, above):
                is_of_view = above == LINKS or is_id(name.removesuffix(TAR_SPLIT))
                if is_of_view and _target(self._view.root, f"{above}/{name}") is not None:
                    yield f"{above}/{name}"


def _as_wanted(index: Index, records: Mapping[LayerID, bytes] | Mapping[str, bytes]) -> Index:
    """Return an index that has just these records; those that it has stay where they are."""
    wanted: dict[str, bytes] = {str(identity): record for identity, record in records.items()}
    there = {*_ids(index)}
    edited = {identity: wanted.get(identity) for identity in there if index.raw(identity) != wanted.get(identity)}
    return index.edited(edited, [record for identity, record in wanted.items() if identity not in there])


def _ids(index: Index) -> Iterator[str]:
    return (value["id"] for _, value in index.all())


def _listed(root: Path, path: str) -> list[str]:
    with room(root, path) as found:
        return [] if found is None or found.is_followed else [*found.entries()]


def _target(root: Path, path: str) -> str | None:
    above, _, name = path.rpartition("/")
    with room(root, above) as found:
        return None if found is None else found.target(name)


def _read(root: Path, path: str) -> bytes | None:
    try:
        return read(root, path, LARGEST_INDEX)
    except UnreadableError:
        return None
