"""Images made ready for a store: each layer that the store lacks is read once and verified."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

from attrs import frozen

from cstore.layer.below import NOTHING, Below, look
from cstore.layer.blob import BlobReader
from cstore.layer.scan import scan
from cstore.layer.tar import TarReader
from cstore.layer.tarsplit import SplitReader
from cstore.layer.tree import Tree
from cstore.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cstore.layer.entry import Entry
    from cstore.layer.scan import Scan
    from cstore.layer.shape import Shape
    from cstore.model.chain import LayerID
    from cstore.model.digest import Digest
    from cstore.model.manifest import Descriptor
    from cstore.source.image import SourceImage
    from cstore.store import Store

__all__ = ["FetchedLayer", "Fetcher"]


@frozen(kw_only=True)
class FetchedLayer:
    """A layer that was read from its blob and verified."""

    id: LayerID
    parent: LayerID | None
    diff_id: Digest
    descriptor: Descriptor
    scan: Scan
    tree: Tree


class Fetcher:
    """Fetches the layers of images, each once however many images share it.

    Args:
        progress: is told of each blob that is read.
    """

    def __init__(self, progress: Progress = silent) -> None:
        self._progress = progress
        self._scans: dict[LayerID, Scan] = {}
        self._scratch: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._tops: dict[LayerID, Entry | None] = {}
        self.layers: dict[LayerID, FetchedLayer] = {}

    def fetch(self, image: SourceImage, store: Store) -> None:
        """Fetch the layers of an image that neither the store nor this fetcher has, base first.

        Raises:
            ContentError: a blob is not what manifest and config promise, is damaged, or holds what no tree can.
            SourceError: the source lacks a blob.
        """
        for number, layer in enumerate(image.chain):
            if store.lacks(layer) and layer not in self.layers:
                self.layers[layer] = self._fetch(image, number, store)

    def close(self) -> None:
        """Let go of the temporary file that keeps what was read of layers; a delta with them can no longer be applied."""
        for found in self._scans.values():
            found.tar_split.close()
        self._scratch.close()

    def _fetch(self, image: SourceImage, number: int, store: Store) -> FetchedLayer:
        layer = image.chain[number]
        found = self._scan(image, number)
        return FetchedLayer(
            id=layer,
            parent=image.chain[number - 1] if number else None,
            diff_id=image.config.diff_ids[number],
            descriptor=image.manifest.layers[number],
            scan=found,
            tree=Tree(
                at=_place(image, number),
                shape=found.shape,
                below=self._below(image, number, found.shape, store),
                open=lambda: _reader(image, number),
            ),
        )

    def _scan(self, image: SourceImage, number: int) -> Scan:
        layer = image.chain[number]
        if layer not in self._scans:
            descriptor = image.manifest.layers[number]
            advance = self._progress("verifying", str(descriptor.digest), descriptor.size)
            reader = _reader(image, number, advance)
            try:
                self._scans[layer] = scan(reader, _place(image, number), self._scratch)
            finally:
                reader.close()
        return self._scans[layer]

    def _below(self, image: SourceImage, number: int, shape: Shape, store: Store) -> Below:
        if not number or not (shape.inherited or shape.opaque):
            return NOTHING
        if shape.inherited == {b""} and not shape.opaque:
            top = self._top(image, number - 1, store)
            return NOTHING if top is None else Below({b"": top}, {})
        layers = (self._entries(image, below, store) for below in range(number - 1, -1, -1))
        return look(layers, shape.inherited, shape.opaque)

    def _top(self, image: SourceImage, number: int, store: Store) -> Entry | None:
        """Return the top directory as a layer and those below it show it: what most layers ask for, so that it is remembered."""
        chain = image.chain
        top, lowest = None, number
        for lowest in range(number, -1, -1):
            layer = chain[lowest]
            if layer in self._tops:
                top = self._tops[layer]
            elif layer in self._scans:
                top = self._scans[layer].shape.early.get(b"")
            else:
                top = look([self._entries(image, lowest, store)], [b""], []).directories.get(b"")
            if top is not None or layer in self._tops:
                break
        self._tops.update((layer, top) for layer in chain[lowest : number + 1])
        return top

    def _entries(self, image: SourceImage, number: int, store: Store) -> Iterator[Entry]:
        """Yield the members of a layer below: from its tar-split, or else from its blob."""
        layer = image.chain[number]
        at = _place(image, number)
        kept = store.tar_split(layer) if layer not in self._scans else None
        if kept is not None:
            with kept:
                yield from TarReader(SplitReader(kept, f"{layer}.tar-split.gz"), at)
            return
        made = self._scan(image, number).open_tar_split()
        yield from TarReader(SplitReader(made, f"{at}: tar-split"), at)


def _reader(image: SourceImage, number: int, advance: Callable[[int], object] = lambda _size: None) -> BlobReader:
    descriptor = image.manifest.layers[number]
    return BlobReader(image.open_blob(descriptor), descriptor, image.config.diff_ids[number], advance)


def _place(image: SourceImage, number: int) -> str:
    return f"{image.at}: layers[{number}]"
