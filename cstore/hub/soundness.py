"""Whether a tree that another program made is what its readers need, as far as that is told by a look at its names (spec H12, H13)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cstore.errors import ContentError, StoreError
from cstore.files import LARGEST_INDEX, UnreadableError
from cstore.hub.covering import laid
from cstore.hub.layout import NOTES, flat_at, layer_at, layerfs_at
from cstore.index.gojson import decode
from cstore.layer.names import MARK
from cstore.mend.laid import look
from cstore.origin import read, room

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.model.chain import ImageID
    from cstore.model.digest import Digest

__all__ = ["is_sound_flat", "is_sound_layer"]

_ROOM = ".singularity.d"
_MARK = os.fsdecode(MARK)


def is_sound_flat(root: Path, image: ImageID) -> bool:
    """Whether a flat tree has files of Apptainer's, and no whiteouts that are files in its top directories.

    Its directory is made under the ID of the image, so that it is that image's if it is anything. No file is compared.

    Args:
        root: the hub.
        image: whose tree it is.
    """
    top = flat_at(image)
    with room(root, f"{top}/{_ROOM}") as own:
        if own is None or not own.entries():
            return False
    with room(root, top) as here:
        found = here.entries() if here is not None else {}
    names = [*found]
    for name, is_directory in found.items():
        if is_directory:
            with room(root, f"{top}/{name}") as inner:
                names += inner.entries() if inner is not None else ()
    return not any(name.startswith(_MARK) for name in names)


def is_sound_layer(root: Path, digest: Digest, diff_id: Digest) -> bool:
    """Whether the tree of a layer holds its diff, and hides what is to be hidden as overlay does (spec G5); no file is opened.

    The converter noted the diff ID of what it ingested. Where a stream was cut that is another one, and nothing where the run was.

    Args:
        root: the hub.
        digest: of the layer's blob.
        diff_id: what the image's config says of it.
    """
    if _noted_diff(root, digest) != str(diff_id):
        return False
    try:
        return not look(laid(root, layerfs_at(digest))).mark
    except ContentError:
        return False


def _noted_diff(root: Path, digest: Digest) -> object:
    """Return what the converter noted as diff ID; None where it did not."""
    path = f"{layer_at(digest)}/{NOTES}/layers.json"
    try:
        data = read(root, path, LARGEST_INDEX)
        values = decode(data, path) if data is not None else None
    except (StoreError, UnreadableError):
        return None
    first = values[0] if isinstance(values, list) and values else None
    return first.get("diff-digest") if isinstance(first, dict) else None
