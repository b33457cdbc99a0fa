"""Manifests as the present converter keeps them: the registry's bytes, or what its program made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.index.gojson import decode, encode
from cstore.model.fields import Fields
from cstore.model.manifest import DOCKER_CONFIG, DOCKER_MANIFEST, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["as_manifest"]


def as_manifest(data: bytes, at: str) -> tuple[bytes, bool]:
    """Return a manifest that podman can read, and whether its bytes are others than the registry's.

    A program in Go that decodes a manifest without telling the names of its members writes them with capitals (`SchemaVersion`).
    Such a manifest is written anew with the same descriptors. Its digest is not that of the image: annotations, order and white
    space of the registry's manifest are lost. Any other manifest is returned as it is.

    Raises:
        FormatError: it is no JSON object, or a member of it has the wrong type.
    """
    value = decode(data, at)
    take = Fields(value, at)
    version = take.raw("SchemaVersion")
    if version is None:
        return data, False
    config = _descriptor(take.raw("Config"), take.at("Config"))
    layers = take.items("Layers", _descriptor)
    family = DOCKER_MANIFEST if config["mediaType"] == DOCKER_CONFIG else OCI_MANIFEST
    members = {
        "schemaVersion": version,
        "mediaType": take.text_or("MediaType", "") or family,
        "config": config,
        "layers": list(layers),
    }
    return encode(members), True


def _descriptor(value: object, at: str) -> Mapping[str, object]:
    take = Fields(value, at)
    return {
        "mediaType": take.text_or("MediaType", ""),
        "digest": str(take.digest("Digest")),
        "size": take.count("Size"),
    }
