"""A repository as CernVM-FS's present converter lays it out: its images by manifest and config, its layers by their trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from cstore.confined import Confined
from cstore.errors import ContentError, FormatError, SourceError, StoreError
from cstore.files import LARGEST_INDEX
from cstore.index.gojson import decode
from cstore.mend.laid import LaidTree, Look, Measures, look, measure
from cstore.mend.listed import LeftImage, ListedImage, list_images
from cstore.mend.remarshalled import as_manifest
from cstore.model.chain import ImageID, LayerID, layer_ids
from cstore.model.digest import Digest, found
from cstore.model.fields import Fields
from cstore.model.layout import IMAGES_INDEX, big_data_file
from cstore.model.manifest import LARGEST_DOCUMENT, Config, Descriptor, Manifest
from cstore.origin import has_own_repository
from cstore.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cstore.model.platform import Platform

__all__ = ["Converter", "FoundImage", "FoundLayer", "Origin"]


@frozen
class Origin:
    """A store of the present converter's; the directory above it is the repository, in which the layers lie."""

    store: Path
    """Where it can be read."""
    seen: Path
    """Where readers see it, an absolute path."""

    @property
    def repository(self) -> Confined:
        """The repository.

        Raises:
            StoreError: the store belongs to somebody else than the directory above it: its layers would be looked for in what is
                none of its owner's business (spec P26).
        """
        if not has_own_repository(self.store):
            raise StoreError(f"{self.store}: expected a store of the owner of the directory above it, found one of another user")
        return Confined(self.store.parent, self.seen.parent)

    def path(self, inside: str) -> str:
        """Return a path of the store as one of the repository."""
        return f"{self.store.name}/{inside}"


@frozen(kw_only=True)
class FoundLayer:
    """A layer of an image, with the tree that the converter made of it."""

    id: LayerID
    parent: LayerID | None
    diff_id: Digest
    descriptor: Descriptor
    diff_size: int
    created: str
    repeats: bool
    """Whether the same diff is below it already: no reader can mount one directory twice."""
    leads_to: str
    """Where readers see its tree."""
    tree: LaidTree
    look: Look


@frozen(kw_only=True)
class FoundImage:
    """An image that can be adopted."""

    listed: ListedImage
    manifest: bytes
    is_rewritten: bool
    """Whether the manifest's bytes are not the registry's, so that the image's digest is unknown."""
    config_digest: Digest
    config_bytes: bytes
    config: Config
    layers: tuple[FoundLayer, ...]


@frozen
class _Laid:
    """What is known of the tree of one blob."""

    tree: LaidTree
    look: Look
    diff_id: Digest
    diff_size: int


class Converter:
    """Reads the present converter's repository, and remembers of layers, which never change, what it saw.

    Args:
        origin: its store.
        progress: is told of layers whose trees are looked through.
    """

    def __init__(self, origin: Origin, progress: Progress = silent) -> None:
        self._origin = origin
        self._repository = origin.repository
        self._progress = progress
        self._laid: dict[Digest, _Laid] = {}
        self._measures: dict[Digest, Measures] = {}

    def images(self) -> tuple[list[ListedImage], list[LeftImage]]:
        """Return the images that the store lists, and those whose records are unreadable.

        Raises:
            StoreError: there is no such store.
            FormatError: its images.json is damaged.
        """
        path = self._origin.path(IMAGES_INDEX)
        return list_images(self._repository.read(path, LARGEST_INDEX), str(self._origin.store / IMAGES_INDEX))

    def platform(self, image: ImageID) -> Platform | None:
        """Return for which platform an image is, None where its config does not tell."""
        try:
            return self._config(image)[1].platform
        except StoreError:
            return None

    def read(self, image: ListedImage) -> FoundImage:
        """Return an image with all that it takes to adopt it.

        Raises:
            StoreError: why it cannot be adopted.
        """
        config_bytes, config = self._config(image.id)
        data, is_rewritten, manifest = self._manifest(image, config)
        if len(manifest.layers) != len(config.diff_ids):
            raise SourceError(f"expected a layer for each diff ID of the config ({len(config.diff_ids)}), found {len(manifest.layers)}")
        return FoundImage(
            listed=image,
            manifest=data,
            is_rewritten=is_rewritten,
            config_digest=manifest.config.digest,
            config_bytes=config_bytes,
            config=config,
            layers=self._layers(image.id, manifest.layers, config),
        )

    def measures(self, layer: FoundLayer) -> Measures:
        """Return what a publisher must know to copy a layer.

        Raises:
            ContentError: its tree cannot be read, or holds what no layer can.
        """
        digest = layer.descriptor.digest
        if digest not in self._measures:
            self._measures[digest] = measure(layer.tree)
        return self._measures[digest]

    def _config(self, image: ImageID) -> tuple[bytes, Config]:
        digest = Digest("sha256", image)
        data = self._read(f"overlay-images/{image}/{big_data_file(str(digest))}")
        if Digest.of(data) != digest:
            raise ContentError(f"config: expected digest {digest}, found {Digest.of(data)}")
        return data, Config.from_dict(decode(data, "config"), "config")

    def _manifest(self, image: ListedImage, config: Config) -> tuple[bytes, bool, Manifest]:
        """Return the manifest that belongs to an image: from the store, or else from what the converter noted of a name of it.

        Raises:
            StoreError: what is wrong with that in the store, where no other one belongs to the image either.
        """
        reasons: list[StoreError] = []
        for path in (self._origin.path(f"overlay-images/{image.id}/manifest"), *_noted(image, config.platform)):
            try:
                data, is_rewritten = as_manifest(self._repository.read(path, LARGEST_DOCUMENT), "manifest")
                manifest = Manifest.from_dict(decode(data, "manifest"), "manifest")
            except StoreError as error:
                reasons.append(error)
                continue
            if manifest.config.digest == Digest("sha256", image.id):
                return data, is_rewritten, manifest
            reasons.append(
                ContentError(
                    f"manifest: expected that of the image, with config sha256:{image.id}, found one with {manifest.config.digest}"
                )
            )
        raise reasons[0]

    def _layers(self, image: ImageID, descriptors: Sequence[Descriptor], config: Config) -> tuple[FoundLayer, ...]:
        ids = layer_ids(config.diff_ids)
        layers = []
        for number, descriptor in enumerate(descriptors):
            diff_id = config.diff_ids[number]
            laid = self._tree(image, descriptor, f"layers[{number}]", len(ids))
            if laid.diff_id != diff_id:
                raise ContentError(f"layers[{number}]: expected a tree of diff ID {diff_id}, found one of {laid.diff_id}")
            if laid.look.mark:
                raise ContentError(
                    f'layers[{number}]: expected a tree with whiteouts that overlay knows, found the file "{laid.look.mark}" instead of one'
                )
            layers.append(
                FoundLayer(
                    id=ids[number],
                    parent=ids[number - 1] if number else None,
                    diff_id=diff_id,
                    descriptor=descriptor,
                    diff_size=laid.diff_size,
                    created=(config.layer_times[number] or config.created).text,
                    repeats=diff_id in config.diff_ids[:number],
                    leads_to=f"{self._repository.seen}/{_tree_path(descriptor.digest)}",
                    tree=laid.tree,
                    look=laid.look,
                )
            )
        return tuple(layers)

    def _tree(self, image: ImageID, descriptor: Descriptor, at: str, layers: int) -> _Laid:
        digest = descriptor.digest
        if digest in self._laid:
            return self._laid[digest]
        path = _tree_path(digest)
        if not self._repository.has_directory(path) and self._repository.has_directory(f".flat/{image[:2]}/{image}"):
            raise SourceError(f"{at}: expected a tree of its own, found only one flat tree of all {layers} layers")
        tree = LaidTree(at=str(self._repository.root / path), open=lambda: self._repository.open_directory(path))
        self._progress("looking through", str(digest), descriptor.size)
        self._laid[digest] = _Laid(tree, look(tree), *self._noted_diff(digest, at))
        return self._laid[digest]

    def _noted_diff(self, digest: Digest, at: str) -> tuple[Digest, int]:
        """Return the diff ID and the size that the converter measured; it notes them when the whole tree is there.

        Raises:
            StoreError: it noted nothing.
        """
        path = f".layers/{digest.hex[:2]}/{digest.hex}/.metadata/layers.json"
        values = decode(self._repository.read(path, LARGEST_DOCUMENT), f"{at}: layers.json")
        if not isinstance(values, list) or not values:
            raise FormatError(f"{at}: layers.json", f"expected an array with the layer, found {found(values)}")
        take = Fields(values[0], f"{at}: layers.json[0]")
        return take.digest("diff-digest"), take.count("diff-size")

    def _read(self, path: str) -> bytes:
        return self._repository.read(self._origin.path(path), LARGEST_DOCUMENT)


def _noted(image: ListedImage, platform: Platform) -> list[str]:
    """Return where the converter may have noted the manifest of an image, by its names."""
    names = [said.partition("@")[0] for said in image.said]
    kind = ":".join(filter(None, (platform.architecture, platform.variant)))
    return [f".metadata/{above}{name}/manifest.json" for name in names for above in ("", f".multiarch/{kind}/")]


def _tree_path(digest: Digest) -> str:
    return f".layers/{digest.hex[:2]}/{digest.hex}/layerfs"
