"""What one round puts into a hub and takes out of it, gathered, and planned as one delta."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import cache, partial
from typing import TYPE_CHECKING

from cstore.delta import Delta
from cstore.errors import SourceError
from cstore.hub.departing import Departing, Standing, standing
from cstore.hub.layout import HubLayout, diff_in, is_own
from cstore.hub.obstacles import refuse_obstacles
from cstore.hub.planning import HubChange, Offered, plan_hub
from cstore.hub.reading import HubReading
from cstore.mend.containers import refuse_containers
from cstore.model.about import About
from cstore.model.chain import is_id, parse_layer_id
from cstore.model.offer import Offer
from cstore.progress import Progress, silent
from cstore.pruning import plan_prune
from cstore.publish.batch import Batch
from cstore.source.fetch import Fetcher
from cstore.store import Store
from cstore.sync.trees import Taken, Trees, layer_step

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cstore.delta import PutTree
    from cstore.model.chain import LayerID
    from cstore.model.digest import Digest
    from cstore.publish.hub import Hub
    from cstore.source.fetch import FetchedLayer
    from cstore.source.image import SourceImage
    from cstore.sync.expansion import Wanted

__all__ = ["Assembly"]


class Assembly:
    """Gathers what is to change in a hub; `plan` makes one delta of it, as often as it is asked.

    Args:
        hub: where.
        day: of today.
        grace: how long readers may still use what is retired, in whole days.
        progress: is told of layers that are verified.
    """

    def __init__(self, hub: Hub, *, day: dt.date, grace: dt.timedelta, progress: Progress = silent) -> None:
        self._hub = hub
        self._reading = HubReading(hub.root)
        self._day = day
        self._grace = grace
        self._progress = progress
        self._opened = ExitStack()
        self._batches: dict[str, Batch] = {}
        self._taken: list[Taken] = []
        self._removed: list[str] = []
        self._used: set[str] = set()
        """The digests of blobs, in hexadecimal, with which images are offered that are in no store."""
        self.is_uncertain = False
        """Whether an image may be offered of which neither a store, nor metadata, nor this round tells the layers."""
        self._loose = Fetcher(progress)
        """Fetches layers of images that are in no store."""
        self._opened.callback(self._loose.close)
        self._trees = Trees(hub, self._loose)
        self.status: bytes | None = None
        """What is told beside the store, if anything changes."""

    def close(self) -> None:
        """Let go of what was fetched."""
        with suppress(OSError):
            self._opened.close()

    def lacks(self, wanted: Wanted, image: SourceImage) -> list[int]:
        """Return which layers of an image must be read, by their numbers."""
        taken = self._as_taken(wanted, image)
        if taken.batch is not None:
            store = taken.batch.read()
            return [number for number, layer in enumerate(image.chain) if store.lacks(layer)]
        return [*range(len(image.chain))] if wanted.offers & {Offer.FLAT, Offer.LAYERS} else []

    def take(self, wanted: Wanted, image: SourceImage) -> None:
        """Have an image offered under a name; its layers are read and verified first.

        Raises:
            ContentError: one is not what manifest and config promise, is damaged, or holds what no tree can.
            SourceError: the registry lacks a blob.
            StoreError: something is in the way of the name.
        """
        if is_own(wanted.name):
            raise SourceError(f"{wanted.name}: expected the name of a registry, found one that hubs have for something of their own")
        taken = self._as_taken(wanted, image)
        refuse_obstacles(self._reading, taken.layout, wanted.name, wanted.offers)
        if taken.batch is not None:
            taken.batch.verify(image)
            self._refuse_reserved(image, taken.batch.layers)
            taken.batch.take(image, [wanted.name.reference])
        elif wanted.offers & {Offer.FLAT, Offer.LAYERS}:
            self._loose.fetch_all([image], self._nothing)
            self._refuse_reserved(image, self._loose.layers)
            self.uses(wanted, image)
        self._taken.append(taken)

    def is_sound(self, wanted: Wanted, image: SourceImage) -> bool:
        """Whether nothing that is there of an image is made anew: no tree of it is one that its readers would misread (spec H12, H13)."""
        taken = [self._as_taken(wanted, image)]
        return not self._trees.unsound(taken) and not self._trees.unsound_flats(taken)

    def uses(self, wanted: Wanted, image: SourceImage) -> None:
        """Note that an image is offered, and in no store, so that no tree goes to which a layer of it leads."""
        if Offer.LAYERS in wanted.offers and Offer.PODMAN not in wanted.offers:
            self._used.update(layer.digest.hex for layer in image.manifest.layers)

    def _as_taken(self, wanted: Wanted, image: SourceImage) -> Taken:
        batch = self._batch(HubLayout(wanted.platform).store) if Offer.PODMAN in wanted.offers else None
        return Taken(wanted, image, batch)

    def _refuse_reserved(self, image: SourceImage, fetched: Mapping[LayerID, FetchedLayer]) -> None:
        """See that CernVM-FS can publish the layers of an image, so that it keeps no other image from being published."""
        if not self._hub.refuses_reserved:
            return
        for number, layer in enumerate(image.chain):
            if layer in fetched and (names := fetched[layer].scan.reserved):
                raise SourceError(f"{image.at}: layers[{number}]: expected no names that CernVM-FS takes for its own, found {names[0]}")

    def drop(self, store: str, name: str) -> None:
        """Take a name away in a store; an image that loses its last one goes, and its layers are retired."""
        self._batch(store).remove(name, may_be_gone=True)

    def withdraw(self, path: str) -> None:
        """Take a public name away, or what describes one."""
        self._removed.append(path)

    def stores(self) -> list[str]:
        """Return the paths of all stores that may change now."""
        changing = (path for path, batch in self._batches.items() if batch.has_changes)
        return list(dict.fromkeys([*self._reading.stores(), *changing]))

    def plan(self, paths: Iterable[str]) -> Delta:
        """Return the delta that brings all of it about now.

        Args:
            paths: of the stores that may change, as `stores` told them: who writes holds the locks of these.

        Raises:
            StoreError: something is in its way.
        """
        readings: dict[str, Store] = {}
        stores = {path: self._store_delta(path, readings) for path in paths}
        departing = self._departing(stores, readings)
        unsound = self._trees.unsound(self._taken)
        beside = plan_hub(
            self._reading,
            HubChange(
                offered=[self._offered(taken) for taken in self._taken],
                removed=self._removed,
                flats={taken.image.id: partial(self._trees.flat, taken) for taken in self._taken},
                trees=dict(self._loose_trees()),
                shown=self._trees.shown(self._taken, unsound, partial(self._standing, readings, departing)),
                unsound=unsound,
                unsound_flats=self._trees.unsound_flats(self._taken),
                departing=departing,
                stored=partial(self._stored, readings),
                day=self._day,
                grace=self._grace,
                has_catalogs=self._hub.has_catalogs,
                status=self.status,
            ),
            also=any(stores.values()),
        )
        return beside.around(Delta(tuple(step for path, delta in stores.items() for step in delta.placed_in(path))))

    @property
    def layers(self) -> int:
        """How many layers were read."""
        return len(self._loose.layers) + sum(len(batch.layers) for batch in self._batches.values())

    @property
    def _nothing(self) -> Store:
        """A store that lacks all layers."""
        return Store.new(self._hub.root, About())

    def _batch(self, store: str) -> Batch:
        if store not in self._batches:
            self._batches[store] = Batch(self._hub.store(store), today=self._day, progress=self._progress)
            self._opened.callback(self._batches[store].close)
        return self._batches[store]

    def _store_delta(self, path: str, readings: dict[str, Store]) -> Delta:
        """Return what changes in a store; where nothing else does, what was retired long enough ago goes. What was read is kept."""
        batch = self._batches.get(path)
        delta = batch.plan() if batch is not None and batch.has_changes else Delta()
        if delta or self._hub.store(path).is_vacant():
            return delta
        store = readings[path] = Store.open(self._hub.root / path)
        days = (*store.about.retired.values(), *store.about.removed_views.values())
        if all(self._day - day < self._grace for day in days):
            return delta
        refuse_containers(store.root)
        return plan_prune(store, self._grace, self._day)

    def _departing(self, deltas: dict[str, Delta], readings: dict[str, Store]) -> Departing | None:
        """Return the layers that leave stores; those that must stay for now are taken out of the deltas first."""
        departing = self._leaving(deltas, readings)
        held = departing.held() if departing is not None else {}
        for path, layers in held.items():
            deltas[path] = plan_prune(readings[path], self._grace, self._day, layers)
        return self._leaving(deltas, readings) if held else departing

    def _leaving(self, deltas: Mapping[str, Delta], readings: dict[str, Store]) -> Departing | None:
        layers = {path: found for path, delta in deltas.items() if (found := _removed(delta, readings.get(path)))}
        if not layers:
            return None
        images = [taken.image for taken in self._taken if taken.batch is not None]
        taken = {diff for image in images for diff in image.config.diff_ids} | {
            one.digest for image in images for one in image.manifest.layers
        }
        return Departing(self._reading, self._all(readings), layers, taken=taken, needed=cache(self._needed))

    def _needed(self) -> frozenset[str] | None:
        named = self._reading.named_blobs()
        return None if named is None or self.is_uncertain else named | self._used

    def _standing(self, readings: dict[str, Store], departing: Departing | None, diff: Digest) -> list[Standing]:
        return standing(self._all(readings), diff, departing.layers if departing is not None else {})

    def _stored(self, readings: dict[str, Store]) -> set[str] | None:
        """Return the digests of the blobs, in hexadecimal, of which the stores have layers, or images in none; None if not known."""
        if self.is_uncertain:
            return None
        found = (layer.compressed_diff_digest for store in self._all(readings).values() for layer in store.all_layers())
        return {digest.hex for digest in found if digest is not None} | self._used

    def _all(self, readings: dict[str, Store]) -> dict[str, Store]:
        """Return the readings of all stores; those that were not read yet are read."""
        for path in self._reading.stores():
            if path not in readings:
                readings[path] = self._batches[path].read() if path in self._batches else Store.open(self._hub.root / path)
        return readings

    def _loose_trees(self) -> Iterator[tuple[Digest, Callable[[str], PutTree]]]:
        """Yield what puts the trees of layers that were fetched for no store, by their blobs, of which several may have one diff."""
        for taken in self._taken:
            if taken.batch is None:
                for layer, descriptor in zip(taken.image.chain, taken.image.manifest.layers, strict=True):
                    if layer in self._loose.layers:
                        yield descriptor.digest, partial(layer_step, self._loose.layers[layer])

    def _offered(self, taken: Taken) -> Offered:
        image, path = taken.image, taken.layout.store
        if taken.batch is not None:
            store = taken.batch.read()
            trees = [diff_in(store, path, layer) for layer in image.chain]
        else:
            trees = [""] * len(image.chain)
        return Offered(
            name=taken.wanted.name,
            layout=taken.layout,
            offers=taken.wanted.offers,
            image=image.id,
            manifest=image.manifest_bytes,
            index=image.index_bytes,
            layers=tuple((layer.digest, tree) for layer, tree in zip(image.manifest.layers, trees, strict=True)),
        )


def _removed(delta: Delta, store: Store | None) -> list[LayerID]:
    """Return the layers that a delta removes from a store, which was read where it removes any."""
    paths = {step.path for step in delta.removals}
    names = [parse_layer_id(name) for path in paths if store is not None and is_id(name := path.rpartition("/")[2])]
    return [layer for layer in names if store is not None and store.layout.layer(layer) in paths]
