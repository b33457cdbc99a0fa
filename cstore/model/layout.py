"""Where everything in a store lies: the one place that knows its paths and file names.

All paths are relative to the store, with `/` between their parts.
"""

from __future__ import annotations

import base64
import re
from enum import Enum
from typing import TYPE_CHECKING, NewType

from attrs import frozen

from cstore.errors import FormatError
from cstore.model.digest import found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cstore.model.chain import ImageID, LayerID

__all__ = ["Form", "Layout", "Link", "big_data_file", "index_of", "link_candidates", "parse_link", "view_at"]

Link = NewType("Link", str)
"""The short name of a layer in `overlay/l/`, without any path."""

IMAGES_INDEX = "overlay-images/images.json"
IMAGES_LOCK = "overlay-images/images.lock"
LAYERS_INDEX = "overlay-layers/layers.json"
LAYERS_LOCK = "overlay-layers/layers.lock"
TAR_SPLIT = ".tar-split.gz"
"""How the names of tar-splits end."""
ABOUT = "cstore.json"
WORK = ".cstore-work"
"""Where the journal lies; there only while somebody writes (spec F9)."""
WORK_LOCK = ".cstore-work/lock"
"""The file that a writer holds locked; others see by it that one is at work."""
CATALOG = ".cvmfscatalog"
LINKS = "overlay/l"
VIEWS = "views"
"""Where the views of a store lie, each a directory (spec F12)."""
BIG_LAYER = 1000
"""A layer of this many entries gets a catalog of its own in the sharded form (spec F7)."""

_LINK_LENGTH = 12
_LONGEST_LINK = 52
_LINK = re.compile(r"[^/\0:\n]{1,255}")
_PLAIN_KEY = re.compile(r"[0-9a-z.]*(?:[^0-9a-z.])?")


class Form(Enum):
    """The two forms of a store (spec F5, F6)."""

    DIRECT = "direct"
    SHARDED = "sharded"


@frozen
class Layout:
    """The paths of a store of one form."""

    form: Form

    def layer(self, layer: LayerID) -> str:
        """Where readers look for a layer."""
        return f"overlay/{layer}"

    def tree(self, layer: LayerID) -> str:
        """Where a layer's directory really is."""
        return f"{self.shard(layer)}/{layer}" if self.form is Form.SHARDED else self.layer(layer)

    def shard(self, layer: LayerID) -> str:
        """In the sharded form, the directory that a layer's directory shares with others, and which is a catalog (spec F6, F7)."""
        return f"pool/{layer[:2]}"

    def layer_target(self, layer: LayerID) -> str | None:
        """The text of the symlink at `layer`, None where the directory itself is there."""
        return f"../{self.tree(layer)}" if self.form is Form.SHARDED else None

    def link(self, link: Link) -> str:
        """Where a link lies (spec O3)."""
        return f"{LINKS}/{link}"

    def link_target(self, layer: LayerID) -> str:
        """The text of a layer's link (spec O3)."""
        return f"../{layer}/diff"

    def tar_split(self, layer: LayerID) -> str:
        """Where a layer's tar-split lies (spec T1)."""
        return f"overlay-layers/{layer}{TAR_SPLIT}"

    def image(self, image: ImageID) -> str:
        """Where an image's big data lie."""
        return f"overlay-images/{image}"

    def big_data(self, image: ImageID, key: str) -> str:
        """Where one item of an image's big data lies (spec B1)."""
        return f"{self.image(image)}/{big_data_file(key)}"

    def catalogs(self, layers: Iterable[LayerID]) -> tuple[str, ...]:
        """The catalog markers that a store with these layers needs beside those in big layers (spec F7)."""
        if self.form is Form.DIRECT:
            return ()
        shards = sorted({self.shard(layer) for layer in layers})
        rooms = ("overlay", "overlay-images", "overlay-layers", *shards)
        return tuple(f"{room}/{CATALOG}" for room in rooms)


def view_at(name: str) -> str:
    """Where a view of a store lies (spec F12)."""
    return f"{VIEWS}/{name}"


def index_of(path: str) -> tuple[str, str]:
    """Split the path of an index into that of the view in which it is, with a slash at its end, and its own there.

    The first is empty for an index of the store itself; the second is empty where the path is that of no index.
    """
    own = next((index for index in (IMAGES_INDEX, LAYERS_INDEX) if path == index or path.endswith(f"/{index}")), "")
    return (path.removesuffix(own), own) if own else (path, "")


def big_data_file(key: str) -> str:
    """Return the file name of an item of big data (spec B1).

    A key of digits, small letters and dots is its own name, even with one other character at its very end: containers/storage
    stops looking there. All others are `=` and the key in base64, with the alphabet that has `/`.

    Raises:
        FormatError: the key would lead out of the image's directory.
    """
    name = key if _PLAIN_KEY.fullmatch(key) else "=" + base64.b64encode(key.encode()).decode()
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise FormatError("big data", f"expected a key that makes a file name, found {found(key)}")
    return name


def link_candidates(layer: LayerID) -> Iterable[Link]:
    """Return the links that a layer may have, best first: base32 of its ID, as short as stays unique (spec O2)."""
    text = base64.b32encode(bytes.fromhex(layer)).decode().rstrip("=")
    return (Link(text[:length]) for length in range(_LINK_LENGTH, _LONGEST_LINK + 1))


def parse_link(text: str, at: str = "") -> Link:
    """Read the content of a layer's `link` file, of any writer.

    Raises:
        FormatError: it cannot be a file name, or would not survive in a `lower` file.
    """
    if not _LINK.fullmatch(text) or text in (".", ".."):
        raise FormatError(at, f"expected a link, found {found(text)}")
    return Link(text)
