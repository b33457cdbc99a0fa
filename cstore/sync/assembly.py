"""What one round puts into a hub and takes out of it, gathered, and planned as one delta."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from cstore.delta import Delta
from cstore.errors import SourceError
from cstore.hub.layout import HubLayout, diff_in, is_own
from cstore.hub.planning import HubChange, Offered, plan_hub
from cstore.hub.reading import HubReading
from cstore.mend.containers import refuse_containers
from cstore.model.about import About
from cstore.model.layout import LAYERS_INDEX
from cstore.model.offer import Offer
from cstore.progress import Progress, silent
from cstore.pruning import plan_prune
from cstore.publish.batch import Batch
from cstore.source.fetch import Fetcher
from cstore.store import Store
from cstore.sync.trees import Taken, Trees, layer_step

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping

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
        """
        if is_own(wanted.name):
            raise SourceError(f"{wanted.name}: expected the name of a registry, found one that hubs have for something of their own")
        taken = self._as_taken(wanted, image)
        if taken.batch is not None:
            taken.batch.verify(image)
            self._refuse_reserved(image, taken.batch.layers)
            taken.batch.take(image, [wanted.name.reference])
        elif wanted.offers & {Offer.FLAT, Offer.LAYERS}:
            self._loose.fetch_all([image], self._nothing)
            self._refuse_reserved(image, self._loose.layers)
        self._taken.append(taken)

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
        self._batch(store).remove(name)

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
        stores = {path: self._store_delta(path) for path in paths}
        unsound = self._trees.unsound(self._taken)
        doomed = {digest: tree for path, delta in stores.items() for digest, tree in self._doomed(path, delta)}
        beside = plan_hub(
            self._reading,
            HubChange(
                offered=[self._offered(taken) for taken in self._taken],
                removed=self._removed,
                flats={taken.image.id: partial(self._trees.flat, taken) for taken in self._taken},
                trees={layer.descriptor.digest: partial(layer_step, layer) for layer in self._loose.layers.values()},
                covers=self._trees.covers(self._taken, unsound),
                unsound=unsound,
                unsound_flats=self._trees.unsound_flats(self._taken),
                doomed=doomed,
                day=self._day,
                grace=self._grace,
                has_catalogs=self._hub.has_catalogs,
                status=self.status,
            ),
            also=any(stores.values()),
        )
        return Delta((*beside.removals, *(step for path, delta in stores.items() for step in delta.placed_in(path)), *beside.puts))

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

    def _store_delta(self, path: str) -> Delta:
        """Return what changes in a store; where nothing else does, what was retired long enough ago goes."""
        batch = self._batches.get(path)
        delta = batch.plan() if batch is not None and batch.has_changes else Delta()
        if delta or self._hub.store(path).is_vacant():
            return delta
        store = Store.open(self._hub.root / path)
        days = (*store.about.retired.values(), *store.about.removed_views.values())
        if all(self._day - day < self._grace for day in days):
            return delta
        refuse_containers(store.root)
        return plan_prune(store, self._grace, self._day)

    def _doomed(self, path: str, delta: Delta) -> Iterator[tuple[Digest, str]]:
        """Yield the layers that a delta removes from a store, by the digest of their blob, with the path of their tree."""
        removed = {step.path for step in delta.removals}
        if removed and any(step.path == LAYERS_INDEX for step in delta):
            store = Store.open(self._hub.root / path)
            for layer in store.all_layers():
                if store.layout.layer(layer.id) in removed and layer.compressed_diff_digest is not None:
                    yield layer.compressed_diff_digest, diff_in(store, path, layer.id)

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
