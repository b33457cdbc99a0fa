"""Where images come from: OCI layouts, and the archives that skopeo, podman and docker write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import SourceError
from cstore.source import docker_archive, oci
from cstore.source.image import SourceImage

if TYPE_CHECKING:
    from cstore.model.platform import Platform

__all__ = ["SourceImage", "open_source"]

_TRANSPORTS = {
    "oci": oci.from_directory,
    "oci-archive": oci.from_archive,
    "docker-archive": docker_archive.from_archive,
}


def open_source(text: str, platform: Platform, *, asked: bool = False) -> SourceImage:
    """Open a source and read its manifest and config; they are verified, the layers are not yet read.

    Args:
        text: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:NAME]`.
        platform: the one to choose where there are several.
        asked: whether somebody asked for just that platform, so that an image for another one is refused.

    Raises:
        SourceError: no such source, no such image in it, or none that a store can hold.
        ContentError: a manifest or config is not what its digest says.
        FormatError: a manifest or config is malformed.
    """
    transport, colon, rest = text.partition(":")
    if not colon or transport not in _TRANSPORTS or not rest:
        known = ", ".join(f"{name}:…" for name in _TRANSPORTS)
        raise SourceError(f'source: expected one of {known}, found "{text}"')
    path, _, selector = rest.partition(":")
    image = _TRANSPORTS[transport](path, selector, platform)
    if asked and not platform.runs(image.config.platform):
        image.close()
        raise SourceError(f"{text}: expected an image for {platform}, found one for {image.config.platform}")
    return image
