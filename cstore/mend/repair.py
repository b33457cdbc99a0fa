"""Repairing a store: the delta after which everything holds that follows from what the store still has.

Layer content is never touched. What cannot be mended stays as it is; `verify` says of it afterwards what it says now.
"""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from attrs import define, field

from cstore.delta import Delta, PutSymlink, Remove, ReplaceIndex, Step, file_of
from cstore.index.gojson import encode
from cstore.index.index import EMPTY, Index
from cstore.mend.complete import Completion
from cstore.mend.draft import Draft
from cstore.mend.duplicates import drop_duplicates
from cstore.mend.links import Links
from cstore.model.about import About
from cstore.model.chain import LayerID
from cstore.model.layout import ABOUT, IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK, Form, big_data_file
from cstore.verification.files import Directory, UnreadableError
from cstore.verification.images import item_files
from cstore.verification.origin import Origin
from cstore.verification.orphans import check_orphans
from cstore.verification.overlay import Overlay
from cstore.verification.reading import Reading, read_store
from cstore.verification.records import Image, Layer, read_images, read_layers
from cstore.verification.survey import Survey, is_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["MENDED", "plan_repair"]

_NUMBERS = (
    *(2, 3, 4, 5, 6, 11, 19, 20, 22, 38, 40, 41, 42, 44, 45, 52, 53, 54, 55, 56, 59),
    *(67, 74, 75, 77, 78, 81, 82, 83, 84, 85, 87, 88, 90),
)
MENDED = frozenset(f"V{number}" for number in _NUMBERS)
"""The rules of which repair mends what breaks them, as a rule."""

_SPLIT = ".tar-split.gz"
_LOCKS = {"layers": (LAYERS_INDEX, LAYERS_LOCK), "images": (IMAGES_INDEX, IMAGES_LOCK)}
_REWRITTEN = {"V5", "V74", "V75"}


def plan_repair(root: Path, readers_root: str, grace: dt.timedelta, today: dt.date) -> Delta:
    """Return the delta that mends what can be mended; an empty one if nothing can.

    Args:
        root: the store's directory.
        readers_root: the absolute path by which readers mount it.
        grace: how old what belongs to nothing must be to go, in whole days.
        today: the day to count from, and to note for layers that are retired.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    with ExitStack() as opened:
        return _Repair(read_store(root, readers_root, opened), opened, grace, today).plan()


@define
class _Repair:
    _reading: Reading
    _opened: ExitStack
    _grace: dt.timedelta
    _today: dt.date
    _origin: Origin = field(init=False)
    _was: Overlay = field(init=False)
    """The directories, as the records are now."""

    def __attrs_post_init__(self) -> None:
        survey = self._reading.survey
        self._origin = Origin.of(survey.root, survey.readers_root)
        self._was = self._overlay(survey)

    def plan(self) -> Delta:
        broken = {problem.path for problem in self._reading.problems if problem.code == "V1" and problem.path == problem.subject}
        drafts = {name: Draft.of(name, file) for name, file in self._reading.files.items()}
        if not broken:
            drop_duplicates(drafts["images"], drafts["layers"])
            completion = Completion(self._was.room("overlay-images"), self._origin, self._open_split)
            completion.complete(drafts["images"], drafts["layers"])
            written = completion.written
        else:
            # Of an index that is lost nothing is known: whatever it may have named stays.
            written = {}
        survey = self._after(drafts)
        overlay = self._overlay(survey)
        steps = [*self._about_steps(survey, is_whole=not broken)]
        steps += self._layer_steps(survey, overlay)
        steps += self._index_steps("layers", drafts["layers"], broken)
        for image, items in written.items():
            steps += [file_of(f"overlay-images/{image}/{big_data_file(key)}", data) for key, data in items.items()]
        steps += self._index_steps("images", drafts["images"], broken)
        steps += self._removals(survey, overlay) if not broken else []
        return Delta(tuple(steps))

    def _overlay(self, survey: Survey) -> Overlay:
        overlay = Overlay(survey, self._origin)
        self._opened.callback(overlay.close)
        return overlay

    def _open_split(self, layer: str) -> IO[bytes] | None:
        room = self._was.room("overlay-layers")
        try:
            return open(room.open(f"{layer}{_SPLIT}"), "rb") if room is not None else None  # noqa: PTH123 - a descriptor
        except UnreadableError:
            return None

    def _after(self, drafts: dict[str, Draft]) -> Survey:
        """Return the store as it will be, as far as its records go."""
        layers = [item for item in read_layers([record.after for record in drafts["layers"]]) if isinstance(item, Layer)]
        images = [item for item in read_images([record.after for record in drafts["images"]]) if isinstance(item, Image)]
        was = self._reading.survey
        return Survey(
            top=was.top,
            root=was.root,
            readers_root=was.readers_root,
            about=was.about,
            images={item.id: item for item in images},
            layers={item.id: item for item in layers},
        )

    def _about_steps(self, survey: Survey, *, is_whole: bool) -> Iterator[Step]:
        """Yield the step that writes cstore.json, where it is damaged or a layer is to be retired."""
        is_damaged = any(problem.code == "V88" for problem in self._reading.problems)
        about = survey.about or About(form=self._form(survey))
        if not is_whole:
            return
        used = survey.used()
        retired = {
            LayerID(layer): about.retired.get(LayerID(layer), self._today) for layer in survey.layers if layer not in used and is_id(layer)
        }
        if is_damaged or retired != about.retired:
            yield file_of(ABOUT, encode(about.with_retired(retired).to_dict()) + b"\n")

    def _form(self, survey: Survey) -> Form:
        """Return the form in which the layers of a store lie."""
        overlay = self._was.room("overlay")
        is_sharded = overlay is not None and any(overlay.target(layer) == f"../pool/{layer[:2]}/{layer}" for layer in survey.layers)
        return Form.SHARDED if is_sharded else Form.DIRECT

    def _layer_steps(self, survey: Survey, overlay: Overlay) -> Iterator[Step]:
        places: dict[str, str] = {}
        for layer in survey.layers:
            overlay.read_link(layer)
            with overlay.layer(layer) as made:
                if isinstance(made, Directory):
                    places[layer] = made.path
                    yield from self._diff_steps(made)
        links = Links(survey, overlay, places)
        yield from links.steps()
        survey.links.update(links.chosen)

    def _diff_steps(self, made: Directory) -> Iterator[Step]:
        """Yield the steps for what lies beside the content of a layer, or leads to it."""
        target = made.target("diff")
        if target is not None and not target.startswith("/"):
            place = self._origin.find(self._origin.inside(made.path), target)
            if place is not None:
                yield PutSymlink(path=f"{made.path}/diff", target="/".join([self._origin.readers_root.rstrip("/"), *place]))
        for name in ("work", "merged"):
            if made.status(name) is not None:
                yield Remove(path=f"{made.path}/{name}")

    def _index_steps(self, name: str, draft: Draft, broken: set[str]) -> Iterator[Step]:
        """Yield the step that replaces an index, its lock, or both."""
        path, lock_path = _LOCKS[name]
        if path in broken:
            return
        index = draft.index
        is_lock_wrong = any(problem.code in _REWRITTEN and problem.path == lock_path for problem in self._reading.problems)
        room = self._was.room(path.partition("/")[0])
        if (index is None and not is_lock_wrong) or room is None or room.found(f"{name}.lock") not in ("a file", "nothing"):
            return
        index = index or Index.read(name, self._reading.files[name].data or EMPTY)
        yield ReplaceIndex(path=path, lock_path=lock_path, data=index.data, lock=index.lock)

    def _removals(self, survey: Survey, overlay: Overlay) -> Iterator[Step]:
        """Yield the removal of what belongs to nothing for long enough, and of what a record no longer lists."""
        for path in [*(found.path for found in check_orphans(survey, overlay)), *_unlisted(survey, overlay)]:
            above, _, name = path.rpartition("/")
            room = overlay.room(above)
            status = room.status(name) if room is not None else None
            if status is not None and self._today - dt.datetime.fromtimestamp(status.st_mtime, tz=dt.UTC).date() >= self._grace:
                yield Remove(path=path)


def _unlisted(survey: Survey, overlay: Overlay) -> Iterator[str]:
    """Yield the files beside big data that the record of their image does not list."""
    for image in survey.images.values():
        room = overlay.room(f"overlay-images/{image.id}")
        if room is not None and is_id(image.id):
            known = item_files(image)
            yield from (room.place(name) for name in room.entries() if name not in known)
