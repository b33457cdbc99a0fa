"""Which layers nothing in a store needs any more when images leave it. Nothing is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Collection

    from cstore.model.chain import LayerID
    from cstore.store import Store

__all__ = ["Leaving"]


@define
class Leaving:
    """Layers that are left without use, image by image. What needs a layer is looked up once, however many images leave it.

    Args:
        store: what is there.
        gone: the images that leave.
        needed: layers of images that come.
        unused: layers that nothing needs already.
    """

    _store: Store
    _gone: Collection[str]
    _needed: Collection[LayerID]
    _unused: set[LayerID]
    _above: dict[LayerID, list[LayerID]] = field(factory=dict, init=False)
    """Layers on those that were asked for; the last one of each is in use, if any is."""
    _topped: dict[LayerID, bool] = field(factory=dict, init=False)
    """Whether an image that stays needs a layer itself, of those that were asked for."""

    def left_by(self, top: LayerID | None) -> list[LayerID]:
        """Return the layers from this one down that no image that stays and no other layer in use needs.

        Raises:
            FormatError: a record is malformed.
        """
        left: dict[LayerID, None] = {}
        while top is not None and top not in left and not self._is_used(top):
            record = self._store.layer(top)
            if record is None:
                break
            left[top] = None
            self._unused.add(top)
            top = record.parent
        return list(left)

    def _is_used(self, layer: LayerID) -> bool:
        if layer in self._needed or self._has_image(layer):
            return True
        if layer not in self._above:
            self._above[layer] = [value["id"] for value in self._store.layers.having(layer, "parent")]
        above = self._above[layer]
        # What is without use stays so while images leave.
        while above and above[-1] in self._unused:
            above.pop()
        return bool(above)

    def _has_image(self, layer: LayerID) -> bool:
        if layer not in self._topped:
            images = self._store.images.having(layer, "layer", "mapped-layers")
            self._topped[layer] = any(value["id"] not in self._gone for value in images)
        return self._topped[layer]
