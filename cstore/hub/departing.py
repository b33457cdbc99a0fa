"""Trees of layers that leave the stores of a hub, and what becomes of the symlinks that lead to them (spec H7, H9, H14)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.delta import PutSymlink, PutTree
from cstore.hub.covering import cover, covers, is_opaque, stored_chained
from cstore.hub.layout import COVER, STORE, diff_in, layerfs_at, target_from
from cstore.model.layer import LayerRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from cstore.delta import Step
    from cstore.hub.reading import HubReading
    from cstore.model.chain import LayerID
    from cstore.model.digest import Digest
    from cstore.store import Store

__all__ = ["Departing", "Standing", "standing"]


@frozen
class Standing:
    """A layer in a store of a hub."""

    path: str
    """Of the store."""
    store: Store = field(repr=False)
    layer: LayerID

    @property
    def tree(self) -> str:
        """Where its tree is in the hub."""
        return diff_in(self.store, self.path, self.layer)


def standing(stores: Mapping[str, Store], diff: Digest, but: Mapping[str, Collection[LayerID]]) -> list[Standing]:
    """Return where a diff stands in stores, whatever blob it came in; layers that are retired come last.

    Args:
        stores: the stores of a hub, by their paths.
        diff: the diff ID.
        but: layers that do not count, by the path of their store.

    Raises:
        FormatError: the record of a layer is malformed.
    """
    found = [
        Standing(path, store, layer.id)
        for path, store in stores.items()
        for value in store.layers.having(str(diff), "diff-digest")
        if (layer := LayerRecord.from_dict(value, store.layers.place(value["id"]))).id not in but.get(path, ())
        if not store.lacks(layer.id)
    ]
    return sorted(found, key=lambda there: there.layer in there.store.about.retired)


class Departing:
    """Layers that leave the stores of a hub together.

    Args:
        reading: the hub.
        stores: all its stores as they are now, by their paths.
        layers: those that leave, by the path of their store.
        taken: digests of the blobs, and diff IDs, of images that come in the same round.
        needed: tells the digests of blobs, in hexadecimal, with which images are offered; None where that is not known.

    Raises:
        FormatError: the record of a layer is malformed.
    """

    def __init__(
        self,
        reading: HubReading,
        stores: Mapping[str, Store],
        layers: Mapping[str, Collection[LayerID]],
        *,
        taken: Collection[Digest] = (),
        needed: Callable[[], Collection[str] | None] = frozenset,
    ) -> None:
        self._reading = reading
        self._stores = stores
        self.layers = layers
        self._taken = taken
        self._needed = needed
        self._trees: dict[str, tuple[Standing, LayerRecord]] = {}
        for path, leaving in layers.items():
            for layer in leaving:
                record = stores[path].layer(layer)
                if record is not None:
                    there = Standing(path, stores[path], layer)
                    self._trees[there.tree] = there, record
        self._stand_ins: dict[Digest, list[Standing]] = {}

    def held(self) -> dict[str, set[LayerID]]:
        """Return the layers that must stay for now, by their store: symlinks to them cannot lead elsewhere yet.

        Their diff comes to a store in this round, or it is in no other and an image that is in no store is offered with it.
        """
        held: dict[str, set[LayerID]] = {}
        for digest, tree in self._links.items():
            if tree in self._trees and self._is_held(digest, self._trees[tree][1]):
                there = self._trees[tree][0]
                held.setdefault(there.path, set()).add(there.layer)
        return held

    def relinked(self) -> Iterator[Step]:
        """Yield the steps after which symlinks that lead to a tree which goes lead to another of the same diff that stays.

        They come before the tree goes. In several chains a layer with opaque directories gets a tree that covers all (spec H9).
        """
        lost = ((digest, record) for digest, record in self._lost.items() if record is not None and digest not in self._taken)
        leading = ((digest, self._trees[tree][1]) for digest, tree in self._links.items() if tree in self._trees)
        for digest, record in (*leading, *lost):
            staying = self._staying(record)
            if staying:
                joint = _joint(digest, record.diff_digest, staying)
                if joint is not None and self._reading.found(joint.path) == "nothing":
                    yield joint
                path = layerfs_at(digest)
                yield PutSymlink(path=path, target=target_from(path, joint.path if joint is not None else staying[0].tree))

    def unused(self) -> Iterator[Digest]:
        """Yield the layers, by the digests of their blobs, that can lead to no tree any more, and need not.

        One with a tree that covers several chains goes with the last of these.
        """
        for digest, tree in self._links.items():
            record = self._record(tree)
            if record is not None and not self._staying(record) and (tree in self._trees or not self._is_held(digest, record)):
                yield digest
        for digest, record in self._lost.items():
            if (record is None or not self._staying(record)) and not self._is_held(digest, record):
                yield digest

    def _record(self, tree: str) -> LayerRecord | None:
        """Return the layer that leaves to which a symlink leads, or that it covers with others; None where it leads elsewhere."""
        if tree in self._trees:
            return self._trees[tree][1]
        records = (record for _, record in self._trees.values()) if COVER in tree else ()
        return next((record for record in records if record.diff_digest is not None and covers(tree, record.diff_digest)), None)

    def _is_held(self, digest: Digest, record: LayerRecord | None) -> bool:
        if digest in self._taken or (record is not None and record.diff_digest in self._taken):
            return True
        if record is not None and self._staying(record):
            return False
        named = self._needed()
        return named is None or digest.hex in named

    @cached_property
    def _links(self) -> dict[Digest, str]:
        """All symlinks to trees of layers; one blob's may lead to a layer whose record names another blob of the same diff."""
        return dict(self._reading.layer_links())

    @cached_property
    def _lost(self) -> dict[Digest, LayerRecord | None]:
        """Symlinks to layers that a store lost otherwise, as by `cstore prune`; each with a record of the same blob, if there is one."""
        known = {Standing(path, store, layer).tree for path, store in self._stores.items() for layer in store.lineage().parents}
        odd = [digest for digest, tree in self._links.items() if tree.startswith(STORE) and tree not in known]
        return {digest: self._of_blob(digest) for digest in odd if not self._reading.has_layer(digest)}

    def _of_blob(self, digest: Digest) -> LayerRecord | None:
        for store in self._stores.values():
            for value in store.layers.having(str(digest), "compressed-diff-digest"):
                return LayerRecord.from_dict(value, store.layers.place(value["id"]))
        return None

    def _staying(self, record: LayerRecord) -> list[Standing]:
        diff = record.diff_digest
        if diff is None:
            return []
        if diff not in self._stand_ins:
            self._stand_ins[diff] = standing(self._stores, diff, self.layers)
        return self._stand_ins[diff]


def _joint(digest: Digest, diff: Digest | None, staying: list[Standing]) -> PutTree | None:
    """Return the tree that covers a layer in several chains, if one must."""
    if diff is None or len(staying) == 1 or not is_opaque((staying[0].store, staying[0].layer)):
        return None
    return cover(digest, diff, [stored_chained(there.store, there.layer) for there in staying])
