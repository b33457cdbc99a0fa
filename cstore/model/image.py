"""A record of images.json."""

from __future__ import annotations

from typing import Any, Self

from attrs import field, frozen

from cstore.errors import FormatError
from cstore.model.chain import ImageID, LayerID, parse_image_id, parse_layer_id
from cstore.model.digest import Digest
from cstore.model.fields import Fields, whole
from cstore.model.reference import Reference
from cstore.model.timestamp import Timestamp

__all__ = ["ImageRecord"]


@frozen(kw_only=True)
class ImageRecord:
    """One image as images.json describes it, in the order of its members there (spec I1 to I12).

    The constructor checks nothing; `from_dict` is the checked way in.
    """

    id: ImageID
    digest: Digest | None = None
    """Of the image's main manifest."""
    names: tuple[str, ...] = ()
    """Fully qualified, newest first; unique in the store."""
    names_history: tuple[str, ...] = ()
    layer: LayerID | None = None
    """The top layer."""
    mapped_layers: tuple[LayerID, ...] = ()
    metadata: str = ""
    big_data_names: tuple[str, ...] = ()
    big_data_sizes: dict[str, int] = field(factory=dict)
    """Bytes of each item of big data."""
    big_data_digests: dict[str, Digest] = field(factory=dict)
    created: Timestamp = field(factory=lambda: Timestamp.parse(None))
    flags: dict[str, Any] = field(factory=dict)
    unrecognized: dict[str, Any] = field(factory=dict)

    @classmethod
    def from_dict(cls, value: object, at: str = "") -> Self:
        """Read a record from what the JSON decoder gave.

        Raises:
            FormatError: a member has the wrong type or form; it names the member.
        """
        take = Fields(value, at)
        layer = take.raw("layer")
        return cls(
            id=parse_image_id(take.raw("id"), take.at("id")),
            digest=take.digest_or_none("digest"),
            names=take.texts("names"),
            names_history=take.texts("names-history"),
            layer=parse_layer_id(layer, take.at("layer")) if layer not in (None, "") else None,
            mapped_layers=take.items("mapped-layers", parse_layer_id),
            metadata=take.text_or("metadata", ""),
            big_data_names=take.texts("big-data-names"),
            big_data_sizes=take.mapping("big-data-sizes", whole),
            big_data_digests=take.mapping("big-data-digests", Digest.parse),
            created=Timestamp.parse(take.raw("created"), take.at("created")),
            flags=take.mapping("flags", lambda item, _at: item),
            unrecognized=take.unrecognized(),
        )

    @property
    def tops(self) -> tuple[LayerID, ...]:
        """The layers that it needs, with all below them."""
        return (*filter(None, (self.layer,)), *self.mapped_layers)

    def to_dict(self) -> dict[str, object]:
        """Return the record as Go's encoder would write it: members and maps in order, empty ones left out (spec J2)."""
        members: dict[str, object] = {
            "id": self.id,
            "digest": str(self.digest) if self.digest else "",
            "names": list(self.names),
            "names-history": list(self.names_history),
            "layer": self.layer,
            "mapped-layers": list(self.mapped_layers),
            "metadata": self.metadata,
            "big-data-names": list(self.big_data_names),
            "big-data-sizes": dict(sorted(self.big_data_sizes.items())),
            "big-data-digests": {key: str(digest) for key, digest in sorted(self.big_data_digests.items())},
            "created": self.created.text,
            "flags": self.flags,
            **self.unrecognized,
        }
        return {key: value for key, value in members.items() if value or key in self.unrecognized}

    def is_called(self, text: str) -> bool:
        """Whether `NAME@DIGEST` leads to this image: one of its names is of that repository, and a digest is its own (spec I9)."""
        try:
            wanted = Reference.parse(text)
        except FormatError:
            return False
        return wanted.digest is not None and self.has_digest(wanted.digest) and wanted.repository in map(_repository, self.names)

    def has_digest(self, digest: Digest) -> bool:
        """Whether `NAME@digest` leads to this image: its own digest, or that of a manifest among its big data (spec I9)."""
        return digest == self.digest or any(digest == item for key, item in self.big_data_digests.items() if key.startswith("manifest"))


def _repository(name: str) -> str:
    """Return a name without its tag or digest; a name of another writer may be no name at all."""
    try:
        return Reference.parse(name).repository
    except FormatError:
        return ""
