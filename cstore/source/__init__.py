"""Where images come from: registries, OCI layouts, and the archives that skopeo, podman and docker write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import SourceError
from cstore.model.remote import RemoteName
from cstore.source import docker_archive, oci
from cstore.source.image import SourceImage

if TYPE_CHECKING:
    from cstore.model.platform import Platform
    from cstore.registry.registries import Registries

__all__ = ["REGISTRY", "SourceImage", "open_source"]

_TRANSPORTS = {
    "oci": oci.from_directory,
    "oci-archive": oci.from_archive,
    "docker-archive": docker_archive.from_archive,
}
REGISTRY = "docker://"


def open_source(text: str, platform: Platform, *, asked: bool = False, registries: Registries | None = None) -> SourceImage:
    """Open a source and read its manifest and config; they are verified, the layers are not yet read.

    Args:
        text: `docker://REGISTRY/REPOSITORY[:TAG|@DIGEST]`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:NAME]`.
        platform: the one to choose where there are several.
        asked: whether somebody asked for just that platform, so that an image for another one is refused.
        registries: what asks a registry; a source in one needs it.

    Raises:
        SourceError: no such source, no such image in it, or none that a store can hold.
        ContentError: a manifest or config is not what its digest says.
        FormatError: a manifest or config is malformed.
    """
    if text.startswith(REGISTRY):
        if registries is None:
            raise SourceError(f"{text}: expected registries that can be asked, found none")
        # Other sources need none of it, and importing it takes its time.
        from cstore.source.registry import from_registry  # noqa: PLC0415

        image = from_registry(RemoteName.parse(text, "source"), platform, registries)
    else:
        image = _local(text, platform)
    if asked and not platform.runs(image.config.platform):
        image.close()
        raise SourceError(f"{text}: expected an image for {platform}, found one for {image.config.platform}")
    return image


def _local(text: str, platform: Platform) -> SourceImage:
    transport, colon, rest = text.partition(":")
    if not colon or transport not in _TRANSPORTS or not rest:
        known = ", ".join([f"{REGISTRY}…", *(f"{name}:…" for name in _TRANSPORTS)])
        raise SourceError(f'source: expected one of {known}, found "{text}"')
    path, _, selector = rest.partition(":")
    return _TRANSPORTS[transport](path, selector, platform)
