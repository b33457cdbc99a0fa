"""What other writers have left in a hub: podman stores, of which all that they lead to stays (spec H11), and notes of images."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cstore.errors import FormatError
from cstore.hub.layout import FLAT, LAYERS
from cstore.index.gojson import decode
from cstore.model.fields import Fields
from cstore.origin import room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cstore.model.manifest import Manifest

__all__ = ["led_to", "names_image"]

_ROOM = "overlay"


def led_to(root: Path, store: str) -> frozenset[str]:
    """Return the paths of the hub's trees to which layers of a store lead.

    The present converter makes the `diff` of each layer a relative symlink to `.layers` or `.flat`.

    Args:
        root: the hub.
        store: the path of the store in it.
    """
    return frozenset(_led_to(root, store))


def names_image(noted: bytes, manifest: Manifest) -> bool:
    """Whether what the present converter noted of an image is this manifest: it writes what it has read in keys of its own.

    Args:
        noted: the bytes of its manifest.json.
        manifest: that of a registry.
    """
    try:
        found = Fields(decode(noted, ""), "")
    except FormatError:
        return False
    wanted = [str(descriptor.digest) for descriptor in (manifest.config, *manifest.layers)]
    return [*_digests([found.raw("Config")]), *_digests(found.raw("Layers"))] == wanted


def _digests(descriptors: object) -> Iterator[object]:
    for descriptor in descriptors if isinstance(descriptors, list) else ():
        yield descriptor.get("Digest") if isinstance(descriptor, dict) else None


def _led_to(root: Path, store: str) -> Iterator[str]:
    above = f"{store}/{_ROOM}"
    with room(root, above) as layers:
        names = layers.entries() if layers is not None else {}
    for name in (name for name, is_directory in names.items() if is_directory):
        with room(root, f"{above}/{name}") as layer:
            target = layer.target("diff") if layer is not None else None
        path = posixpath.normpath(posixpath.join(above, name, target or ""))
        if path.startswith((f"{FLAT}/", f"{LAYERS}/")):
            yield path
