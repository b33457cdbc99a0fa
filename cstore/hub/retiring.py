"""Trees beside the stores of a hub that nothing leads to any more: since when, and which of them go (spec H6, H9, H11, H15)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from cstore.delta import PutSymlink
from cstore.hub.converters import led_to
from cstore.hub.layout import COVER, LAYERS, flat_at, layer_at, layerfs_at, target_from
from cstore.model.offer import Offer

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from cstore.delta import Step
    from cstore.hub.planning import HubChange
    from cstore.hub.reading import HubReading

__all__ = ["Retiring"]


class Retiring:
    """What a change leaves without use.

    Args:
        reading: what is there.
        change: what is wanted.
        relinked: the steps that make symlinks to layers that go lead to others.
        unused: the directories of layers that go.
    """

    def __init__(self, reading: HubReading, change: HubChange, relinked: Sequence[Step], unused: Sequence[str]) -> None:
        self._reading = reading
        self._change = change
        self._relinked = relinked
        self._unused = unused

    def trees(self, *, changes: bool) -> tuple[dict[str, dt.date], list[str]]:
        """Return the trees that are retired afterwards, and those that are to go.

        Args:
            changes: whether anything else changes. Only then layers are looked for that have trees of their own, since that takes a
                look at each layer of the hub.
        """
        before = self._reading.about().retired
        kept = {path: day for path, day in before.items() if _is_layer(path)}
        retired, outdated = self._aged(self._unused_trees(before), before)
        if changes or outdated or retired.keys() != before.keys() - kept.keys():
            layers = self._unused_layers()
            if layers is not None:
                kept, old = self._aged(layers, before)
                outdated += old
        if outdated:
            # A look at all that is in the hub, which only a removal is worth.
            led = self._reading.led_to()
            kept.update({path: before[path] for path in outdated if _tree_of(path) in led})
            outdated = [path for path in outdated if path not in kept]
        return dict(sorted({**retired, **kept}.items())), outdated

    def _aged(self, unused: Iterable[str], before: Mapping[str, dt.date]) -> tuple[dict[str, dt.date], list[str]]:
        """Return since when each of these trees is retired, and those of them that were long enough ago."""
        since = {path: before.get(path, self._change.day) for path in sorted(unused)}
        outdated = [path for path, day in since.items() if path in before and self._change.day - day >= self._change.grace]
        return {path: day for path, day in since.items() if path not in outdated}, outdated

    def _unused_trees(self, before: Collection[str]) -> set[str]:
        """Return the flat trees to which no name leads, and the trees of layers that cover several chains no more."""
        leading = self._reading.names()
        offered = (offered for offered in self._change.offered if Offer.FLAT in offered.offers)
        leading.update({path: image.image for image in offered for path in image.names(self._reading)})
        for path in self._change.removed:
            leading.pop(path, None)
        unused = {*map(flat_at, self._reading.flats())} - {*map(flat_at, leading.values())}
        unused |= {*self._former_covers(), *(path for path in before if COVER in path and self._reading.found(path) == "a directory")}
        unused -= {shown.path for shown in self._change.shown.values()} | {step.path for step in self._relinked}
        unused = {path for path in unused if not path.startswith(tuple(f"{gone}/" for gone in self._unused))}
        return unused - self._led_by_stores

    def _unused_layers(self) -> set[str] | None:
        """Return the directories of layers with trees of their own that nothing needs; None while that cannot be known."""
        noted = [*self._reading.noted_layers()]
        if not noted:
            return set()
        named, stored = self._reading.named_blobs(), self._change.stored()
        if named is None or stored is None:
            return None
        offered = {digest.hex for offered in self._change.offered for digest, _ in offered.layers}
        used = {*named, *stored, *offered}
        return {layer_at(digest) for digest in noted if digest.hex not in used and layerfs_at(digest) not in self._led_by_stores}

    @cached_property
    def _led_by_stores(self) -> frozenset[str]:
        """The trees to which layers of other writers' stores lead."""
        return frozenset[str]().union(*(led_to(self._reading.root, store) for store in self._reading.other_stores()))

    def _former_covers(self) -> Iterator[str]:
        """Yield the trees that covered several chains before others do."""
        leading = {layerfs_at(digest): target_from(layerfs_at(digest), shown.path) for digest, shown in self._change.shown.items()}
        leading.update({step.path: step.target for step in self._relinked if isinstance(step, PutSymlink)})
        for path, target in leading.items():
            former = self._reading.target(path) or ""
            if COVER in former and former != target:
                yield f"{path.rpartition('/')[0]}/{former.rpartition('/')[2]}"


def _tree_of(path: str) -> str:
    """Return the directory of the layer, or the flat tree, to which a path belongs."""
    return "/".join(path.split("/")[:3])


def _is_layer(path: str) -> bool:
    return path.startswith(f"{LAYERS}/") and COVER not in path
