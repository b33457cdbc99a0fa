"""Stores for tests, made in the three parts of which a batch consists: fetching, planning, applying."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from attrs import define, field

from cstore.changes import Add, Change, Drop, Tag
from cstore.delta import PutDirectory, PutFile, PutSymlink, PutTree, Remove, ReplaceIndex
from cstore.model.about import About
from cstore.model.layout import Form
from cstore.model.platform import Platform
from cstore.model.reference import Reference
from cstore.planning import plan
from cstore.publish.directory import apply, is_vacant, writing
from cstore.source import open_source
from cstore.source.fetch import Fetcher
from cstore.store import Store
from tests.images import Image, write_layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from cstore.delta import Delta, Step
    from cstore.source.image import SourceImage

TODAY = dt.date(2026, 11, 24)
AMD64 = Platform("linux", "amd64")


@define
class Planner:
    """Plans changes of one store, and carries them out; `close` it."""

    root: Path
    """The store; beside it lie the sources."""
    form: Form = Form.DIRECT
    fetcher: Fetcher = field(factory=Fetcher)
    today: dt.date = TODAY
    _sources: int = 0

    @property
    def store(self) -> Store:
        return Store.new(self.root, About(form=self.form)) if is_vacant(self.root) else Store.open(self.root)

    def source(self, image: Image | Sequence[Image]) -> SourceImage:
        """Open an image, or the one for linux/amd64 of an image index."""
        self._sources += 1
        return open_source(write_layout(self.root.with_name(f"source{self._sources}"), {"v": image}), AMD64)

    def add(self, image: Image | Sequence[Image], *names: str) -> Add:
        return Add(image=self.source(image), names=tuple(map(Reference.parse, names)))

    def plan(self, *changes: Change) -> Delta:
        """Return the delta that `do` would carry out."""
        store = self.store
        adds = [change for change in changes if isinstance(change, Add)]
        for change in adds:
            self.fetcher.fetch(change.image, store)
        lacking = {layer: None for change in adds for layer in change.image.chain if store.layers.raw(layer) is None}
        ground = store.ground({layer: self.fetcher.layers[layer].parent for layer in lacking})
        return plan(store, changes, self.fetcher.layers, ground, self.today)

    def do(self, *changes: Change) -> Delta:
        """Change the store on the disk, and return how."""
        with writing(self.root):
            delta = self.plan(*changes)
            apply(delta, self.root)
        return delta

    def close(self) -> None:
        self.fetcher.close()


def tag(name: str, new_name: str) -> Tag:
    return Tag(name=name, new_name=Reference.parse(new_name))


def drop(name: str) -> Drop:
    return Drop(name=name)


def lines(delta: Iterable[Step]) -> list[str]:
    """Return each step as its kind and path."""
    verbs = {PutTree: "tree", PutDirectory: "directory", PutFile: "file", PutSymlink: "symlink", ReplaceIndex: "index", Remove: "remove"}
    return [f"{verbs[type(step)]} {step.path}" for step in delta]


def content(delta: Iterable[Step], path: str) -> bytes:
    """Return what a delta puts into a file or an index."""
    (step,) = [step for step in delta if step.path == path]
    if isinstance(step, ReplaceIndex):
        return step.data
    assert isinstance(step, PutFile)
    with step.open() as file:
        return file.read()
