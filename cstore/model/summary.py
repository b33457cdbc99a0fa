"""What a list of images tells of one: what that needs of a record, without a value for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from attrs import frozen

from cstore.model.chain import ImageID, LayerID, is_id
from cstore.model.digest import Digest
from cstore.model.image import ImageRecord
from cstore.model.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Summary"]

_USUAL = frozenset(["id", "digest", "names", "layer", "big-data-names", "big-data-sizes", "big-data-digests", "created"])


@frozen
class Summary:
    """One image of a store."""

    id: ImageID
    names: tuple[str, ...]
    created: Timestamp
    digest: Digest | None
    tops: tuple[LayerID, ...]
    """The layers that it needs, with all below them; the first is its top layer."""

    @classmethod
    def of(cls, value: Mapping[str, Any], at: str) -> Self:
        """Read what is needed of a record, decoded; of one with the usual members nothing else is looked at.

        Raises:
            FormatError: that is malformed.
        """
        image: Any
        image, names, layer, digest = value.get("id"), value.get("names", ()), value.get("layer"), value.get("digest")
        if value.keys() <= _USUAL and is_id(image) and (layer is None or is_id(layer)) and _are_texts(names):
            return cls(
                ImageID(image),
                tuple(names),
                Timestamp.parse(value.get("created"), f"{at}.created"),
                Digest.parse(digest, f"{at}.digest") if digest else None,
                () if layer is None else (LayerID(layer),),
            )
        record = ImageRecord.from_dict(value, at)
        return cls(record.id, record.names, record.created, record.digest, record.tops)


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(type(item) is str for item in value)
