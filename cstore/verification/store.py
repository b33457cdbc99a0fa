"""Verifying a store: whatever is in it, problems come out one after the other, those of the indexes first."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from cstore.errors import FormatError, NotFoundError, StoreError
from cstore.location import place_of
from cstore.model.layout import IMAGES_INDEX, LAYERS_INDEX, VIEWS, view_at
from cstore.model.reference import Reference
from cstore.progress import Progress, silent
from cstore.verification import indexes
from cstore.verification.agreement import Agreement
from cstore.verification.catalogs import check_catalogs
from cstore.verification.chains import check_chain, check_parent
from cstore.verification.deep import Deep
from cstore.verification.images import Images
from cstore.verification.orphans import check_orphans, check_retired, check_tar_splits, check_unfinished
from cstore.verification.overlay import Overlay
from cstore.verification.quiet import Watch
from cstore.verification.reading import Reading, read_store
from cstore.verification.rules import problem
from cstore.verification.shared import check_shared
from cstore.verification.views import check_listed, check_view, in_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cstore.verification.catalogs import LayerSize
    from cstore.verification.problem import Problem
    from cstore.verification.records import Image
    from cstore.verification.survey import Survey

__all__ = ["verify"]

_SHORTEST_ID = 6
_READINGS = 3
_UNDER_WAY = frozenset(["V81", "V82", "V83", "V84", "V85", "V87", "V101", "V102", "V103", "V104", "V105", "V106"])
"""What holds again as soon as a change that is under way has ended."""


def verify(  # noqa: PLR0913 - one place and what is asked about it, all by keyword
    root: Path | str,
    *,
    deep: bool = False,
    sample: int = 0,
    image: str | None = None,
    readers_root: Path | str | None = None,
    progress: Progress = silent,
) -> Iterator[Problem]:
    """Yield what is wrong with a store, problem by problem, as it is found.

    Whatever is in the store, it yields problems: nothing in it makes it raise, wait or write. While writers of cstore's or podman's
    change it, nothing is told that is only half of a change.

    Args:
        root: the store's directory, as it can be read here.
        deep: whether content is read as well: all big data, and every layer's tree against its tar-split. Without it nothing below
            a `diff` is read.
        sample: how many layers are checked deeply where not all are; they are spread over the IDs, the same ones each time.
        image: a name or an ID; only this image is checked then, with its layers.
        readers_root: the absolute path by which readers mount the store; None for `root` itself.
        progress: is told how far the check is.

    Raises:
        StoreError: there is no store, or its directory cannot be read.
        NotFoundError: there is no such image.
    """
    place = place_of(root)
    asked = _Asked(place, str(readers_root or place.absolute()), progress, image, is_deep=deep, sample=sample)
    yield from _Readings(asked).run()


@frozen
class _Asked:
    """What is asked, and about which store."""

    root: Path
    readers_root: str
    progress: Progress
    image: str | None
    is_deep: bool = field(kw_only=True)
    sample: int = field(kw_only=True)


@define
class _Readings:
    """Readings of one store, until what they find is true of one moment.

    The first waits for nobody. What it finds while somebody changes the store may be half of a change, and is looked at again: in a
    reading during which podman's locks keep both indexes as they are.
    """

    _asked: _Asked
    _told: set[int] = field(factory=set)
    """Hashes of the problems that were told, which need less room than those."""
    _sizes: dict[str, LayerSize] = field(factory=dict)

    def run(self) -> Iterator[Problem]:
        doubtful: set[str] | None = None
        for _ in range(_READINGS - 1):
            again: set[str] = set()
            for told, is_certain in self._read(doubtful):
                if is_certain:
                    yield told
                else:
                    again.add(told.subject)
            if not again:
                return
            doubtful = again
        yield from (told for told, _ in self._read(doubtful))

    def _read(self, doubtful: set[str] | None) -> Iterator[tuple[Problem, bool]]:
        """Yield the problems of one reading that were not told before, each with whether the store has stayed as it was.

        Args:
            doubtful: the subjects of which content is to be read again; None in the first reading.
        """
        with ExitStack() as opened:
            watch = Watch.of(self._asked.root)
            reading = read_store(self._asked.root, self._asked.readers_root, opened, None if doubtful is None else opened)
            if doubtful is not None:
                watch = Watch.of(self._asked.root)
            for found in _Check(self._asked, reading, opened, doubtful, self._sizes).run():
                if hash(found) in self._told:
                    continue
                is_quiet = watch.is_quiet()
                if doubtful is not None and not is_quiet and found.code in _UNDER_WAY:
                    # What a writer has put no index names yet, or any more.
                    continue
                is_certain = is_quiet or (doubtful is not None and watch.is_same())
                if is_certain:
                    self._told.add(hash(found))
                yield found, is_certain


@define
class _Check:
    """One check of one reading of a store."""

    _asked: _Asked
    _reading: Reading
    _opened: ExitStack
    _doubtful: set[str] | None
    _sizes: dict[str, LayerSize]

    def run(self) -> Iterator[Problem]:
        """Yield the problems of the store, and then those of its views."""
        survey, told = self._reading.survey, set[tuple[str, str]]()
        for found in self._check_store():
            told.add((found.code, found.subject))
            yield found
        if self._asked.image is not None:
            return
        overlay = Overlay(survey, self._reading.origin)
        self._opened.callback(overlay.close)
        yield from check_listed(survey, overlay)
        views = overlay.room(VIEWS)
        for name, patterns in survey.about.all_views.items() if survey.about else ():
            if views is not None and not views.is_followed and views.found(name) == "a directory":
                yield from in_view(name, self._check_view(name, patterns), told)

    def _check_view(self, name: str, patterns: Sequence[str]) -> Iterator[Problem]:
        """Check a view, as a store of its own and against its store."""
        root, readers_root = self._asked.root / view_at(name), f"{self._asked.readers_root}/{view_at(name)}"
        asked = _Asked(root, readers_root, silent, None, is_deep=False, sample=0)
        with ExitStack() as opened:
            try:
                reading = read_store(root, readers_root, opened, None if self._doubtful is None else opened)
            except StoreError as error:
                yield problem("V106", "", "", f"expected a view, found none that can be read ({error})")
                return
            yield from _Check(asked, reading, opened, self._doubtful, {}).run()
            overlay = Overlay(reading.survey, reading.origin)
            opened.callback(overlay.close)
            yield from check_view(self._reading.survey, reading.survey, overlay, patterns)

    def _check_store(self) -> Iterator[Problem]:
        reading = self._reading
        survey, images, layers = reading.survey, reading.images, reading.layers
        yield from reading.problems
        yield from indexes.check_names(images, layers)
        yield from indexes.twice("image", images, IMAGES_INDEX)
        yield from indexes.twice("layer", layers, LAYERS_INDEX)
        chosen, needed = self._choose(survey)
        needed = [layer for layer in needed if layer not in reading.containers]
        for record in chosen:
            yield from indexes.check_image_record(record)
        for layer in needed:
            yield from indexes.check_layer_record(survey.layers[layer])
            yield from check_parent(survey, survey.layers[layer])
        overlay = Overlay(survey, reading.origin)
        self._opened.callback(overlay.close)
        for layer in reading.containers & survey.layers.keys():
            overlay.read_link(layer)
        yield from self._check_layers(survey, overlay, needed)
        yield from self._check_images(survey, overlay, chosen)
        if self._asked.image is None:
            yield from check_orphans(survey, overlay)
            yield from check_retired(survey, reading.containers)
            yield from check_unfinished(overlay)
            yield from check_shared(reading.origin)
        content = Deep(survey, overlay, self._asked.progress, self._sizes)
        yield from content.check(self._deep_ones(needed))
        if self._asked.is_deep and self._asked.image is None and not (survey.about and survey.about.is_view):
            yield from check_catalogs(survey, overlay, content.sizes)
        if survey.access.count:
            said = f"expected others to be able to read everything, found {survey.access.count} that they cannot"
            yield problem("V76", "store", survey.access.closed[0], f"{said}, such as {', '.join(survey.access.closed)}")

    def _choose(self, survey: Survey) -> tuple[list[Image], list[str]]:
        """Return the images to check, and the layers."""
        if self._asked.image is None:
            return [*survey.images.values()], [*survey.layers]
        chosen = _called(survey, self._asked.image)
        if not chosen:
            raise NotFoundError(f'{self._asked.root}: expected an image "{self._asked.image}", found none')
        needed: dict[str, None] = {}
        for image in chosen:
            layer = image.layer
            while layer in survey.layers and layer not in needed:
                needed[layer] = None
                layer = survey.layers[layer].parent
        return chosen, [*needed]

    def _check_layers(self, survey: Survey, overlay: Overlay, layers: Sequence[str]) -> Iterator[Problem]:
        advance = self._asked.progress("checking", "layers", len(layers))
        for layer in layers:
            yield from overlay.check(layer)
            advance(1)
        yield from check_tar_splits(survey, overlay.room("overlay-layers"), layers)

    def _check_images(self, survey: Survey, overlay: Overlay, chosen: Sequence[Image]) -> Iterator[Problem]:
        advance = self._asked.progress("checking", "images", len(chosen))
        checks = Images(survey, self._asked.is_deep, Agreement(survey))
        room = overlay.room("overlay-images")
        for image in chosen:
            yield from check_chain(survey, image)
            yield from checks.check(room, image)
            advance(1)

    def _deep_ones(self, layers: Sequence[str]) -> list[str]:
        """Return the layers to check deeply; once that was done, only those of which something was in doubt."""
        if self._doubtful is not None:
            return [layer for layer in self._all_deep_ones(layers) if f"layer {layer}" in self._doubtful]
        return self._all_deep_ones(layers)

    def _all_deep_ones(self, layers: Sequence[str]) -> list[str]:
        if self._asked.is_deep or self._asked.sample >= len(layers):
            return [*layers] if self._asked.is_deep or self._asked.sample else []
        ordered = sorted(layers)
        return [ordered[number * len(ordered) // self._asked.sample] for number in range(self._asked.sample)]


def _called(survey: Survey, wanted: str) -> list[Image]:
    """Return the images with a name, as it is or as podman completes it, with an ID, or with one that begins so."""
    try:
        name = str(Reference.parse(wanted))
    except FormatError:
        name = wanted
    images = survey.images.values()
    found = [image for image in images if wanted in (image.id, *image.names) or name in image.names]
    is_beginning = len(wanted) >= _SHORTEST_ID and not set(wanted) - set("0123456789abcdef")
    return found or [image for image in images if is_beginning and image.id.startswith(wanted)]
