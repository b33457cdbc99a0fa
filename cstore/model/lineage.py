"""Which layers there are, and which is below which: what a look at all of them needs, without a value for each record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from cstore.model.chain import is_id
from cstore.model.layer import MEMBERS, LayerRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cstore.model.chain import LayerID

__all__ = ["Lineage"]


@frozen
class Lineage:
    """The layers of a store: the parent of each, and its size in bytes."""

    parents: Mapping[LayerID, LayerID | None]
    sizes: Mapping[LayerID, int]

    @classmethod
    def of(cls, records: Iterable[tuple[str, Mapping[str, Any]]]) -> Lineage:
        """Read the records of layers, decoded, each with its place.

        Of a record with the usual members only what is needed here is looked at.

        Raises:
            FormatError: a record is malformed.
        """
        parents: dict[LayerID, LayerID | None] = {}
        sizes: dict[LayerID, int] = {}
        for at, value in records:
            layer: Any = value.get("id")
            parent, size = value.get("parent"), value.get("diff-size", 0)
            if value.keys() <= MEMBERS and is_id(layer) and (parent is None or is_id(parent)) and type(size) is int:
                parents[layer], sizes[layer] = parent, size
            else:
                record = LayerRecord.from_dict(value, at)
                parents[record.id], sizes[record.id] = record.parent, record.diff_size
        return cls(parents, sizes)

    def unneeded(self, tops: Iterable[LayerID | None]) -> dict[LayerID, LayerID | None]:
        """Return the layers that are none of these and below none of them, each with its parent."""
        used: set[LayerID] = set()
        for top in tops:
            layer = top
            while layer is not None and layer in self.parents and layer not in used:
                used.add(layer)
                layer = self.parents[layer]
        return {layer: parent for layer, parent in self.parents.items() if layer not in used}

    def chain(self, top: LayerID | None) -> Iterator[LayerID]:
        """Yield a layer and all below it, as far as there are records, top first and each once."""
        seen: set[LayerID] = set()
        while top is not None and top in self.parents and top not in seen:
            seen.add(top)
            yield top
            top = self.parents[top]
