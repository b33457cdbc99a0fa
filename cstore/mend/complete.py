"""Records completed by what manifest and config say (spec V4, V19, V22, V38, V40 to V44, V77)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field

from cstore.errors import FormatError, SourceError
from cstore.files import Directory, UnreadableError
from cstore.model.chain import LayerID, is_id, layer_id
from cstore.model.digest import Digest
from cstore.model.manifest import Config, Manifest
from cstore.verification.images import digest_like, parsed
from cstore.verification.indexes import is_digest, is_object
from cstore.verification.items import Items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cstore.mend.draft import Draft, Record

__all__ = ["Completion"]

_MANIFEST = "manifest"


@define
class Completion:
    """Completes the records of images, and those of their layers."""

    _images: Directory | None
    written: dict[str, dict[str, bytes]] = field(factory=dict)
    """Items of big data that are to be put, by image and key."""

    def complete(self, images: Draft, layers: Draft) -> None:
        """Complete all records."""
        by_id = layers.by_id()
        for record in images:
            if is_id(record.id):
                self._complete(record, by_id)
        for record in layers:
            record.set("mountlabel", "")

    def _complete(self, record: Record, layers: Mapping[str, Record]) -> None:
        if not is_object(record.get("metadata") or "{}"):
            record.set("metadata", "")
        directory = self._images.inside(record.id) if self._images else None
        try:
            items = Items(f"overlay-images/{record.id}", directory, "nothing")
            kept = self._kept(record, items)
        finally:
            if directory is not None:
                directory.close()
        config_key = f"sha256:{record.id}"
        manifest = _parsed(Manifest, kept.get(_MANIFEST))
        config = _parsed(Config, kept.get(config_key))
        if not isinstance(manifest, Manifest) or not isinstance(config, Config) or manifest.config.digest.hex != record.id:
            return
        self._list(record, kept)
        chain = _chain(record.get("layer"), layers)
        if chain is None or not len(chain) == len(manifest.layers) == len(config.diff_ids):
            return
        for layer, diff_id, blob in zip(chain, config.diff_ids, manifest.layers, strict=True):
            # Nobody has looked at the tar of a layer that is known by its table of contents alone.
            is_unseen = layer.get("toc-digest") and not layer.get("diff-digest")
            if not is_unseen and (not is_digest(layer.get("diff-digest") or "") or _is_made_of(layer, diff_id)):
                layer.set("diff-digest", str(diff_id))
            if not is_digest(layer.get("compressed-diff-digest") or ""):
                layer.set("compressed-diff-digest", str(blob.digest))
            if layer.get("compressed-diff-digest") == str(blob.digest):
                layer.set("compressed-size", blob.size)

    def _kept(self, record: Record, items: Items) -> dict[str, bytes]:
        """Return the items that are what their keys say; a manifest that is damaged or missing comes from its twin."""
        kept: dict[str, bytes] = {}
        for key in dict.fromkeys([*(record.get("big-data-names") or ()), _MANIFEST, f"sha256:{record.id}"]):
            try:
                data = items.read(key)
            except UnreadableError:
                continue
            digest = key.removeprefix("manifest-")
            if not is_digest(digest) or _is_of(digest, data):
                kept[key] = data
        digest = record.get("digest") or ""
        twin = kept.get(f"manifest-{digest}")
        if twin is not None and kept.get(_MANIFEST) != twin and isinstance(_parsed(Manifest, twin), Manifest):
            kept[_MANIFEST] = twin
            self.written.setdefault(record.id, {})[_MANIFEST] = twin
        return kept

    def _list(self, record: Record, kept: dict[str, bytes]) -> None:
        """Have the record list all items, and the manifest be there under its digest too."""
        digest = f"sha256:{Digest.of(kept[_MANIFEST]).hex}"
        if f"manifest-{digest}" not in kept:
            kept[f"manifest-{digest}"] = kept[_MANIFEST]
            self.written.setdefault(record.id, {})[f"manifest-{digest}"] = kept[_MANIFEST]
        if not is_digest(record.get("digest") or "") or f"manifest-{record.get('digest')}" not in kept:
            record.set("digest", digest)
        listed = [key for key in record.get("big-data-names") or () if key in kept]
        usual = [f"sha256:{record.id}", f"manifest-{digest}", _MANIFEST]
        names = [*listed, *(key for key in usual if key not in listed)] if listed else usual
        digests = record.get("big-data-digests") or {}
        record.set("big-data-names", names)
        record.set("big-data-sizes", {key: len(kept[key]) for key in sorted(names)})
        record.set("big-data-digests", {key: _digest(digests.get(key) or "", kept[key]) for key in sorted(names)})


def _chain(top: Any, layers: Mapping[str, Record]) -> list[Record] | None:  # noqa: ANN401 - whatever JSON holds
    """Return the layers of an image, base first; None where one has no record, or the chain does not end."""
    chain: dict[str, Record] = {}
    while top:
        if top not in layers or top in chain:
            return None
        chain[top] = layers[top]
        top = layers[top].get("parent")
    return list(chain.values())[::-1]


def _is_made_of(layer: Record, diff_id: Digest) -> bool:
    """Whether the ID of a layer shows that this is its diff ID."""
    parent = layer.get("parent")
    return layer_id(LayerID(parent) if parent else None, diff_id) == layer.id


def _parsed(kind: type[Manifest | Config], data: bytes | None) -> Manifest | Config | None:
    try:
        return None if data is None else parsed(kind, data)
    except (FormatError, SourceError, ValueError):
        return None


def _is_of(digest: str, data: bytes) -> bool:
    return digest_like(digest, data) == digest


def _digest(known: str, data: bytes) -> str:
    """Return the digest of an item: the one that is known, if it is right."""
    return known if is_digest(known) and _is_of(known, data) else str(Digest.of(data))
