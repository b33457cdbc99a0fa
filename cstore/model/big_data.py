"""The big data of an image: which items a store keeps beside its record, under which keys (spec B2)."""

from __future__ import annotations

from cstore.model.digest import Digest

__all__ = ["big_data_of"]


def big_data_of(config_digest: Digest, config: bytes, manifest: bytes, index: bytes | None) -> dict[str, bytes]:
    """Return the items in the order in which podman stores them.

    Args:
        config_digest: what the manifest calls the config.
        config: the config.
        manifest: the manifest of the image for one platform.
        index: the image index through which it was found, if there was one, so that `NAME@DIGEST` of the index leads to the image.
    """
    items = {str(config_digest): config}
    if index is not None:
        items[f"manifest-{Digest.of(index)}"] = index
    items[f"manifest-{Digest.of(manifest)}"] = manifest
    items["manifest"] = manifest
    return items
