"""Layers as they are merged: just fetched, or as they lie in a store."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from attrs import define, evolve, frozen

from cstore.errors import ContentError, FormatError
from cstore.files import READ
from cstore.layer.below import NOTHING
from cstore.layer.entry import Entry, Kind, shown
from cstore.layer.merging import Part
from cstore.layer.names import is_reserved
from cstore.layer.shape import Shape, ShapeBuilder
from cstore.layer.tar import TarReader
from cstore.layer.tarsplit import SplitReading
from cstore.layer.tree import Tree
from cstore.mend.laid import LaidTree
from cstore.origin import room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.layer.merging import Stream
    from cstore.model.chain import LayerID
    from cstore.source.fetch import FetchedLayer
    from cstore.store import Store

__all__ = ["fetched_part", "stored_part"]

_CHUNK = 1 << 18
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def fetched_part(layer: FetchedLayer) -> Part:
    """Return a layer whose blob is at hand: its headers are read from the tar-split, its contents from the blob."""

    def headers() -> Iterator[Entry]:
        tree = evolve(layer.tree, below=NOTHING, open=lambda: SplitReading(layer.scan.open_tar_split(), layer.tree.at))
        return (entry for entry, _ in tree.walk())

    return Part.of(layer.id, layer.scan.shape, headers, layer.tree.walk)


def stored_part(store: Store, layer: LayerID) -> Part:
    """Return a layer of a store: contents are read from its `diff`, and all else from its tar-split.

    A client of CernVM-FS may show the files as its own user's. Where there is no tar-split, or one of a tar that cstore would not add,
    all is read from `diff`.
    """
    place = f"{store.layout.tree(layer)}/diff"
    at = str(store.root / place)
    shape = _shape(store, layer, at)
    if shape is None:
        laid = LaidTree(at=at, open=lambda: _opened(store, place))
        return Part(id=layer, headers=lambda: (entry for entry, _ in laid.walk()), walk=laid.walk)
    stored = _Stored(store, layer, place, at, shape)
    return Part.of(layer, shape, lambda: (entry for entry, _ in stored.entries()), stored.walk)


def _shape(store: Store, layer: LayerID, at: str) -> Shape | None:
    split = store.tar_split(layer)
    if split is None:
        return None
    with split:
        builder = ShapeBuilder(at)
        try:
            for entry in TarReader(SplitReading(split, at), at):
                builder.add(entry)
        except (ContentError, FormatError):
            return None
        return builder.finish()


@frozen
class _Stored:
    """A layer of a store with its tar-split."""

    _store: Store
    _layer: LayerID
    _place: str
    _at: str
    _shape: Shape

    def entries(self) -> Stream:
        """Yield the entries as the tar-split has them, with what it holds of their contents; files are not sparse in a store."""
        split = self._store.tar_split(self._layer)
        if split is None:
            raise ContentError(f"{self._at}: expected the tar-split of a layer, found none any more")
        with split:
            yield from self._read(split)

    def _read(self, split: IO[bytes]) -> Stream:
        tree = Tree(at=self._at, shape=self._shape, below=NOTHING, open=lambda: SplitReading(split, self._at))
        for entry, content in tree.walk():
            yield entry if entry.pieces is None else evolve(entry, pieces=None), content

    def walk(self) -> Stream:
        """Yield the entries with their contents."""
        with _files(_opened(self._store, self._place), self._at) as files:
            for entry, kept in self.entries():
                yield entry, files.content(entry, kept) if entry.kind is Kind.FILE else kept


def _opened(store: Store, place: str) -> int:
    """Return a descriptor of a layer's `diff`, to which symlinks lead only within its repository; the caller closes it."""
    with room(store.root, place) as found:
        if found is None:
            raise ContentError(f"{store.root / place}: expected a layer's tree, found none that can be read")
        return os.dup(found.file)


@contextmanager
def _files(top: int, at: str) -> Iterator[_Files]:
    files = _Files(at, top, top, b"")
    try:
        yield files
    finally:
        files.leave()
        os.close(top)


@define
class _Files:
    """The files below a directory, found by their paths and through no symlink; most are beside the one before."""

    _at: str
    _top: int
    _here: int
    """The directory of the last file."""
    _path: bytes
    """Its path."""

    def content(self, entry: Entry, kept: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the content of a file; one that CernVM-FS would take for its own may be in the tar-split only (spec T5)."""
        try:
            file = self._open(entry.path)
        except FileNotFoundError:
            if not is_reserved(entry.path):
                raise self._refused(entry, "nothing") from None
            yield from kept
            return
        except OSError as error:
            raise self._refused(entry, f"none that can be read ({error.strerror})") from None
        try:
            yield from self._read(file, entry)
        finally:
            os.close(file)

    def _read(self, file: int, entry: Entry) -> Iterator[bytes]:
        told = os.fstat(file)
        if not stat.S_ISREG(told.st_mode) or told.st_size != entry.size:
            raise self._refused(entry, f"{told.st_size} bytes" if stat.S_ISREG(told.st_mode) else "something else")
        left = entry.size
        while left:
            try:
                chunk = os.read(file, min(_CHUNK, left))
            except OSError as error:
                raise self._refused(entry, f"none that can be read ({error.strerror})") from None
            if not chunk:
                raise self._refused(entry, "fewer")
            left -= len(chunk)
            yield chunk

    def _open(self, path: bytes) -> int:
        above, _, name = path.rpartition(b"/")
        if above != self._path:
            self.leave()
            for part in above.split(b"/") if above else ():
                inner = os.open(part, _DIRECTORY, dir_fd=self._here)
                self.leave()
                self._here = inner
            self._path = above
        return os.open(name, READ, dir_fd=self._here)

    def leave(self) -> None:
        """Go back to the top."""
        if self._here != self._top:
            os.close(self._here)
        self._here, self._path = self._top, b""

    def _refused(self, entry: Entry, found: str) -> ContentError:
        return ContentError(f"{self._at}: expected a file of {entry.size} bytes at {shown(entry.path)}, found {found}")
