"""A delta: the ordered steps that change a store. It can be printed, counted, cut short and carried by any publisher."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Protocol

from attrs import evolve, field, frozen

from cstore.index.lock import hash_of
from cstore.model.layout import IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cstore.index.index import Index
    from cstore.layer.entry import Entry

__all__ = [
    "Delta",
    "Entries",
    "PutDirectory",
    "PutFile",
    "PutSymlink",
    "PutTree",
    "Remove",
    "ReplaceIndex",
    "Step",
    "file_of",
    "index_step",
]


class Entries(Protocol):
    """A tree as a stream of entries, to be walked as often as wanted."""

    @property
    def whiteouts(self) -> int:
        """How many whiteouts it has that a publisher has to look for."""
        ...

    def walk(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield each entry with the bytes of its content, the top directory first, in an order in which they can be written."""
        ...


@frozen(kw_only=True)
class PutTree:
    """Put a directory with a tree, such as a layer's, which nothing names yet; it appears as a whole."""

    path: str
    tree: Entries
    """What goes into `inside`."""
    files: Mapping[str, bytes]
    """Small files in the directory, beside `inside`; the tree has none of these names where `inside` is empty."""
    directories: tuple[str, ...]
    """Empty directories there, likewise."""
    entries: int
    size: int
    """Bytes of content."""
    holes: int = 0
    """Bytes of holes in sparse files, which take no place on a disk but do in a stream."""
    special: int = 0
    """How many of the entries are whiteouts, devices and fifos."""
    xattrs: int = 0
    """How many extended attributes the entries have."""
    longest_xattr: int = 0
    """Bytes of the longest of them."""
    reserved: tuple[str, ...] = ()
    """Names that CernVM-FS would take for its own."""
    leads_to: str = ""
    """Where `inside`, which has a name then, leads as a symlink; empty where it is a directory with the tree in it."""
    inside: str = "diff"
    """The name in the directory of what gets the tree; empty where the directory itself does, with the mode and owner of its top."""

    @property
    def top(self) -> str:
        """The path of the tree's top directory."""
        return f"{self.path}/{self.inside}" if self.inside else self.path


@frozen(kw_only=True)
class PutDirectory:
    """Put an empty directory where nothing is."""

    path: str

    @property
    def size(self) -> int:
        """No bytes are written."""
        return 0


@frozen(kw_only=True)
class PutFile:
    """Put a file; one that is there is replaced as a whole."""

    path: str
    size: int
    """Its bytes."""
    open: Callable[[], IO[bytes]] = field(repr=False, eq=False)


@frozen(kw_only=True)
class PutSymlink:
    """Put a symlink that nothing names yet."""

    path: str
    target: str

    @property
    def size(self) -> int:
        """Bytes of its text."""
        return len(self.target)


@frozen(kw_only=True)
class ReplaceIndex:
    """Replace an index as a whole, and then the bytes of its lock, while podman's locks are held."""

    path: str
    lock_path: str
    data: bytes = field(repr=False)
    lock: bytes = field(repr=False)
    first: bytes = field(init=False, repr=False, eq=False)
    """Of the index: the first half of what announces it."""

    @first.default
    def _first(self) -> bytes:
        return hash_of(self.data)

    @property
    def size(self) -> int:
        """Bytes of the index."""
        return len(self.data)


@frozen(kw_only=True)
class Remove:
    """Remove a file, a symlink or a directory with all in it, which no index names any more."""

    path: str

    @property
    def size(self) -> int:
        """No bytes are written."""
        return 0


Step = PutTree | PutDirectory | PutFile | PutSymlink | ReplaceIndex | Remove


@frozen
class Delta:
    """Ordered steps; after each of them the store is valid (spec P1)."""

    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @property
    def size(self) -> int:
        """Bytes that it writes."""
        return sum(step.size + _beside(step) for step in self.steps)

    @property
    def entries(self) -> int:
        """Files, directories and other entries that it writes."""
        return sum(step.entries if isinstance(step, PutTree) else not isinstance(step, Remove) for step in self.steps)

    @property
    def puts(self) -> Delta:
        """The steps that put something."""
        return Delta(tuple(step for step in self.steps if not isinstance(step, Remove)))

    @property
    def removals(self) -> Delta:
        """The steps that remove something."""
        return Delta(tuple(step for step in self.steps if isinstance(step, Remove)))

    def placed_in(self, directory: str) -> Delta:
        """Return the same steps as those of what holds the directory, to which the paths of this delta are relative."""
        return Delta(tuple(_moved(step, lambda path: f"{directory}/{path}") for step in self.steps))

    def part_in(self, directory: str) -> Delta:
        """Return the steps below a directory, with paths relative to it."""
        start = f"{directory}/"
        return Delta(tuple(_moved(step, lambda path: path.removeprefix(start)) for step in self.steps if step.path.startswith(start)))

    def part_outside(self, directories: Iterable[str]) -> Delta:
        """Return the steps that are below none of these directories."""
        starts = tuple(f"{directory}/" for directory in directories)
        return Delta(tuple(step for step in self.steps if not step.path.startswith(starts)))


def file_of(path: str, data: bytes) -> PutFile:
    """Return the step that puts a file with these bytes."""
    return PutFile(path=path, size=len(data), open=lambda: io.BytesIO(data))


def index_step(index: Index) -> ReplaceIndex:
    """Return the step that replaces an index of a store."""
    path, lock_path = (LAYERS_INDEX, LAYERS_LOCK) if index.name == "layers" else (IMAGES_INDEX, IMAGES_LOCK)
    return ReplaceIndex(path=path, lock_path=lock_path, data=index.data, lock=index.lock)


def _moved(step: Step, moved: Callable[[str], str]) -> Step:
    if isinstance(step, ReplaceIndex):
        return evolve(step, path=moved(step.path), lock_path=moved(step.lock_path))
    return evolve(step, path=moved(step.path))


def _beside(step: Step) -> int:
    return sum(map(len, step.files.values())) if isinstance(step, PutTree) else 0
