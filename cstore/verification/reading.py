"""Reading a store that may be anything: its indexes, locks and cstore.json, and what is wrong with them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from cstore.errors import FormatError, StoreError
from cstore.files import Directory, UnreadableError, locked
from cstore.index.gojson import decode
from cstore.model.about import About
from cstore.model.layout import ABOUT, IMAGES_INDEX, LAYERS_INDEX
from cstore.origin import Origin
from cstore.verification import indexes
from cstore.verification.records import Image, Layer, Wrong, read_images, read_layers
from cstore.verification.rules import problem
from cstore.verification.survey import Survey

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.verification.problem import Problem

__all__ = ["IndexFile", "Reading", "read_store"]

_LARGEST_ABOUT = 64 << 20
_ROOMS = {"layers": "overlay-layers", "images": "overlay-images"}


@frozen
class IndexFile:
    """An index as it is."""

    data: bytes = field(repr=False)
    values: list[object] = field(repr=False)
    """Its records as JSON has them; none where it cannot be read."""


@frozen(kw_only=True)
class Reading:
    """One reading of a store."""

    survey: Survey
    origin: Origin
    """The repository that holds it."""
    files: dict[str, IndexFile]
    """The indexes, as `layers` and `images`."""
    images: list[Image]
    """All records that readers can decode, also two of one ID."""
    layers: list[Layer]
    containers: frozenset[str]
    """The layers of containers, where podman keeps some in this store: they are not the store's."""
    problems: list[Problem]
    """What is wrong with the indexes, their locks and cstore.json, as files."""


def read_store(root: Path, readers_root: str, opened: ExitStack, held: ExitStack | None = None) -> Reading:
    """Read a store, its two indexes at one moment.

    Args:
        root: its directory.
        readers_root: the absolute path by which readers mount it.
        opened: closes what stays open for further looks.
        held: keeps podman's locks for reading, until it is closed; without it they are held for the indexes only.

    Raises:
        StoreError: there is no store, or its directory cannot be read.
    """
    origin = Origin.of(root, readers_root)
    try:
        top = Directory.at(root, lambda path, target: origin.open(origin.inside(path), target))
    except OSError as error:
        raise StoreError(f"{root}: expected an image store, found: {error.strerror}") from None
    opened.callback(top.close)
    if all(top.found(room) not in ("a directory", "a symlink") for room in _ROOMS.values()):
        raise StoreError(f"{root}: expected an image store, found a directory without overlay-images and overlay-layers")
    return _Reader(top, origin, opened, held).read(root, readers_root)


@define
class _Reader:
    _top: Directory
    _origin: Origin
    _opened: ExitStack
    _held: ExitStack | None
    _problems: list[Problem] = field(factory=list)

    def read(self, root: Path, readers_root: str) -> Reading:
        rooms = {name: self._opened.enter_context(self._top.opened(path)) for name, path in _ROOMS.items()}
        files = self._indexes(rooms)
        read_layer, read_image = [*read_layers(files["layers"].values)], [*read_images(files["images"].values)]
        for index, items in ((LAYERS_INDEX, read_layer), (IMAGES_INDEX, read_image)):
            self._problems += [indexes.wrong(item, index) for item in items if isinstance(item, Wrong)]
        images = [item for item in read_image if isinstance(item, Image)]
        layers = [item for item in read_layer if isinstance(item, Layer)]
        survey = Survey(
            top=self._top,
            root=root,
            readers_root=readers_root,
            about=self._about(),
            images={item.id: item for item in images},
            layers={item.id: item for item in layers},
        )
        self._see_locks(rooms, files, survey)
        return Reading(
            survey=survey,
            origin=self._origin,
            files=files,
            images=images,
            layers=layers,
            containers=self._containers(),
            problems=self._problems,
        )

    def _containers(self) -> frozenset[str]:
        with self._top.opened("overlay-containers") as room:
            values: list[object] = []
            for name in ("containers.json", "volatile-containers.json") if room is not None else ():
                values += indexes.values_of(room, name, [])[1] if room is not None else []
        found = (value.get("layer") for value in values if isinstance(value, dict))
        return frozenset(layer for layer in found if isinstance(layer, str))

    def _indexes(self, rooms: dict[str, Directory | None]) -> dict[str, IndexFile]:
        with ExitStack() as locks:
            for name, room in rooms.items():
                if room is not None:
                    (self._held or locks).enter_context(locked(room, f"{name}.lock"))
            return {
                name: IndexFile(*(indexes.values_of(room, f"{name}.json", self._problems) if room is not None else (b"", [])))
                for name, room in rooms.items()
            }

    def _see_locks(self, rooms: dict[str, Directory | None], files: dict[str, IndexFile], survey: Survey) -> None:
        survey.access.see(self._top)
        for name, room in rooms.items():
            if room is None:
                lock = f"{_ROOMS[name]}/{name}.lock"
                is_there = self._top.found(_ROOMS[name]) == "a directory"
                found = f"a directory {_ROOMS[name]} that cannot be opened" if is_there else f"no directory {_ROOMS[name]}"
                self._problems.append(problem("V5", lock, lock, f"expected a lock file, found {found}"))
                continue
            self._problems += indexes.check_lock(room, f"{name}.lock", files[name].data)
            for file in ("", f"{name}.json", f"{name}.lock"):
                survey.access.see(room, file)

    def _about(self) -> About | None:
        if self._top.found(ABOUT) == "nothing":
            return None
        try:
            return About.from_dict(decode(self._top.read(ABOUT, _LARGEST_ABOUT), ABOUT))
        except UnreadableError as error:
            self._problems.append(problem("V88", ABOUT, ABOUT, f"expected a file, found {error}"))
        except FormatError as error:
            self._problems.append(problem("V88", ABOUT, ABOUT, str(error)))
        return None
