"""A hub as it is: what its names lead to, and what lies beside its stores."""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.errors import FormatError, StoreError
from cstore.files import UnreadableError
from cstore.hub.about import HubAbout
from cstore.hub.layout import ABOUT, DIFF_ID, FLAT, INDEX, LAYERFS, LAYERS, MANIFEST, METADATA, NOTES, OTHERS, STATUS, STORE, layerfs_at
from cstore.index.gojson import decode
from cstore.model.chain import ImageID, parse_image_id
from cstore.model.digest import Digest
from cstore.model.layout import ABOUT as ABOUT_STORE
from cstore.model.manifest import LARGEST_DOCUMENT
from cstore.origin import read, room

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from cstore.files import Directory

__all__ = ["Description", "HubReading", "is_name"]

_LARGEST_ABOUT = 64 << 20
_DEEPEST = 24
"""Directories of a name, of which a registry allows 255 characters."""
_DIGEST = re.compile(r"sha\d{3}:([0-9a-f]{64,128})")
_REGISTRY = re.compile(r"localhost|[^.].*[.:].*")
"""Whatever else stands before the first slash of a name is none (spec U3)."""
_TREE = re.compile(rf"(?:{re.escape(FLAT)}|{re.escape(LAYERS)})/[0-9a-f]{{2}}/[0-9a-f]{{64,128}}")
_DIFF = ("diff",)
_FLAT = re.compile(rf"{re.escape(FLAT)}/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})")


@frozen
class Description:
    """What is told of an image under a public name."""

    digest: Digest
    """Under which a registry had it: that of the image index through which it was found, if one is there that lists its manifest, or else
    the manifest's."""
    manifest: bytes = field(repr=False)


class HubReading:
    """What is in a hub; each question is answered by what is there now.

    No symlink is followed out of the repository, only regular files are read, and none without end (spec P26).

    Args:
        root: the hub's directory; there may be nothing in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def about(self) -> HubAbout:
        """Return what the hub says of itself.

        Raises:
            FormatError: that is damaged.
            StoreError: it cannot be read.
        """
        data = self._read(ABOUT, _LARGEST_ABOUT)
        at = f"{self.root}/{ABOUT}"
        return HubAbout() if data is None else HubAbout.from_dict(decode(data, at), at)

    def found(self, path: str) -> str:
        """Return what is at a path, as in `a directory` or `nothing`."""
        above, _, name = path.rpartition("/")
        with room(self.root, above) as here:
            return here.found(name) if here is not None else "nothing"

    def target(self, path: str) -> str | None:
        """Return the text of a symlink; None where there is none."""
        above, _, name = path.rpartition("/")
        with room(self.root, above) as here:
            return here.target(name) if here is not None else None

    def flat_of(self, path: str) -> ImageID | None:
        """Return the image to whose flat tree the symlink at a path leads; None where it leads elsewhere, or there is none."""
        target = self.target(path)
        return _flat_image(path, target) if target is not None else None

    def description(self, metadata: str) -> Description | None:
        """Return what a directory of metadata tells of an image; None where it has no manifest, or what it has cannot be read."""
        with room(self.root, metadata) as here:
            try:
                manifest, index = _content(here, MANIFEST), _content(here, INDEX)
            except UnreadableError:
                return None
            if manifest is None:
                return None
        own = Digest.of(manifest)
        return Description(Digest.of(index) if index is not None and str(own).encode() in index else own, manifest)

    def holds(self, path: str, data: bytes) -> bool:
        """Whether just these bytes are in the file at a path."""
        try:
            return self._read(path, max(len(data), 1)) == data
        except StoreError:
            return False

    def has_layer(self, digest: Digest) -> bool:
        """Whether the snapshotter finds a tree for a layer: a directory, or a symlink that leads to one of the repository."""
        with room(self.root, layerfs_at(digest)) as here:
            return here is not None

    def layer_links(self) -> Iterator[tuple[Digest, str]]:
        """Yield the layers whose tree is a symlink, by the digests of their blobs, each with the path in the hub to which that leads."""
        for digest, layer in self._layers((LAYERFS,)):
            target = layer.target(LAYERFS)
            if target is not None:
                yield digest, posixpath.normpath(posixpath.join(posixpath.dirname(layerfs_at(digest)), target))

    def noted_layers(self) -> Iterator[Digest]:
        """Yield the layers, by the digests of their blobs, that have a tree of their own, beside which cstore or the converter noted it."""
        for digest, layer in self._layers((NOTES, DIFF_ID)):
            is_noted = layer.found(NOTES) == "a directory" or layer.found(DIFF_ID) == "a file"
            if is_noted and layer.found(LAYERFS) == "a directory":
                yield digest

    def _layers(self, having: Sequence[str]) -> Iterator[tuple[Digest, Directory]]:
        """Yield the directories of all layers in which something has one of these names, each open until the next is asked for."""
        with room(self.root, "") as top:
            for name, here in _trees(top, LAYERS) if top is not None else ():
                # To open each of many directories, of which few have it, would take several times as long.
                digest = _blob(name) if any(here.status(f"{name}/{one}") is not None for one in having) else None
                if digest is not None:
                    with here.opened(name) as layer:
                        if layer is not None:
                            yield digest, layer

    def flats(self) -> list[ImageID]:
        """Return the images of which there is a flat tree."""
        with room(self.root, "") as top:
            found = _trees(top, FLAT) if top is not None else ()
            return [ImageID(name) for name, _ in found if _FLAT.fullmatch(f"{FLAT}/{name[:2]}/{name}")]

    def names(self) -> dict[str, ImageID]:
        """Return the paths of all public names that lead to a flat tree, each with its image."""
        found: dict[str, ImageID] = {}
        with room(self.root, "") as top:
            for name, is_directory in top.entries().items() if top is not None else ():
                if top is not None and is_directory and (name == OTHERS or _may_be_registry(name)):
                    with top.opened(name) as below:
                        for path, target in _symlinks(below, name) if below is not None else ():
                            image = _flat_image(path, target)
                            if image is not None and is_name(path):
                                found[path] = image
        return found

    def led_to(self) -> frozenset[str]:
        """Return the paths of all flat trees, and directories of layers, to which any symlink leads that is not the hub's own.

        That is of somebody's own, or of a store of any writer under any name; what a symlink leads to counts by its text. It takes a
        walk through all that is beside the hub's own directories, but for trees of layers.
        """
        found: set[str] = set()
        with room(self.root, "") as top:
            for _, target in _symlinks(top, "", but=(FLAT, LAYERS, METADATA)) if top is not None else ():
                found.update(match[0] for match in _TREE.finditer(target))
        return frozenset(found)

    def described(self) -> list[str]:
        """Return the paths of all public names of which there are metadata."""
        with room(self.root, METADATA) as top:
            places = _directories(top, METADATA) if top is not None else ()
            found = [path.removeprefix(f"{METADATA}/") for path, here in places if here.found(MANIFEST) == "a file"]
        return [path for path in found if is_name(path)]

    def named_blobs(self) -> frozenset[str] | None:
        """Return the digests, in hexadecimal, that manifests of metadata name, whoever wrote them; None where one cannot be read."""
        named: set[str] = set()
        with room(self.root, METADATA) as top:
            for path, here in _directories(top, METADATA) if top is not None else ():
                try:
                    data = _content(here, MANIFEST)
                    if data is not None:
                        decode(data, f"{path}/{MANIFEST}")
                except (UnreadableError, FormatError):
                    return None
                named.update(_DIGEST.findall((data or b"").decode()))
        return frozenset(named)

    def stores(self) -> list[str]:
        """Return the paths of the podman stores that cstore has made, of all platforms."""
        return [path for path in self._all_stores() if self.is_own_store(path)]

    def other_stores(self) -> list[str]:
        """Return the paths of the podman stores that others have made."""
        return [path for path in self._all_stores() if not self.is_own_store(path)]

    def is_own_store(self, path: str) -> bool:
        """Whether cstore has made the store at a path: others write no cstore.json."""
        return self.found(f"{path}/{ABOUT_STORE}") == "a file"

    def _all_stores(self) -> list[str]:
        with room(self.root, "") as top:
            found = top.entries() if top is not None else {}
        return [name for name, is_directory in found.items() if is_directory and (name == STORE or name.startswith(f"{STORE}."))]

    def _read(self, path: str, most: int) -> bytes | None:
        try:
            return read(self.root, path, most)
        except UnreadableError as error:
            raise self._unreadable(path, error) from None

    def _unreadable(self, path: str, error: UnreadableError) -> FormatError:
        return FormatError(f"{self.root}/{path}", f"expected a readable file, found {error}")


def _content(here: Directory | None, name: str) -> bytes | None:
    """Return the content of a document in a directory; None where there is none."""
    return here.read(name, LARGEST_DOCUMENT) if here is not None and here.status(name) is not None else None


def is_name(path: str) -> bool:
    """Whether a path is one that a public name has: of a registry, a repository and a tag, and none of the hub's own."""
    if path.startswith(f"{OTHERS}/"):
        path = path.split("/", 2)[-1]
    first, _, rest = path.partition("/")
    return path.isascii() and ":" in rest.rpartition("/")[2] and _may_be_registry(first)


def _may_be_registry(name: str) -> bool:
    return bool(_REGISTRY.fullmatch(name)) and not name.startswith(STORE) and name != STATUS


def _flat_image(path: str, target: str) -> ImageID | None:
    found = _FLAT.fullmatch(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)))
    return parse_image_id(found[2]) if found else None


def _blob(name: str) -> Digest | None:
    """Return the digest of a blob by the name of its directory, which does not tell the algorithm; None where it is none."""
    found = (f"{algorithm}:{name}" for algorithm in ("sha256", "sha384", "sha512"))
    for text in found:
        with suppress(FormatError):
            return Digest.parse(text)
    return None


def _trees(top: Directory, first: str) -> Iterator[tuple[str, Directory]]:
    """Yield the directories in shards, each with its shard, which is open until the next is asked for."""
    with top.along(first) as rooms:
        for shard, is_directory in rooms.entries().items() if rooms is not None else ():
            with top.along(f"{first}/{shard}") as here:
                if is_directory and here is not None:
                    yield from ((name, here) for name, is_tree in here.entries().items() if is_tree)


def _directories(top: Directory, path: str, but: Collection[str] = ()) -> Iterator[tuple[str, Directory]]:
    """Yield a directory and all below it, of those that a name can have, with their paths; each is open until the next is asked for.

    Args:
        top: the directory.
        path: of it.
        but: names in it of directories that are left out; with any, trees of layers are too, wherever they are.
    """
    yield path, top
    if path.count("/") < _DEEPEST:
        for name, is_directory in top.entries().items():
            if is_directory and name not in but:
                with top.opened(name) as here:
                    if here is not None:
                        yield from _directories(here, f"{path}/{name}", _DIFF if but else ())


def _symlinks(top: Directory, first: str, but: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    for path, here in _directories(top, first, but):
        for name, is_directory in here.entries().items():
            target = None if is_directory else here.target(name)
            if target is not None:
                yield f"{path}/{name}", target
