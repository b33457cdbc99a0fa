"""One image of a source: its manifest and config, verified, and its blobs, to be opened."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

from attrs import field, frozen

from cstore.errors import ContentError, SourceError
from cstore.index.gojson import decode
from cstore.model.chain import ImageID, LayerID, layer_ids, parse_image_id
from cstore.model.digest import Digest
from cstore.model.manifest import LARGEST_DOCUMENT, Config, Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.source.files import Files

__all__ = ["OpenBlob", "SourceImage", "nothing", "read_blob", "refuse_large"]


def nothing() -> None:
    """Do nothing."""


class OpenBlob(Protocol):
    """Opens the blob of a layer; this may take as long as downloading it takes."""

    def __call__(self, descriptor: Descriptor, tick: Callable[[], object] = nothing, /) -> IO[bytes]:
        """Return the blob as a file at its beginning.

        Args:
            descriptor: of the layer.
            tick: is called often enough while it takes long; it raises where the blob is no longer wanted.
        """
        ...


@frozen(kw_only=True)
class SourceImage:
    """An image as a source has it."""

    at: str
    """What errors call it."""
    names: tuple[str, ...]
    """The names that the source itself gives to it, perhaps none."""
    manifest_bytes: bytes = field(repr=False)
    index_bytes: bytes | None = field(repr=False)
    """The image index through which it was found."""
    config_bytes: bytes = field(repr=False)
    manifest: Manifest
    config: Config
    open_blob: OpenBlob = field(repr=False, eq=False)
    """Opens the blob of a layer."""
    close: Callable[[], None] = field(repr=False, eq=False)
    """Lets go of the source."""

    @classmethod
    def read(  # noqa: PLR0913 - keywords, each of them a part of an image
        cls,
        *,
        at: str,
        names: tuple[str, ...],
        manifest: bytes,
        index: bytes | None,
        config: bytes,
        open_blob: OpenBlob,
        close: Callable[[], None],
    ) -> SourceImage:
        """Make an image of the bytes of its manifest and config.

        Raises:
            SourceError: it is no image that a store can hold, or manifest and config do not agree.
            FormatError: manifest or config is malformed.
        """
        parsed = Manifest.from_dict(decode(manifest, f"{at}: manifest"), f"{at}: manifest")
        settings = Config.from_dict(decode(config, f"{at}: config"), f"{at}: config")
        if len(parsed.layers) != len(settings.diff_ids):
            raise SourceError(
                f"{at}: expected a layer for each diff ID of the config ({len(settings.diff_ids)}), found {len(parsed.layers)} layers"
            )
        return cls(
            at=at,
            names=names,
            manifest_bytes=manifest,
            index_bytes=index,
            config_bytes=config,
            manifest=parsed,
            config=settings,
            open_blob=open_blob,
            close=close,
        )

    @property
    def id(self) -> ImageID:
        """The ID that the image has in a store (spec N1)."""
        return parse_image_id(self.manifest.config.digest.hex, f"{self.at}: manifest.config.digest")

    @property
    def digest(self) -> Digest:
        """The digest of its manifest."""
        return Digest.of(self.manifest_bytes)

    @property
    def chain(self) -> tuple[LayerID, ...]:
        """The IDs of its layers in a store, base first."""
        return layer_ids(self.config.diff_ids)


def read_blob(files: Files, path: str, digest: Digest, size: int, at: str) -> bytes:
    """Return a small blob: a manifest, an image index or a config.

    Raises:
        SourceError: there is none, or its declared size is larger than such a blob can be.
        ContentError: it is not the one that was promised.
    """
    refuse_large(size, at)
    with files.open(path) as file:
        data = file.read(size + 1)
    if len(data) != size:
        raise ContentError(f"{at}: expected {size} bytes, found {'more' if len(data) > size else len(data)}")
    hasher = digest.hasher()
    hasher.update(data)
    if hasher.hexdigest() != digest.hex:
        raise ContentError(f"{at}: expected digest {digest}, found {digest.algorithm}:{hasher.hexdigest()}")
    return data


def refuse_large(size: int, at: str) -> None:
    """Refuse a manifest, an image index or a config by its declared size.

    Raises:
        SourceError: no such document can be so large.
    """
    if size > LARGEST_DOCUMENT:
        raise SourceError(f"{at}: expected up to {LARGEST_DOCUMENT} bytes, found a declared size of {size}")
