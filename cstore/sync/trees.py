"""The trees that a round brings beside stores: flat ones, and those of layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from cstore.errors import StoreError
from cstore.hub.covering import Shown, cover, fetched_chained, hides, is_opaque, stored_chained
from cstore.hub.flat import flat_step, flat_tree
from cstore.hub.layout import DIFF_ID, LAYERFS, HubLayout, diff_in, flat_at, layerfs_at, target_from
from cstore.hub.linking import Linkable, LinkedTree
from cstore.hub.parts import fetched_part, stored_part
from cstore.hub.reading import HubReading
from cstore.hub.soundness import is_sound_flat, is_sound_layer
from cstore.model.layout import BIG_LAYER, CATALOG
from cstore.model.offer import Offer
from cstore.steps import tree_step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from cstore.delta import PutTree
    from cstore.hub.departing import Standing
    from cstore.layer.merging import Merged, Part
    from cstore.model.chain import ImageID, LayerID
    from cstore.model.digest import Digest
    from cstore.publish.batch import Batch
    from cstore.publish.hub import Hub
    from cstore.source.fetch import FetchedLayer, Fetcher
    from cstore.source.image import SourceImage
    from cstore.sync.expansion import Wanted

__all__ = ["Taken", "Trees", "layer_step"]


@frozen
class Taken:
    """An image that is to be offered under a name."""

    wanted: Wanted
    image: SourceImage
    batch: Batch | None
    """Of the store that gets it; None where none does."""

    @property
    def layout(self) -> HubLayout:
        """The paths for its platform."""
        return HubLayout(self.wanted.platform)


class Trees:
    """Makes trees of layers that are fetched, or in a store of a hub.

    Args:
        hub: where they are to be.
        loose: has fetched the layers of images that are in no store.
    """

    def __init__(self, hub: Hub, loose: Fetcher) -> None:
        self._hub = hub
        self._reading = HubReading(hub.root)
        self._loose = loose
        self._trees: dict[ImageID, Merged] = {}
        self._sound: dict[Digest | ImageID, bool] = {}

    def shown(
        self, takens: Sequence[Taken], unsound: Collection[Digest], stored: Callable[[Digest], Sequence[Standing]]
    ) -> dict[Digest, Shown]:
        """Return the trees of layers with opaque directories that are to be found, where others or none are.

        Args:
            takens: images that come.
            unsound: layers whose trees are replaced.
            stored: tells where a diff is in the stores of the hub, and stays.
        """
        places: dict[tuple[Digest, Digest], dict[str, tuple[LayerID, Batch]]] = {}
        for taken in takens:
            if taken.batch is not None and Offer.LAYERS in taken.wanted.offers:
                image, store = taken.image, taken.batch.read()
                for layer, descriptor, diff in zip(image.chain, image.manifest.layers, image.config.diff_ids, strict=True):
                    tree = diff_in(store, taken.layout.store, layer)
                    places.setdefault((descriptor.digest, diff), {})[tree] = layer, taken.batch
        shown: dict[Digest, Shown] = {}
        for (digest, diff), trees in places.items():
            # Layers that are new come first: what is at hand needs no reading.
            ordered = sorted(trees.items(), key=lambda place: place[1][0] not in place[1][1].layers)
            new = [batch.layers[layer] for _, (layer, batch) in ordered if layer in batch.layers]
            path, (layer, batch) = ordered[0]
            is_found = digest not in unsound and self._reading.has_layer(digest)
            if (new or not is_found or self._leads_elsewhere(digest, trees)) and is_opaque(new[0] if new else (batch.read(), layer)):
                others = stored(diff)
                chains = [*map(fetched_chained, new), *(stored_chained(there.store, there.layer) for there in others)]
                if not is_found or not hides(self._reading.root, layerfs_at(digest), chains):
                    step = cover(digest, diff, chains)
                    shown[digest] = Shown(step.path, step) if step is not None else Shown(path if new else others[0].tree)
        return shown

    def _leads_elsewhere(self, digest: Digest, trees: Collection[str]) -> bool:
        """Whether what is found of a layer may have been made without a look at one of these chains."""
        path = layerfs_at(digest)
        target = self._reading.target(path)
        return target is not None and any(target != target_from(path, tree) for tree in trees)

    def unsound(self, takens: Sequence[Taken]) -> list[Digest]:
        """Return the layers of images with a tree of their own that is not sound (spec H13); each is looked through once.

        One on which a layer of the store stands, as in an adopted store, was looked through when that was adopted (spec G5).
        """
        reading = self._reading
        wanted: dict[Digest, bool] = {}
        for taken in takens:
            if taken.batch is None or Offer.LAYERS not in taken.wanted.offers:
                continue
            store, image = taken.batch.read(), taken.image
            for layer, descriptor, diff_id in zip(image.chain, image.manifest.layers, image.config.diff_ids, strict=True):
                digest, tree = descriptor.digest, diff_in(store, taken.layout.store, layer)
                if reading.found(layerfs_at(digest)) == "a directory" and reading.target(tree) is None:
                    wanted[digest] = self._looked(digest, partial(is_sound_layer, reading.root, digest, diff_id))
        return [digest for digest, is_sound in wanted.items() if not is_sound]

    def unsound_flats(self, takens: Sequence[Taken]) -> list[ImageID]:
        """Return the images whose flat tree is there and not sound (spec H12); each is looked at once."""
        reading = self._reading
        there = dict.fromkeys(taken.image.id for taken in takens if Offer.FLAT in taken.wanted.offers)
        return [
            image
            for image in there
            if reading.found(flat_at(image)) == "a directory" and not self._looked(image, partial(is_sound_flat, reading.root, image))
        ]

    def _looked(self, subject: Digest | ImageID, look: Callable[[], bool]) -> bool:
        if subject not in self._sound:
            self._sound[subject] = look()
        return self._sound[subject]

    def flat(self, taken: Taken, path: str) -> PutTree:
        """Return the step that puts the flat tree of an image; its headers are read once."""
        image = taken.image
        if image.id not in self._trees:
            self._trees[image.id] = flat_tree([*self._parts(taken)], image.config_bytes, image.at)
        tree = self._trees[image.id]
        step = flat_step(path, tree, is_catalog=self._hub.has_catalogs and tree.counts.entries >= BIG_LAYER)
        return evolve(step, tree=LinkedTree(tree, dict(self._linkable(taken)))) if self._hub.takes_links else step

    def _linkable(self, taken: Taken) -> Iterator[tuple[str, Linkable]]:
        """Yield the layers to whose files hard links may lead: those that an ingest brings, or has brought as far as can be seen."""
        if taken.batch is None:
            return
        batch, store = taken.batch, taken.batch.read()
        for layer in taken.image.chain:
            tree = diff_in(store, taken.layout.store, layer)
            is_new = layer in batch.layers and store.lacks(layer)
            if is_new or self._reading.found(tree) == "a directory":
                yield layer, Linkable(tree, is_ingested=is_new)

    def _parts(self, taken: Taken) -> Iterator[Part]:
        batch = taken.batch
        fetched = self._loose.layers if batch is None else batch.layers
        for layer in taken.image.chain:
            if layer in fetched:
                yield fetched_part(fetched[layer])
            elif batch is not None:
                yield stored_part(batch.read(), layer)
            else:
                raise StoreError(f"{taken.image.at}: expected all layers to be read, found that {layer} was not")


def layer_step(layer: FetchedLayer, path: str) -> PutTree:
    """Return the step that puts the tree of a layer that is in no store."""
    files = {DIFF_ID: f"{layer.diff_id}\n".encode()}
    return tree_step(layer, path, files | ({CATALOG: b""} if layer.scan.entries >= BIG_LAYER else {}), inside=LAYERFS)
