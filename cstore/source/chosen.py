"""Which manifest of a source is meant: the one for a platform, below image indexes (spec M5, S3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import SourceError
from cstore.index.gojson import decode
from cstore.model.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, ImageIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.model.manifest import Descriptor
    from cstore.model.platform import Platform

__all__ = ["chosen_manifest"]

_DEEPEST = 4


def chosen_manifest(top: Descriptor, read: Callable[[Descriptor], bytes], platform: Platform, at: str) -> tuple[bytes, bytes | None]:
    """Return the manifest for a platform, and the image index through which it was found, if there was one: the outermost.

    Args:
        top: a manifest or an image index.
        read: returns the bytes of one, verified.
        platform: the one to choose where there are several.
        at: what errors call the source.

    Raises:
        SourceError: there is none for the platform, or there are too many image indexes one below the other.
        FormatError: an image index is malformed.
    """
    index, chosen = None, top
    for _ in range(_DEEPEST):
        where = f"{at}: blob {chosen.digest}"
        data = read(chosen)
        value = decode(data, where)
        if not _is_index(chosen, value):
            return data, index
        index = index or data
        chosen = ImageIndex.from_dict(value, where).choose(platform, at)
    raise SourceError(f"{at}: expected a manifest below at most {_DEEPEST} image indexes, found more of them")


def _is_index(descriptor: Descriptor, value: object) -> bool:
    if descriptor.media_type in (OCI_INDEX, DOCKER_LIST):
        return True
    known = descriptor.media_type in (OCI_MANIFEST, DOCKER_MANIFEST)
    return not known and isinstance(value, dict) and "manifests" in value
