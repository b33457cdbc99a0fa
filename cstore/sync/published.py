"""What is published of wished images, as a round finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import FormatError, StoreError
from cstore.files import UnreadableError
from cstore.hub.converters import names_image
from cstore.hub.layout import HubLayout, flat_at
from cstore.hub.reading import HubReading
from cstore.index.gojson import decode
from cstore.model.chain import ImageID, layer_ids
from cstore.model.digest import Digest
from cstore.model.manifest import LARGEST_DOCUMENT, Config, Manifest
from cstore.model.offer import Offer
from cstore.origin import read
from cstore.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cstore.model.chain import LayerID
    from cstore.model.image import ImageRecord
    from cstore.publish.hub import Hub
    from cstore.source.image import SourceImage
    from cstore.sync.expansion import Wanted

__all__ = ["Published"]

_MANIFEST = "manifest"


class Published:
    """What a hub holds of wished images. Stores are read once, when they are first asked for.

    Args:
        hub: where it is.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.reading = HubReading(hub.root)
        self._stores: dict[str, Store | None] = {}
        self._images: dict[str, dict[str, ImageRecord]] = {}
        """Of stores that were surveyed, by name."""
        self._trees: dict[tuple[Digest, bool], ImageID | None] = {}
        """The images of manifests, where the trees of their layers are there if that is asked too."""
        self._layers: dict[Digest, bool] = {}
        self._lost: dict[tuple[str, ImageID, bool], bool] = {}
        """Whether images in stores have lost something, where their trees were looked for, too."""
        self._kept_trees: dict[tuple[str, LayerID], bool] = {}

    def store(self, path: str) -> Store | None:
        """Return the reading of a store of the hub; None where none is.

        Raises:
            StoreError: there is something else, a store that is damaged, or one of another writer: what is added to that may stand on
                layers that are not what they should be (spec Z10).
        """
        if path not in self._stores:
            is_vacant = self._hub.store(path).is_vacant()
            if not is_vacant and not self.reading.is_own_store(path):
                raise StoreError(
                    f"{self._hub.root / path}: expected nothing, or a store that cstore has made, found something else. Move it away, or "
                    "let `cstore adopt` take its images over into a store of cstore's, and move that here; or leave podman out of --forms"
                )
            self._stores[path] = None if is_vacant else self._opened(path)
        return self._stores[path]

    def images(self, path: str) -> Mapping[str, ImageRecord]:
        """Return all images of a store of the hub by their names; after that, no question about one of them reads its record again.

        Raises:
            StoreError: there is something else, or a store that is damaged.
        """
        if path not in self._images:
            store = self.store(path)
            found: dict[str, ImageRecord] = {}
            for image in store.all_images() if store is not None else ():
                for name in image.names:
                    found.setdefault(name, image)
            self._images[path] = found
        return self._images[path]

    def digest(self, wanted: Wanted, told: Digest | None) -> Digest | None:
        """Return the digest under which a registry had what is published under a name; None where nothing is.

        Args:
            wanted: the name, for its platform.
            told: what the registry has now: of the several digests that an image in a store has, this one counts.
        """
        record = self._record(wanted) if Offer.PODMAN in wanted.offers else None
        if record is None:
            described = self.reading.description(HubLayout(wanted.platform).metadata(wanted.name))
            return described.digest if described is not None else None
        return told if told is not None and record.has_digest(told) else record.digest

    def is_whole(self, wanted: Wanted, digest: Digest) -> bool:
        """Whether all that is to be offered of an image is published.

        Args:
            wanted: the name, for its platform.
            digest: what the registry has under it.
        """
        layout = HubLayout(wanted.platform)
        record = self._record(wanted) if Offer.PODMAN in wanted.offers else None
        if Offer.PODMAN in wanted.offers and (record is None or not record.has_digest(digest) or self._has_lost(wanted, record)):
            return False
        manifest: bytes | None = None
        if Offer.METADATA in wanted.offers:
            described = self.reading.description(layout.metadata(wanted.name))
            if described is None or described.digest != digest:
                return False
            manifest = described.manifest
        elif record is not None and wanted.offers & {Offer.FLAT, Offer.LAYERS}:
            manifest = self._kept(layout.store, record, _MANIFEST)
        return self.has_trees(wanted, manifest)

    def is_noted(self, wanted: Wanted, image: SourceImage) -> bool:
        """Whether the present converter noted this image under its name, and all that is to be offered of it is there (spec Z10).

        What it noted is not what the registry has byte for byte, so that no digest tells.
        """
        described = self.reading.description(HubLayout(wanted.platform).metadata(wanted.name))
        if described is None or not names_image(described.manifest, image.manifest):
            return False
        if Offer.PODMAN in wanted.offers:
            store, record = self.store(HubLayout(wanted.platform).store), self._record(wanted)
            if store is None or record is None or record.id != image.id or any(map(store.lacks, image.chain)):
                return False
        return self.has_trees(wanted, image.manifest_bytes)

    def has_trees(self, wanted: Wanted, manifest: bytes | None) -> bool:
        """Whether the trees that are to be offered of an image with this manifest are published, the flat one under its name."""
        if not wanted.offers & {Offer.FLAT, Offer.LAYERS}:
            return True
        image = self._image_with_layers(wanted, manifest) if manifest is not None else None
        if image is None or Offer.FLAT not in wanted.offers:
            return image is not None
        path = HubLayout(wanted.platform).name(wanted.name)
        return self.reading.flat_of(path) == image and self.reading.found(flat_at(image)) == "a directory"

    def _image_with_layers(self, wanted: Wanted, manifest: bytes) -> ImageID | None:
        """Return the image of a manifest; None where that is malformed, or a tree of a layer is to be offered and is not there."""
        needs_layers = Offer.LAYERS in wanted.offers
        key = (Digest.of(manifest), needs_layers)
        if key not in self._trees:
            # One image may have many names.
            try:
                parsed = Manifest.from_dict(decode(manifest, str(wanted.name)), str(wanted.name))
            except StoreError:
                parsed = None
            is_there = parsed is not None and (not needs_layers or all(self._has_layer(layer.digest) for layer in parsed.layers))
            self._trees[key] = ImageID(parsed.config.digest.hex) if parsed is not None and is_there else None
        return self._trees[key]

    def _has_layer(self, digest: Digest) -> bool:
        if digest not in self._layers:
            self._layers[digest] = self.reading.has_layer(digest)
        return self._layers[digest]

    def _opened(self, path: str) -> Store:
        try:
            return Store.open(self._hub.root / path)
        except FormatError as error:
            # A hub has several stores, whose files are called the same.
            raise FormatError(f"{self._hub.root / path}/{error.at}", error.said) from None

    def _has_lost(self, wanted: Wanted, record: ImageRecord) -> bool:
        """Whether an image in a store has lost its manifest, its config, or the tree of a layer.

        Where its layers are offered to the snapshotter too, their trees are looked for by way of that.
        """
        path, needs_trees = HubLayout(wanted.platform).store, Offer.LAYERS not in wanted.offers
        key = (path, record.id, needs_trees)
        if key not in self._lost:
            self._lost[key] = not self._is_kept(path, record) or (needs_trees and not self._has_kept_trees(path, record))
        return self._lost[key]

    def _is_kept(self, path: str, record: ImageRecord) -> bool:
        store = self.store(path)
        return store is not None and all(store.has(store.layout.big_data(record.id, key)) for key in (_MANIFEST, f"sha256:{record.id}"))

    def _has_kept_trees(self, path: str, record: ImageRecord) -> bool:
        store, data = self.store(path), self._kept(path, record, f"sha256:{record.id}")
        try:
            config = Config.from_dict(decode(data or b"", path), path)
        except FormatError:
            return False
        return store is not None and all(self._has_tree(path, store, layer) for layer in layer_ids(config.diff_ids))

    def _has_tree(self, path: str, store: Store, layer: LayerID) -> bool:
        if (path, layer) not in self._kept_trees:
            self._kept_trees[path, layer] = store.has(f"{store.layout.tree(layer)}/diff")
        return self._kept_trees[path, layer]

    def _record(self, wanted: Wanted) -> ImageRecord | None:
        path, name = HubLayout(wanted.platform).store, str(wanted.name.reference)
        if path in self._images:
            return self._images[path].get(name)
        store = self.store(path)
        return None if store is None else store.holder(name)

    def _kept(self, path: str, record: ImageRecord, key: str) -> bytes | None:
        store = self.store(path)
        try:
            return read(store.root, store.layout.big_data(record.id, key), LARGEST_DOCUMENT) if store is not None else None
        except UnreadableError:
            return None
