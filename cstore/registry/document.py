"""Documents of registries: manifests and image indexes, as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import frozen

from cstore.errors import FormatError
from cstore.index.gojson import decode

if TYPE_CHECKING:
    from cstore.model.digest import Digest

__all__ = ["Document"]


@frozen
class Document:
    """A manifest or an image index."""

    data: bytes
    digest: Digest
    media_type: str
    """What the document says of itself, or else what it looks like."""

    @classmethod
    def read(cls, data: bytes, digest: Digest, media_type: str) -> Self:
        """Make one of its bytes.

        Args:
            data: which may be anything.
            digest: of them.
            media_type: the registry's own word for its type, which counts only where the document has none.
        """
        try:
            value = decode(data, "")
        except FormatError:
            value = None
        said = value.get("mediaType") if isinstance(value, dict) else None
        return cls(data, digest, said if isinstance(said, str) and said else media_type)
