"""What is published of wished images, as a round finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import StoreError
from cstore.files import UnreadableError
from cstore.hub.layout import HubLayout, flat_at
from cstore.hub.reading import HubReading
from cstore.index.gojson import decode
from cstore.model.chain import ImageID
from cstore.model.manifest import Manifest
from cstore.model.offer import Offer
from cstore.origin import read
from cstore.store import Store

if TYPE_CHECKING:
    from cstore.model.digest import Digest
    from cstore.model.image import ImageRecord
    from cstore.publish.hub import Hub
    from cstore.sync.expansion import Wanted

__all__ = ["Published"]

_LARGEST_MANIFEST = 8 << 20
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
        self._layers: dict[Digest, bool] = {}

    def store(self, path: str) -> Store | None:
        """Return the reading of a store of the hub; None where none is.

        Raises:
            StoreError: there is something else, or a store that is damaged.
        """
        if path not in self._stores:
            self._stores[path] = None if self._hub.store(path).is_vacant() else Store.open(self._hub.root / path)
        return self._stores[path]

    def digest(self, wanted: Wanted, told: Digest | None) -> Digest | None:
        """Return the digest under which a registry had what is published under a name; None where nothing is.

        Args:
            wanted: the name, for its platform.
            told: what the registry has now: of the several digests that an image in a store has, this one counts.
        """
        record = self._record(wanted) if Offer.PODMAN in wanted.offers else None
        if record is None:
            return self.reading.digest_of(HubLayout(wanted.platform).metadata(wanted.name))
        return told if told is not None and record.has_digest(told) else record.digest

    def is_whole(self, wanted: Wanted, digest: Digest) -> bool:
        """Whether all that is to be offered of an image is published.

        Args:
            wanted: the name, for its platform.
            digest: what the registry has under it.
        """
        layout = HubLayout(wanted.platform)
        manifest: bytes | None = None
        if Offer.PODMAN in wanted.offers:
            record = self._record(wanted)
            if record is None or not record.has_digest(digest):
                return False
            manifest = self._kept_manifest(layout.store, record)
        if Offer.METADATA in wanted.offers:
            directory = layout.metadata(wanted.name)
            if self.reading.digest_of(directory) != digest:
                return False
            manifest = self.reading.manifest_of(directory)
        return self._has_trees(wanted, manifest)

    def has_trees(self, wanted: Wanted, manifest: bytes) -> bool:
        """Whether the trees that are to be offered of an image with this manifest are published, the flat one under its name."""
        return self._has_trees(wanted, manifest)

    def _has_trees(self, wanted: Wanted, manifest: bytes | None) -> bool:
        if not wanted.offers & {Offer.FLAT, Offer.LAYERS}:
            return True
        if manifest is None:
            return False
        try:
            parsed = Manifest.from_dict(decode(manifest, str(wanted.name)), str(wanted.name))
        except StoreError:
            return False
        image = ImageID(parsed.config.digest.hex)
        if Offer.FLAT in wanted.offers:
            path = HubLayout(wanted.platform).name(wanted.name)
            if self.reading.flat_of(path) != image or self.reading.found(flat_at(image)) != "a directory":
                return False
        return Offer.LAYERS not in wanted.offers or all(self._has_layer(layer.digest) for layer in parsed.layers)

    def _has_layer(self, digest: Digest) -> bool:
        if digest not in self._layers:
            self._layers[digest] = self.reading.has_layer(digest)
        return self._layers[digest]

    def _record(self, wanted: Wanted) -> ImageRecord | None:
        store = self.store(HubLayout(wanted.platform).store)
        return None if store is None else store.holder(str(wanted.name.reference))

    def _kept_manifest(self, path: str, record: ImageRecord) -> bytes | None:
        store = self.store(path)
        try:
            return read(store.root, store.layout.big_data(record.id, _MANIFEST), _LARGEST_MANIFEST) if store is not None else None
        except UnreadableError:
            return None
