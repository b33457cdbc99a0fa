"""A record of layers.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from attrs import field, frozen

from cstore.model.chain import LayerID, parse_layer_id
from cstore.model.fields import Fields
from cstore.model.timestamp import Timestamp

if TYPE_CHECKING:
    from cstore.model.digest import Digest

__all__ = ["COMPRESSIONS", "MEMBERS", "LayerRecord"]

COMPRESSIONS = {"none": 0, "gzip": 2, "zstd": 4}
"""What `compression` holds for the blobs that cstore reads (spec L9)."""


MEMBERS = frozenset(
    {
        *("id", "names", "parent", "metadata", "mountlabel", "created", "compressed-diff-digest", "compressed-size", "diff-digest"),
        *("toc-digest", "diff-size", "compression", "uidset", "gidset", "flags", "uidmap", "gidmap", "big-data-names"),
    }
)
"""The members of a record that cstore knows."""


@frozen(kw_only=True)
class LayerRecord:
    """One layer as layers.json describes it, in the order of its members there (spec L1 to L14).

    The constructor checks nothing; `from_dict` is the checked way in.
    """

    id: LayerID
    names: tuple[str, ...] = ()
    parent: LayerID | None = None
    metadata: str = ""
    mountlabel: str = ""
    created: Timestamp = field(factory=lambda: Timestamp.parse(None))
    compressed_diff_digest: Digest | None = None
    compressed_size: int = 0
    """Bytes of the blob."""
    diff_digest: Digest | None = None
    """The diff ID."""
    toc_digest: Digest | None = None
    diff_size: int = 0
    """Bytes of the uncompressed layer tar."""
    compression: int = 0
    uidset: tuple[int, ...] = ()
    gidset: tuple[int, ...] = ()
    flags: dict[str, Any] = field(factory=dict)
    uidmap: tuple[Any, ...] = ()
    gidmap: tuple[Any, ...] = ()
    big_data_names: tuple[str, ...] = ()
    unrecognized: dict[str, Any] = field(factory=dict)

    @classmethod
    def from_dict(cls, value: object, at: str = "") -> Self:
        """Read a record from what the JSON decoder gave.

        Raises:
            FormatError: a member has the wrong type or form; it names the member.
        """
        take = Fields(value, at)
        parent = take.raw("parent")
        return cls(
            id=parse_layer_id(take.raw("id"), take.at("id")),
            names=take.texts("names"),
            parent=parse_layer_id(parent, take.at("parent")) if parent not in (None, "") else None,
            metadata=take.text_or("metadata", ""),
            mountlabel=take.text_or("mountlabel", ""),
            created=Timestamp.parse(take.raw("created"), take.at("created")),
            compressed_diff_digest=take.digest_or_none("compressed-diff-digest"),
            compressed_size=take.count_or("compressed-size", 0),
            diff_digest=take.digest_or_none("diff-digest"),
            toc_digest=take.digest_or_none("toc-digest"),
            diff_size=take.count_or("diff-size", 0),
            compression=take.count_or("compression", 0),
            uidset=take.counts("uidset"),
            gidset=take.counts("gidset"),
            flags=take.mapping("flags", _as_it_is),
            uidmap=take.items("uidmap", _as_it_is),
            gidmap=take.items("gidmap", _as_it_is),
            big_data_names=take.texts("big-data-names"),
            unrecognized=take.unrecognized(),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the record as Go's encoder would write it: its members in order, empty ones left out (spec J2)."""
        members: dict[str, object] = {
            "id": self.id,
            "names": list(self.names),
            "parent": self.parent,
            "metadata": self.metadata,
            "mountlabel": self.mountlabel,
            "created": self.created.text,
            "compressed-diff-digest": _text(self.compressed_diff_digest),
            "compressed-size": self.compressed_size,
            "diff-digest": _text(self.diff_digest),
            "toc-digest": _text(self.toc_digest),
            "diff-size": self.diff_size,
            "compression": self.compression,
            "uidset": list(self.uidset),
            "gidset": list(self.gidset),
            "flags": self.flags,
            "uidmap": list(self.uidmap),
            "gidmap": list(self.gidmap),
            "big-data-names": list(self.big_data_names),
            **self.unrecognized,
        }
        return {key: value for key, value in members.items() if value or key in self.unrecognized}


def _text(digest: Digest | None) -> str:
    return str(digest) if digest else ""


def _as_it_is(value: object, _at: str) -> object:
    return value
