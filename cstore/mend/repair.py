"""Repairing a store: the delta after which everything holds that follows from what the store still has.

Layer content is never touched. What cannot be mended stays as it is; `verify` says of it afterwards what it says now.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from cstore.delta import Delta, PutDirectory, PutSymlink, Remove, ReplaceIndex, Step, file_of
from cstore.errors import FormatError
from cstore.files import Directory
from cstore.index.gojson import encode
from cstore.index.index import Index
from cstore.mend.complete import Completion
from cstore.mend.containers import refuse_containers
from cstore.mend.draft import Draft, lock_of
from cstore.mend.duplicates import drop_duplicates
from cstore.mend.feasible import Feasible
from cstore.mend.links import Links
from cstore.mend.removals import Removals, left_by_overlay
from cstore.mend.views import repair_views
from cstore.model.about import About
from cstore.model.chain import LayerID, is_id
from cstore.model.layout import ABOUT, IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK, Form, Link, big_data_file
from cstore.origin import Origin
from cstore.store import Store
from cstore.verification.overlay import Overlay
from cstore.verification.reading import Reading, read_store
from cstore.verification.records import Image, Layer, decoded, read_images, read_layers
from cstore.verification.survey import Survey
from cstore.views import refuse_view

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cstore.verification.reading import IndexFile

__all__ = ["MENDED", "plan_repair"]

_NUMBERS = (
    *(2, 3, 4, 5, 6, 11, 19, 20, 22, 38, 40, 41, 42, 44, 45, 52, 53, 54, 55, 56, 59),
    *(66, 67, 74, 75, 77, 81, 82, 83, 84, 85, 87, 88, 90, 101, 102, 103, 104, 106),
)
MENDED = frozenset(f"V{number}" for number in _NUMBERS)
"""The rules of which repair mends what breaks them, as a rule."""

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
        StoreError: there is no store, it cannot be read, or podman keeps containers in it.
    """
    refuse_containers(root)
    with ExitStack() as opened:
        reading = read_store(root, readers_root, opened)
        if reading.survey.about is not None:
            refuse_view(Store.new(root, reading.survey.about))
        return _Repair(reading, opened, grace, today).plan()


@define
class _Repair:
    _reading: Reading
    _opened: ExitStack
    _grace: dt.timedelta
    _today: dt.date
    _origin: Origin = field(init=False)
    _was: Overlay = field(init=False)
    """The directories, as the records are now."""
    _feasible: Feasible = field(init=False)
    _lost: list[str] = field(init=False)
    """The indexes that are not there as arrays. Of them nothing is known: whatever they may have named stays."""
    _is_fixed: bool = field(init=False)
    """Whether records stay as they are: an index is lost, or lies where nothing is written."""

    def __attrs_post_init__(self) -> None:
        survey = self._reading.survey
        self._origin = Origin.of(survey.root, survey.readers_root)
        self._was = self._overlay(survey)
        self._feasible = Feasible(survey.root)
        self._lost = [name for name, file in self._reading.files.items() if not _is_array(file)]
        self._is_fixed = bool(self._lost) or not all(self._feasible.can_replace(path) for paths in _LOCKS.values() for path in paths)

    def plan(self) -> Delta:
        drafts = {name: Draft.of(name, file) for name, file in self._reading.files.items()} if not self._is_fixed else {}
        written = self._complete(drafts)
        survey = self._after(drafts)
        overlay = self._overlay(survey)
        steps = [*self._about_steps(survey)]
        steps += self._layer_steps(survey, overlay)
        steps += self._index_steps("layers", drafts)
        for image, items in written.items():
            steps += [file_of(f"overlay-images/{image}/{big_data_file(key)}", data) for key, data in items.items()]
        steps += self._index_steps("images", drafts)
        steps += self._view_steps(survey, drafts)
        if drafts and all(record.id for draft in drafts.values() for record in draft):
            # Otherwise what seems to belong to nothing may be that of a record that has lost its ID.
            steps += Removals(survey, overlay, self._origin, self._grace, self._today).steps()
        return Delta(tuple(step for step in steps if self._feasible.allows(step) and not (self._lost and isinstance(step, Remove))))

    def _complete(self, drafts: Mapping[str, Draft]) -> dict[str, dict[str, bytes]]:
        """Put the records right, and return the items of big data that are to be put, by image and key."""
        if not drafts:
            return {}
        drop_duplicates(drafts["images"], drafts["layers"])
        completion = Completion(self._was.room("overlay-images"))
        completion.complete(drafts["images"], drafts["layers"])
        return completion.written

    def _overlay(self, survey: Survey) -> Overlay:
        overlay = Overlay(survey, self._origin)
        self._opened.callback(overlay.close)
        return overlay

    def _after(self, drafts: Mapping[str, Draft]) -> Survey:
        """Return the store as it will be, as far as its records go."""
        if not drafts:
            return self._reading.survey
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

    def _about_steps(self, survey: Survey) -> Iterator[Step]:
        """Yield the step that writes cstore.json, where it is damaged or a layer is to be retired."""
        if self._is_fixed:
            return
        is_damaged = any(problem.code == "V88" for problem in self._reading.problems)
        about = self._about(survey)
        if is_damaged or about != (survey.about or About(form=about.form)):
            yield file_of(ABOUT, encode(about.to_dict()) + b"\n")

    def _about(self, survey: Survey) -> About:
        """Return what cstore.json is to say."""
        about = survey.about or About(form=self._form(survey))
        used = survey.used()
        unused = [LayerID(layer) for layer in survey.layers if layer not in used and is_id(layer)]
        return about.with_retired({layer: about.retired.get(layer, self._today) for layer in unused})

    def _view_steps(self, survey: Survey, drafts: Mapping[str, Draft]) -> Iterator[Step]:
        """Yield the steps for the views, where all that they show is known."""
        if not drafts or survey.about is None or not survey.about.all_views:
            return
        new = {name: draft.data for name, draft in drafts.items()}
        data = {name: self._reading.files[name].data if (made := new[name]) is None else made for name in drafts}
        try:
            images, layers = (Index.read(name, data[name]) for name in ("images", "layers"))
            store = evolve(Store.new(survey.root, self._about(survey)), images=images, layers=layers, is_new=False)
            yield from [*repair_views(store, {LayerID(layer): Link(link) for layer, link in survey.links.items()}, self._today)]
        except FormatError:
            # A record that only readers can decode; verify tells what is left.
            return

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
                    if survey.depth(layer) == 0 and made.found("empty") == "nothing":
                        yield PutDirectory(path=f"{made.path}/empty")
        links = Links(survey, overlay, places, self._feasible.allows)
        yield from links.steps()
        survey.links.update(links.chosen)

    def _diff_steps(self, made: Directory) -> Iterator[Step]:
        """Yield the steps for what lies beside the content of a layer, or leads to it."""
        target = made.target("diff")
        if target is not None and not target.startswith("/"):
            place = self._origin.find(self._origin.inside(made.path), target)
            if place is not None:
                yield PutSymlink(path=f"{made.path}/diff", target="/".join([self._origin.readers_root.rstrip("/"), *place]))
        yield from left_by_overlay(made)

    def _index_steps(self, name: str, drafts: Mapping[str, Draft]) -> Iterator[Step]:
        """Yield the step that replaces an index, its lock, or both."""
        if name in self._lost:
            return
        path, lock_path = _LOCKS[name]
        data = drafts[name].data if drafts else None
        is_lock_wrong = any(problem.code in _REWRITTEN and problem.path == lock_path for problem in self._reading.problems)
        if data is not None or is_lock_wrong:
            data = self._reading.files[name].data if data is None else data
            yield ReplaceIndex(path=path, lock_path=lock_path, data=data, lock=lock_of(name, data))


def _is_array(file: IndexFile) -> bool:
    """Whether an index was read as an array: one that is missing, empty or null is no empty array."""
    if file.values:
        return True
    try:
        return isinstance(decoded(file.data), list)
    except ValueError:
        return False
