"""Layer IDs: what a layer is called in a store, derived from all the diffs up to it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NewType

from cstore.errors import FormatError
from cstore.model.digest import found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cstore.model.digest import Digest

__all__ = ["ImageID", "LayerID", "is_id", "layer_id", "layer_ids", "parse_image_id", "parse_layer_id"]

LayerID = NewType("LayerID", str)
"""64 lower-case hexadecimal digits; see `layer_id`."""

ImageID = NewType("ImageID", str)
"""64 lower-case hexadecimal digits: the hex of the config's digest (spec N1)."""

_ID = re.compile(r"[0-9a-f]{64}")


def layer_id(parent: LayerID | None, diff_id: Digest) -> LayerID:
    """Return the ID under which podman looks for a layer with this diff on that parent (spec N2).

    It is not the OCI chain ID, which joins the same values with a space and their algorithm.
    """
    if parent is None:
        return LayerID(diff_id.hex)
    return LayerID(hashlib.sha256(f"{parent}+{diff_id.hex}".encode()).hexdigest())


def layer_ids(diff_ids: Sequence[Digest]) -> tuple[LayerID, ...]:
    """Return the IDs of a whole chain, base first, from the diff IDs of an image's config."""
    ids: list[LayerID] = []
    for diff_id in diff_ids:
        ids.append(layer_id(ids[-1] if ids else None, diff_id))
    return tuple(ids)


def parse_layer_id(value: object, at: str = "") -> LayerID:
    """Read a layer ID strictly: it becomes a part of paths.

    Raises:
        FormatError: not 64 lower-case hexadecimal digits.
    """
    return LayerID(_parse_id(value, at))


def parse_image_id(value: object, at: str = "") -> ImageID:
    """Read an image ID strictly: it becomes a part of paths.

    Raises:
        FormatError: not 64 lower-case hexadecimal digits.
    """
    return ImageID(_parse_id(value, at))


def is_id(value: object) -> bool:
    """Whether something is the ID of an image or layer, which is safe as a part of a path: 64 lower-case hexadecimal digits."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _parse_id(value: object, at: str) -> str:
    if not isinstance(value, str) or not is_id(value):
        raise FormatError(at, f"expected an ID of 64 hexadecimal digits, found {found(value)}")
    return value
