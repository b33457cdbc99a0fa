"""What a view shows of its store, and the steps by which it follows a change of that (spec F12 to F15). Nothing is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from cstore.delta import PutSymlink, Remove, Step, file_of, index_step
from cstore.index.gojson import decode, encode, rewrite
from cstore.model.chain import ImageID, LayerID
from cstore.model.image import ImageRecord
from cstore.model.layout import ABOUT, Link
from cstore.model.lineage import Lineage
from cstore.model.view import matching

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cstore.index.index import Index
    from cstore.model.about import About
    from cstore.store import Store

__all__ = ["Changed", "follow", "needed_layers", "retired_layers", "shown", "symlink_of_image", "symlinks_of_layer"]

_UP = "../../.."
"""From a room of a view to the store."""


@frozen(kw_only=True)
class Changed:
    """What a change does to the records of a store."""

    images: Mapping[str, bytes | None]
    """The records of the images that are added or changed, as they are to be, by ID; None for those that go."""
    layers: Mapping[LayerID, bytes] = field(factory=dict)
    """The records of new layers."""
    links: Mapping[LayerID, Link] = field(factory=dict)
    """Of the new layers, at least."""


def follow(store: Store, view: Store, patterns: Sequence[str], changed: Changed, today: dt.date | None) -> list[Step]:
    """Return the steps by which one view follows a change, with paths as they are in the view; none where it shows nothing of it.

    What is asked of the store are the layers that are new in the view; what is read as a whole is the view (spec F15).

    Args:
        store: what is there.
        view: the view as it is.
        patterns: of the names that it shows.
        changed: what the change does to the store.
        today: the day to note for layers that are not needed any more.

    Raises:
        FormatError: a record is malformed, or a layer has no link.
    """
    return _Follower(store, view, changed).steps(patterns, today)


def shown(record: bytes | None, patterns: Sequence[str]) -> bytes | None:
    """Return the record of an image as a view has it: with the names that match, and all else as it is; None where none does."""
    if record is None:
        return None
    before = ImageRecord.from_dict(decode(record, "images"), "images")
    names = matching(patterns, before.names)
    if names == before.names:
        return record if names else None
    return rewrite(record, before.to_dict(), evolve(before, names=names).to_dict(), f"images[{before.id}]") if names else None


def symlinks_of_layer(store: Store, layer: LayerID, link: Link) -> tuple[PutSymlink, PutSymlink, PutSymlink]:
    """Return the symlinks that a view has for a layer: to its directory, its link, and to its tar-split (spec F13)."""
    tar_split = store.layout.tar_split(layer)
    return (
        PutSymlink(path=store.layout.layer(layer), target=f"{_UP}/{store.layout.tree(layer)}"),
        PutSymlink(path=store.layout.link(link), target=store.layout.link_target(layer)),
        PutSymlink(path=tar_split, target=f"{_UP}/{tar_split}"),
    )


def symlink_of_image(store: Store, image: ImageID) -> PutSymlink:
    """Return the symlink that a view has for the big data of an image (spec F13)."""
    path = store.layout.image(image)
    return PutSymlink(path=path, target=f"{_UP}/{path}")


@define
class _Follower:
    """What becomes of one view."""

    _store: Store
    _view: Store
    _changed: Changed

    def steps(self, patterns: Sequence[str], today: dt.date | None) -> list[Step]:
        edited, added = self._images(patterns)
        if not edited and not added:
            return []
        view = self._view
        images = view.images.edited(edited, [*added.values()])
        shows = [record for record in (*edited.values(), *added.values()) if record is not None]
        new = needed_layers(self._store, shows, self._changed.layers, view)
        layers = view.layers.edited({}, [*new.values()])
        links = {layer: self._changed.links.get(layer) or self._store.link(layer) for layer in new}
        symlinks = [symlinks_of_layer(self._store, layer, link) for layer, link in links.items()]
        steps: list[Step] = [*self._about_steps(images, layers, today)]
        steps += [symlink for kind in zip(*symlinks, strict=True) for symlink in kind]
        steps += [index_step(layers)] if new else []
        steps += [symlink_of_image(self._store, ImageID(image)) for image in added]
        steps.append(index_step(images))
        gone = [ImageID(image) for image, record in edited.items() if record is None]
        return [*steps, *(Remove(path=self._store.layout.image(image)) for image in gone)]

    def _images(self, patterns: Sequence[str]) -> tuple[dict[str, bytes | None], dict[str, bytes]]:
        """Return the records that change or go, and those that come."""
        edited: dict[str, bytes | None] = {}
        added: dict[str, bytes] = {}
        for image, record in self._changed.images.items():
            wanted, there = shown(record, patterns), self._view.images.raw(image)
            if there is not None and wanted != there:
                edited[image] = wanted
            elif there is None and wanted is not None:
                added[image] = wanted
        return edited, added

    def _about_steps(self, images: Index, layers: Index, today: dt.date | None) -> Iterator[Step]:
        about = self._view.about
        retired = retired_layers(about, images, layers, today)
        if retired != about.retired:
            yield file_of(ABOUT, encode(about.with_retired(retired).to_dict()) + b"\n")


def needed_layers(
    store: Store, images: Iterable[bytes], new: Mapping[LayerID, bytes] | None = None, view: Store | None = None
) -> dict[LayerID, bytes]:
    """Return the records of the layers that images need, parents first.

    Args:
        store: has the layers; what it lacks is left out.
        images: the records of the images.
        new: records of layers that the store does not have yet.
        view: the layers that it has, with those below them, are left out.

    Raises:
        FormatError: the record of an image is malformed.
    """
    needed: dict[LayerID, bytes] = {}
    for image in images:
        record = ImageRecord.from_dict(decode(image, "images"), "images")
        for top in record.tops:
            chain: dict[LayerID, bytes] = {}
            layer: LayerID | None = top
            while layer is not None and layer not in chain and layer not in needed and not (view and view.layers.raw(layer)):
                raw = (new or {}).get(layer) or store.layers.raw(layer)
                if raw is None:
                    break
                chain[layer] = raw
                layer = _parent(raw)
            needed.update(reversed(chain.items()))
    return needed


def retired_layers(about: About, images: Index, layers: Index, today: dt.date | None) -> dict[LayerID, dt.date]:
    """Return the layers of a view that no image of it needs, each with the day since when: today, where that is known.

    Args:
        about: what the view says of itself so far.
        images: those of the view, as they are to be.
        layers: those of the view, as they are to be.
        today: the day to note; None to note none.

    Raises:
        FormatError: a record is malformed.
    """
    unneeded = Lineage.of(layers.all()).unneeded(top for at, value in images.all() for top in _tops(value, at))
    since = {layer: about.retired.get(layer, today) for layer in unneeded}
    return {layer: day for layer, day in since.items() if day is not None}


def _tops(image: Mapping[str, Any], at: str) -> tuple[LayerID, ...]:
    """Return the layers that an image needs; of a record with the usual members only what is needed here is looked at."""
    top = image.get("layer")
    if isinstance(top, str) and image.get("mapped-layers") is None:
        return (LayerID(top),)
    return ImageRecord.from_dict(image, at).tops


def _parent(record: bytes) -> LayerID | None:
    value = decode(record, "layers")
    parent = value.get("parent") if isinstance(value, dict) else None
    return LayerID(parent) if isinstance(parent, str) and parent else None
