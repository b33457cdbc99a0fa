"""Images made ready for a store: each layer that the store lacks is read once and verified."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING

from attrs import frozen

from cstore.layer.below import NOTHING, Below, look
from cstore.layer.blob import BlobReader
from cstore.layer.scan import scan
from cstore.layer.tar import TarReader
from cstore.layer.tarsplit import SplitReader
from cstore.layer.tree import Tree
from cstore.progress import Progress, silent
from cstore.source.abreast import Work, abreast, usual_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    """Fetches the layers of images, each once however many images share it, several at the same time.

    Args:
        progress: is told of each blob that is read, one after the other.
        workers: how many layers are read at once; None takes what suits this machine.
    """

    def __init__(self, progress: Progress = silent, workers: int | None = None) -> None:
        self._progress = progress
        self._workers = usual_workers() if workers is None else workers
        self._scans: dict[LayerID, Scan] = {}
        self._scratches: list[IO[bytes]] = []
        """Files without a name that keep tar-splits, one for each worker."""
        self._idle: list[IO[bytes]] = []
        """Those of them into which nobody is writing."""
        self._tops: dict[LayerID, Entry | None] = {}
        self.layers: dict[LayerID, FetchedLayer] = {}

    def fetch(self, image: SourceImage, store: Store) -> None:
        """Fetch the layers of one image, as `fetch_all` does."""
        self.fetch_all([image], store)

    def fetch_all(self, images: Sequence[SourceImage], store: Store) -> None:
        """Fetch the layers of images that neither the store nor this fetcher has.

        All blobs are read and verified before it is looked up what the layers below of each say. Results and errors are those of reading
        one layer after the other, base first (decision 12); after an error nothing of the layers that failed is left.

        Raises:
            ContentError: a blob is not what manifest and config promise, is damaged, or holds what no tree can.
            SourceError: the source lacks a blob.
        """
        lacking: dict[LayerID, tuple[SourceImage, int]] = {}
        for image in images:
            for number, layer in enumerate(image.chain):
                if store.lacks(layer):
                    lacking.setdefault(layer, (image, number))
        self._scan_all([place for layer, place in lacking.items() if layer not in self._scans])
        for layer, (image, number) in lacking.items():
            if layer not in self.layers:
                self.layers[layer] = self._fetch(image, number, store)

    def close(self) -> None:
        """Let go of the temporary files that keep what was read of layers; a delta with them can no longer be applied."""
        for found in self._scans.values():
            found.tar_split.close()
        for scratch in self._scratches:
            scratch.close()

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
                open=lambda: _reader(image, number, reads_ahead=True),
            ),
        )

    def _scan(self, image: SourceImage, number: int) -> Scan:
        self._scan_all([(image, number)] if image.chain[number] not in self._scans else [])
        return self._scans[image.chain[number]]

    def _scan_all(self, places: Sequence[tuple[SourceImage, int]]) -> None:
        works = []
        for image, number in places:
            descriptor = image.manifest.layers[number]
            works.append(Work("verifying", str(descriptor.digest), descriptor.size, partial(self._read, image, number)))
        scans = abreast(works, min(self._workers, len(works)), self._progress)
        self._scans.update((image.chain[number], found) for (image, number), found in zip(places, scans, strict=True))

    def _read(self, image: SourceImage, number: int, advance: Callable[[int], object]) -> Scan:
        """Read and verify a layer; this is done for several at once."""
        reader = _reader(image, number, advance)
        try:
            with self._scratch() as scratch:
                return scan(reader, _place(image, number), scratch)
        finally:
            reader.close()

    @contextmanager
    def _scratch(self) -> Iterator[IO[bytes]]:
        """Lend a file to write into; there is one for each who writes at the same time."""
        try:
            scratch = self._idle.pop()
        except IndexError:
            scratch = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
            self._scratches.append(scratch)
        try:
            yield scratch
        finally:
            self._idle.append(scratch)

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


def _reader(
    image: SourceImage, number: int, advance: Callable[[int], object] = lambda _size: None, *, reads_ahead: bool = False
) -> BlobReader:
    descriptor = image.manifest.layers[number]
    return BlobReader(
        image.open_blob(descriptor, lambda: advance(0)), descriptor, image.config.diff_ids[number], advance, reads_ahead=reads_ahead
    )


def _place(image: SourceImage, number: int) -> str:
    return f"{image.at}: layers[{number}]"
