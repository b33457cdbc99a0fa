"""Verifying a store: whatever is in it, problems come out one after the other, those of the indexes first."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from attrs import define, field

from cstore.errors import FormatError, NotFoundError, StoreError
from cstore.index.gojson import decode
from cstore.location import place_of
from cstore.model.about import About
from cstore.model.layout import ABOUT
from cstore.source.fetch import Progress, silent
from cstore.verify import indexes
from cstore.verify.agreement import Agreement
from cstore.verify.chains import check_chain, check_parent
from cstore.verify.deep import Deep
from cstore.verify.files import Directory, UnreadableError, locked
from cstore.verify.images import Images
from cstore.verify.origin import Origin
from cstore.verify.orphans import check_orphans, check_retired, check_tar_splits, check_unfinished
from cstore.verify.overlay import Overlay
from cstore.verify.records import Image, Layer, Wrong, read_images, read_layers
from cstore.verify.rules import problem
from cstore.verify.shared import check_shared
from cstore.verify.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cstore.verify.problem import Problem

__all__ = ["verify"]

_LARGEST_ABOUT = 64 << 20
_ROOMS = ("overlay-layers", "overlay-images")


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
        check = _Check(opened, place, str(readers_root or place.absolute()), progress, image or "", is_deep=deep, sample=sample)
        yield from check.run()


@define
class _Check:
    """One check of one store."""

    _opened: ExitStack
    _root: Path
    _readers_root: str
    _progress: Progress
    _wanted: str
    _is_deep: bool = field(kw_only=True)
    _sample: int = field(kw_only=True)

    def run(self) -> Iterator[Problem]:
        top = self._top()
        problems: list[Problem] = []
        survey, images, layers = self._read(top, problems)
        yield from problems
        yield from indexes.check_names(images, layers)
        yield from indexes.twice("image", images, "overlay-images/images.json")
        yield from indexes.twice("layer", layers, "overlay-layers/layers.json")
        chosen, needed = self._choose(survey)
        for record in chosen:
            yield from indexes.check_image_record(record)
        for layer in needed:
            yield from indexes.check_layer_record(survey.layers[layer])
            yield from check_parent(survey, survey.layers[layer])
        origin = Origin.of(self._root, self._readers_root)
        overlay = Overlay(survey, origin)
        self._opened.callback(overlay.close)
        yield from self._check_layers(survey, overlay, needed)
        yield from self._check_images(survey, overlay, origin, chosen)
        if not self._wanted:
            yield from check_orphans(survey, overlay)
            yield from check_retired(survey)
            yield from check_unfinished(overlay)
            yield from check_shared(origin)
        yield from Deep(survey, overlay, origin, self._progress).check(self._deep_ones(needed))
        if survey.access.count:
            said = f"expected others to be able to read everything, found {survey.access.count} that they cannot"
            yield problem("V76", "store", survey.access.closed[0], f"{said}, such as {', '.join(survey.access.closed)}")

    def _top(self) -> Directory:
        try:
            top = Directory.at(self._root)
        except OSError as error:
            raise StoreError(f"{self._root}: expected an image store, found: {error.strerror}") from None
        self._opened.callback(top.close)
        if all(top.found(room) != "a directory" for room in _ROOMS):
            raise StoreError(f"{self._root}: expected an image store, found a directory without overlay-images and overlay-layers")
        return top

    def _read(self, top: Directory, problems: list[Problem]) -> tuple[Survey, list[Image], list[Layer]]:
        """Read the indexes at one moment, and what is wrong with them."""
        rooms = [self._opened.enter_context(top.opened(room)) for room in _ROOMS]
        locks = ExitStack()
        with locks:
            data: list[tuple[bytes, list[object]]] = []
            for room, name in zip(rooms, ("layers", "images"), strict=True):
                if room is not None:
                    locks.enter_context(locked(room, f"{name}.lock"))
            for room, name in zip(rooms, ("layers", "images"), strict=True):
                data.append(indexes.values_of(room, f"{name}.json", problems) if room is not None else (b"", []))
        layers, images = [*read_layers(data[0][1])], [*read_images(data[1][1])]
        problems += [indexes.wrong(item, "overlay-layers/layers.json") for item in layers if isinstance(item, Wrong)]
        problems += [indexes.wrong(item, "overlay-images/images.json") for item in images if isinstance(item, Wrong)]
        sound_images = [item for item in images if isinstance(item, Image)]
        sound_layers = [item for item in layers if isinstance(item, Layer)]
        survey = Survey(
            top=top,
            root=self._root,
            readers_root=self._readers_root,
            about=self._about(top, problems),
            images={item.id: item for item in sound_images},
            layers={item.id: item for item in sound_layers},
        )
        survey.access.see(top)
        for path, room, name, (index, _) in zip(_ROOMS, rooms, ("layers", "images"), data, strict=True):
            if room is None:
                problems.append(
                    problem("V5", f"{path}/{name}.lock", f"{path}/{name}.lock", f"expected a lock file, found no directory {path}")
                )
                continue
            problems += indexes.check_lock(room, f"{name}.lock", index)
            for file in ("", f"{name}.json", f"{name}.lock"):
                survey.access.see(room, file)
        return survey, sound_images, sound_layers

    def _about(self, top: Directory, problems: list[Problem]) -> About | None:
        if top.found(ABOUT) == "nothing":
            return None
        try:
            return About.from_dict(decode(top.read(ABOUT, _LARGEST_ABOUT), ABOUT))
        except UnreadableError as error:
            problems.append(problem("V88", ABOUT, ABOUT, f"expected a file, found {error}"))
        except FormatError as error:
            problems.append(problem("V88", ABOUT, ABOUT, str(error)))
        return None

    def _choose(self, survey: Survey) -> tuple[list[Image], list[str]]:
        """Return the images to check, and the layers."""
        if not self._wanted:
            return [*survey.images.values()], [*survey.layers]
        chosen = [image for image in survey.images.values() if self._wanted in (image.id, *image.names)]
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
            overlay.read_link(layer)
        for layer in layers:
            yield from overlay.check(layer)
            advance(1)
        yield from check_tar_splits(survey, overlay.room("overlay-layers"), layers)

    def _check_images(self, survey: Survey, overlay: Overlay, origin: Origin, chosen: Sequence[Image]) -> Iterator[Problem]:
        advance = self._progress("checking", "images", len(chosen))
        checks = Images(survey, origin, self._is_deep, Agreement(survey))
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
