"""Where everything in a hub lies: the one place that knows its paths (spec H1 to H5).

All paths are relative to the hub, with `/` between their parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.model.layout import CATALOG
from cstore.model.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cstore.model.chain import ImageID, LayerID
    from cstore.model.digest import Digest
    from cstore.model.remote import RemoteName
    from cstore.store import Store

__all__ = [
    "HubLayout",
    "called",
    "catalogs",
    "cover_at",
    "diff_in",
    "flat_at",
    "is_own",
    "layer_at",
    "layerfs_at",
    "own_name",
    "target_from",
]

STORE = "podmanStore"
"""The store of images for the usual platform."""
LAYERS = ".layers"
FLAT = ".flat"
METADATA = ".metadata"
OTHERS = ".multiarch"
"""Below it, and below that of the metadata, are names of images for other platforms."""
ABOUT = ".metadata/cstore.json"
"""What a hub says of itself to cstore."""
STATUS = "status.json"
"""What was known when the newest revision was made, for whoever wants to know when an image appears."""
LAYERFS = "layerfs"
COVER = "cover-"
"""How the name of a layer's tree begins that covers several chains."""
NOTES = ".metadata"
"""The directory beside a layer's tree in which the present converter notes what it ingested."""
DIFF_ID = "diff-id"
"""The file beside the tree of a layer that is in no store in which cstore notes its diff ID."""
MANIFEST = "manifest.json"
INDEX = "index.json"
"""The image index through which the manifest was found."""
_USUAL_VARIANTS = ("v7", "v8")
"""Those that machines of some architecture have, so that paths leave them out."""
USUAL = Platform("linux", "amd64")
"""The platform whose images are in the store without a suffix, and have their names at the top."""


class HubLayout:
    """The paths of names and stores for one platform.

    Args:
        platform: for which the images are.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._word = "" if USUAL.rank(platform) == 0 else _word(platform)

    @property
    def store(self) -> str:
        """Where the podman store of the platform is."""
        return f"{STORE}.{self._word.replace(':', '.')}" if self._word else STORE

    def name(self, name: RemoteName) -> str:
        """Where the public name of an image is: a symlink to its flat tree."""
        return f"{OTHERS}/{self._word}/{name.public}" if self._word else name.public

    def metadata(self, name: RemoteName) -> str:
        """Where the metadata of a public name are, a directory."""
        return f"{METADATA}/{self.name(name)}"

    def other_names(self, name: RemoteName) -> tuple[str, ...]:
        """Where the present converter has the same name besides: it has one for each platform, and writes usual variants (spec H16)."""
        words = (self._platform.architecture, *(f"{self._platform.architecture}:{variant}" for variant in _USUAL_VARIANTS))
        paths = (f"{OTHERS}/{word}/{name.public}" for word in words)
        own = self.name(name)
        return tuple(path for path in paths if path != own and own_name(path) == own)


def own_name(path: str) -> str:
    """Return where a public name is that the present converter may have elsewhere (spec H16)."""
    if not path.startswith(f"{OTHERS}/"):
        return path
    word, _, name = path.removeprefix(f"{OTHERS}/").partition("/")
    architecture, _, variant = word.partition(":")
    if "-" in architecture:
        return path
    platform = Platform(USUAL.os, architecture, variant)
    return name if USUAL.rank(platform) == 0 else f"{OTHERS}/{_word(platform)}/{name}"


def is_own(name: RemoteName) -> bool:
    """Whether the public name of an image would lie where a hub keeps something of its own."""
    return name.registry == STATUS or name.registry.startswith(STORE)


def layer_at(digest: Digest) -> str:
    """Where a layer is, by the digest of its blob, as the containerd snapshotter looks for it."""
    return f"{LAYERS}/{digest.hex[:2]}/{digest.hex}"


def layerfs_at(digest: Digest) -> str:
    """Where the tree of a layer is, or a symlink to it."""
    return f"{layer_at(digest)}/{LAYERFS}"


def cover_at(digest: Digest, name: str) -> str:
    """Where a tree of a layer is that covers several chains (spec H9)."""
    return f"{layer_at(digest)}/{COVER}{name}"


def flat_at(image: ImageID) -> str:
    """Where the flat tree of an image is."""
    return f"{FLAT}/{image[:2]}/{image}"


def diff_in(store: Store, path: str, layer: LayerID) -> str:
    """Where the tree of a layer is that is in a store, given the path of that."""
    return f"{path}/{store.layout.tree(layer)}/diff"


def target_from(path: str, to: str) -> str:
    """Return the text of a relative symlink at one path that leads to another."""
    return "../" * path.count("/") + to


def catalogs(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the markers that make catalogs of the directories for layers, flat trees and metadata, where these paths are in them."""
    found: set[str] = set()
    for path in paths:
        first, _, rest = path.partition("/")
        if first in (LAYERS, FLAT):
            found.update((f"{first}/{CATALOG}", f"{first}/{rest[:2]}/{CATALOG}"))
        elif first == METADATA:
            found.add(f"{first}/{CATALOG}")
    return tuple(sorted(found))


def called(word: str) -> str:
    """Return the platform that paths call so: OS/ARCH or OS/ARCH/VARIANT; a variant follows a colon in names, and a dot in stores."""
    system, dash, machine = word.rpartition("-")
    architecture, _, variant = (machine or USUAL.architecture).replace(".", ":").partition(":")
    return "/".join(filter(None, (system if dash else USUAL.os, architecture, variant)))


def _word(platform: Platform) -> str:
    """Return what paths call a platform: its architecture, with a variant that is not the usual one."""
    plain = Platform(platform.os, platform.architecture)
    variant = "" if plain.rank(platform) == 0 else f":{platform.variant}"
    return ("" if platform.os == USUAL.os else f"{platform.os}-") + platform.architecture + variant
