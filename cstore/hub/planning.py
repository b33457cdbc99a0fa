"""From what a hub holds and what is to be offered to the steps that make it so. Nothing is written here, and no clock asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.delta import Delta, PutSymlink, PutTree, Remove, file_of
from cstore.hub.layout import ABOUT, INDEX, MANIFEST, METADATA, STATUS, catalogs, flat_at, layer_at, layerfs_at, target_from
from cstore.hub.obstacles import is_free, refuse_obstacles
from cstore.hub.retiring import Retiring
from cstore.model.offer import Offer

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from cstore.delta import Step
    from cstore.hub.covering import Shown
    from cstore.hub.departing import Departing
    from cstore.hub.layout import HubLayout
    from cstore.hub.reading import HubReading
    from cstore.model.chain import ImageID
    from cstore.model.digest import Digest
    from cstore.model.remote import RemoteName

__all__ = ["Beside", "HubChange", "Offered", "plan_hub"]


@frozen(kw_only=True)
class Offered:
    """An image as it is to be offered under a name."""

    name: RemoteName
    layout: HubLayout
    """Of its platform."""
    offers: frozenset[Offer]
    image: ImageID
    manifest: bytes = field(repr=False)
    index: bytes | None = field(default=None, repr=False)
    """The image index through which it was found."""
    layers: tuple[tuple[Digest, str], ...] = ()
    """The digest of each layer's blob, base first, with the path of its tree in a store of the hub; empty where it is to get its own."""

    def names(self, reading: HubReading) -> Iterator[str]:
        """Yield where the name is to lead to the image: its own path, and those of the converter's that are there."""
        yield self.layout.name(self.name)
        others = self.layout.other_names(self.name)
        yield from (path for path in others if reading.flat_of(path) is not None and is_free(reading, path))

    def places(self, reading: HubReading) -> Iterator[str]:
        """Yield the directories that are to describe the name, likewise."""
        yield self.layout.metadata(self.name)
        others = (f"{METADATA}/{path}" for path in self.layout.other_names(self.name))
        yield from (path for path in others if reading.found(path) == "a directory" and is_free(reading, f"{path}/{MANIFEST}"))


@frozen(kw_only=True)
class HubChange:
    """What is to become of a hub, beside its stores."""

    offered: Sequence[Offered] = ()
    removed: Sequence[str] = ()
    """Paths of names that go, and of directories of metadata."""
    flats: Mapping[ImageID, Callable[[str], PutTree]] = field(factory=dict)
    """What makes the flat trees that may be lacking, given their path."""
    trees: Mapping[Digest, Callable[[str], PutTree]] = field(factory=dict)
    """The same for layers that have no tree in a store."""
    shown: Mapping[Digest, Shown] = field(factory=dict)
    """The trees of layers that stand in several chains and hide different things there (spec H9)."""
    unsound: Collection[Digest] = ()
    """Layers with a tree of their own that the snapshotter would misread."""
    unsound_flats: Collection[ImageID] = ()
    """Images with a flat tree that is to be made anew."""
    departing: Departing | None = None
    """Layers that leave the stores; None where none does."""
    stored: Callable[[], Collection[str] | None] = frozenset
    """Tells the digests of blobs, in hexadecimal, of which the stores have layers, or images in no store; None if these are unknown."""
    day: dt.date
    """Of today."""
    grace: dt.timedelta
    """How long readers may still use what is retired, in whole days."""
    has_catalogs: bool
    """Whether directories become catalogs by markers in them."""
    status: bytes | None = field(default=None, repr=False)
    """What is told beside the store, if anything changes."""


@frozen
class Beside:
    """What changes beside the stores of a hub."""

    before: Delta
    """What is done before the stores change, as what leads to trees that go there."""
    after: Delta
    """What is done after it."""

    def around(self, stores: Delta) -> Delta:
        """Return the whole delta of a hub, with what changes in its stores."""
        return Delta((*self.before, *stores, *self.after))


def plan_hub(reading: HubReading, change: HubChange, *, also: bool = False) -> Beside:
    """Return the smallest change after which all is offered; an empty one if it is already.

    Names move at once. A flat tree to which no name leads any more is retired as of today, and removed when the grace is over.

    Args:
        reading: what is there.
        change: what is wanted.
        also: whether something else changes in the same revision, so that the status is told even if nothing does here.

    Raises:
        StoreError: something has come into the way of a name since its image was taken, or what the hub says of itself is damaged.
    """
    plan = _Plan(reading, change)
    coming = [*plan.trees(), *plan.layer_links(), *plan.names(), *plan.documents()]
    leaving = [
        *plan.relinked,
        *plan.removed_names(),
        *plan.outdated_documents(),
        *plan.unsound(),
        *(Remove(path=path) for path in plan.unused),
    ]
    retired, outdated = Retiring(reading, change, plan.relinked, plan.unused).trees(changes=bool(coming or leaving or also))
    leaving += [Remove(path=path) for path in outdated]
    about = reading.about()
    if retired != about.retired:
        coming.append(file_of(ABOUT, about.with_retired(retired).to_bytes()))
    if change.status is not None and (coming or leaving or also):
        coming.append(file_of(STATUS, change.status))
    return Beside(Delta(tuple(leaving)), Delta((*plan.catalogs(coming), *coming)))


class _Plan:
    """What is found out in the course of planning."""

    def __init__(self, reading: HubReading, change: HubChange) -> None:
        self._reading = reading
        self._change = change
        departing = change.departing
        self.relinked: list[Step] = [*departing.relinked()] if departing is not None else []
        """What makes symlinks to trees that go lead to others."""
        self.unused: list[str] = [*map(layer_at, departing.unused())] if departing is not None else []
        """The directories of layers that are in no store any more."""

    def trees(self) -> Iterator[Step]:
        """Yield the flat trees that are lacking, and those of layers that are in no store."""
        # What a store gets in the same round is found there.
        made = {layer_at(digest) for offered in self._offering(Offer.LAYERS) for digest, tree in offered.layers if tree}
        for offered in self._change.offered:
            path = flat_at(offered.image)
            if Offer.FLAT in offered.offers and path not in made and not self._has_flat(offered.image):
                made.add(path)
                yield self._change.flats[offered.image](path)
            for digest, tree in offered.layers if Offer.LAYERS in offered.offers else ():
                path = layer_at(digest)
                if not tree and path not in made and not self._reading.has_layer(digest):
                    made.add(path)
                    yield self._change.trees[digest](path)

        covers = (shown.cover for shown in self._change.shown.values())
        yield from (cover for cover in covers if cover is not None and self._reading.found(cover.path) == "nothing")

    def _offering(self, offer: Offer) -> Iterator[Offered]:
        return (offered for offered in self._change.offered if offer in offered.offers)

    def _has_flat(self, image: ImageID) -> bool:
        return image not in self._change.unsound_flats and self._reading.found(flat_at(image)) == "a directory"

    def layer_links(self) -> Iterator[Step]:
        """Yield the symlinks by which the snapshotter finds layers of a store, or those that cover several chains."""
        made: set[str] = set()
        for digest, shown in self._change.shown.items():
            path = layerfs_at(digest)
            made.add(path)
            if self._reading.target(path) != target_from(path, shown.path):
                yield PutSymlink(path=path, target=target_from(path, shown.path))
        for offered in self._change.offered:
            for digest, tree in offered.layers if Offer.LAYERS in offered.offers else ():
                path = layerfs_at(digest)
                if tree and path not in made and (digest in self._change.unsound or not self._reading.has_layer(digest)):
                    made.add(path)
                    yield PutSymlink(path=path, target=target_from(path, tree))

    def names(self) -> Iterator[Step]:
        """Yield the public names that do not lead to their images yet."""
        for offered in self._offering(Offer.FLAT):
            for path in offered.names(self._reading):
                if self._reading.flat_of(path) != offered.image:
                    refuse_obstacles(self._reading, offered.layout, offered.name, {Offer.FLAT})
                    yield PutSymlink(path=path, target=target_from(path, flat_at(offered.image)))

    def documents(self) -> Iterator[Step]:
        """Yield the manifests that are not there yet."""
        for offered in self._offering(Offer.METADATA):
            documents = ((INDEX, offered.index), (MANIFEST, offered.manifest))
            for path, data in ((f"{place}/{name}", data) for place in offered.places(self._reading) for name, data in documents):
                if data is not None and not self._reading.holds(path, data):
                    refuse_obstacles(self._reading, offered.layout, offered.name, {Offer.METADATA})
                    yield file_of(path, data)

    def outdated_documents(self) -> Iterator[Step]:
        """Yield the removals of image indexes of images that are found without one now."""
        for offered in self._offering(Offer.METADATA):
            paths = (f"{place}/{INDEX}" for place in offered.places(self._reading) if offered.index is None)
            yield from (Remove(path=path) for path in paths if self._reading.found(path) != "nothing")

    def removed_names(self) -> Iterator[Step]:
        for path in self._change.removed:
            is_described = path.startswith(f"{METADATA}/") and self._reading.found(path) == "a directory"
            if is_described or self._reading.flat_of(path) is not None:
                yield Remove(path=path)

    def unsound(self) -> Iterator[Step]:
        """Yield the removals of trees that others replace."""
        yield from (Remove(path=flat_at(image)) for image in self._change.unsound_flats)
        yield from (Remove(path=layerfs_at(digest)) for digest in self._change.unsound)

    def catalogs(self, coming: Sequence[Step]) -> Iterator[Step]:
        if self._change.has_catalogs:
            markers = catalogs(step.path for step in coming)
            yield from (file_of(path, b"") for path in markers if self._reading.found(path) == "nothing")
