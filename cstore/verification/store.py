"""Verifying a store: whatever is in it, problems come out one after the other, those of the indexes first."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from attrs import define, field

from cstore.errors import FormatError, NotFoundError
from cstore.location import place_of
from cstore.model.layout import IMAGES_INDEX, LAYERS_INDEX
from cstore.model.reference import Reference
from cstore.source.fetch import Progress, silent
from cstore.verification import indexes
from cstore.verification.agreement import Agreement
from cstore.verification.catalogs import check_catalogs
from cstore.verification.chains import check_chain, check_parent
from cstore.verification.deep import Deep
from cstore.verification.images import Images
from cstore.verification.orphans import check_orphans, check_retired, check_tar_splits, check_unfinished
from cstore.verification.overlay import Overlay
from cstore.verification.reading import read_store
from cstore.verification.rules import problem
from cstore.verification.shared import check_shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cstore.verification.problem import Problem
    from cstore.verification.records import Image
    from cstore.verification.survey import Survey

__all__ = ["verify"]

_SHORTEST_ID = 6


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

    Whatever is in the store, it yields problems: nothing in it makes it raise, wait or write.

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
    with ExitStack() as opened:
        check = _Check(opened, place, str(readers_root or place.absolute()), progress, image, is_deep=deep, sample=sample)
        yield from check.run()


@define
class _Check:
    """One check of one store."""

    _opened: ExitStack
    _root: Path
    _readers_root: str
    _progress: Progress
    _wanted: str | None
    _is_deep: bool = field(kw_only=True)
    _sample: int = field(kw_only=True)

    def run(self) -> Iterator[Problem]:
        reading = read_store(self._root, self._readers_root, self._opened)
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
        if self._wanted is None:
            yield from check_orphans(survey, overlay)
            yield from check_retired(survey, reading.containers)
            yield from check_unfinished(overlay)
            yield from check_shared(reading.origin)
        content = Deep(survey, overlay, self._progress)
        yield from content.check(self._deep_ones(needed))
        if self._is_deep and self._wanted is None:
            yield from check_catalogs(survey, overlay, content.sizes)
        if survey.access.count:
            said = f"expected others to be able to read everything, found {survey.access.count} that they cannot"
            yield problem("V76", "store", survey.access.closed[0], f"{said}, such as {', '.join(survey.access.closed)}")

    def _choose(self, survey: Survey) -> tuple[list[Image], list[str]]:
        """Return the images to check, and the layers."""
        if self._wanted is None:
            return [*survey.images.values()], [*survey.layers]
        chosen = _called(survey, self._wanted)
        if not chosen:
            raise NotFoundError(f'{self._root}: expected an image "{self._wanted}", found none')
        needed: dict[str, None] = {}
        for image in chosen:
            layer = image.layer
            while layer in survey.layers and layer not in needed:
                needed[layer] = None
                layer = survey.layers[layer].parent
        return chosen, [*needed]

    def _check_layers(self, survey: Survey, overlay: Overlay, layers: Sequence[str]) -> Iterator[Problem]:
        advance = self._progress("checking", "layers", len(layers))
        for layer in layers:
            yield from overlay.check(layer)
            advance(1)
        yield from check_tar_splits(survey, overlay.room("overlay-layers"), layers)

    def _check_images(self, survey: Survey, overlay: Overlay, chosen: Sequence[Image]) -> Iterator[Problem]:
        advance = self._progress("checking", "images", len(chosen))
        checks = Images(survey, self._is_deep, Agreement(survey))
        room = overlay.room("overlay-images")
        for image in chosen:
            yield from check_chain(survey, image)
            yield from checks.check(room, image)
            advance(1)

    def _deep_ones(self, layers: Sequence[str]) -> list[str]:
        """Return the layers to check deeply."""
        if self._is_deep or self._sample >= len(layers):
            return [*layers] if self._is_deep or self._sample else []
        ordered = sorted(layers)
        return [ordered[number * len(ordered) // self._sample] for number in range(self._sample)]


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
