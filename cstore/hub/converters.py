"""Podman stores in a hub that cstore has not made: what they lead to stays, as they do (spec H11)."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cstore.hub.layout import FLAT, LAYERS
from cstore.origin import room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["led_to"]

_ROOM = "overlay"


def led_to(root: Path, store: str) -> frozenset[str]:
    """Return the paths of the hub's trees to which layers of a store lead.

    The present converter makes the `diff` of each layer a relative symlink to `.layers` or `.flat`.

    Args:
        root: the hub.
        store: the path of the store in it.
    """
    return frozenset(_led_to(root, store))


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
