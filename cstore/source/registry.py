"""Images of registries (spec Q1 to Q12)."""

from __future__ import annotations

from functools import partial
from typing import IO, TYPE_CHECKING

from cstore.errors import SourceError
from cstore.index.gojson import decode
from cstore.model.manifest import Descriptor, Manifest
from cstore.source.chosen import chosen_manifest
from cstore.source.image import SourceImage, nothing, refuse_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.model.platform import Platform
    from cstore.model.remote import RemoteName
    from cstore.registry.registries import Registries

__all__ = ["from_registry"]

_FOREIGN = ("foreign", "nondistributable")


def from_registry(name: RemoteName, platform: Platform, registries: Registries) -> SourceImage:
    """Open an image of a registry: one request where the cache has its manifest and config.

    Its blobs are downloaded when they are first opened, in whichever thread does that.

    Raises:
        SourceError: no such image, none that a store can hold, or the registry cannot be asked.
        ContentError: a manifest or config is not what its digest says.
        FormatError: a manifest or config is malformed.
    """
    at = str(name)
    first = registries.document(name, name.digest or registries.digest(name))
    top = Descriptor(media_type=first.media_type, digest=first.digest, size=len(first.data))

    def read(descriptor: Descriptor) -> bytes:
        return first.data if descriptor is top else registries.document(name, descriptor.digest, descriptor.size).data

    manifest, index = chosen_manifest(top, read, platform, at)
    config = Manifest.from_dict(decode(manifest, f"{at}: manifest"), f"{at}: manifest").config
    return SourceImage.read(
        at=at,
        names=(str(name.reference),),
        manifest=manifest,
        index=index,
        config=_config(name, config, registries),
        open_blob=partial(_open, name, registries),
        close=nothing,
    )


def _config(name: RemoteName, descriptor: Descriptor, registries: Registries) -> bytes:
    refuse_large(descriptor.size, f"{name}: config")
    with registries.blob(name, descriptor.digest, descriptor.size) as file:
        return file.read()


def _open(name: RemoteName, registries: Registries, descriptor: Descriptor, tick: Callable[[], object] = nothing) -> IO[bytes]:
    try:
        return registries.blob(name, descriptor.digest, descriptor.size, tick)
    except SourceError as error:
        if any(word in descriptor.media_type for word in _FOREIGN):
            raise SourceError(f"{error}; it is a foreign layer, which a registry need not have") from None
        raise
