"""Rules about the views of a store (spec V101 to V106)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from cstore.model.chain import ImageID, LayerID, is_id
from cstore.model.layout import ABOUT, IMAGES_INDEX, LAYERS_INDEX, VIEWS, Layout, view_at
from cstore.model.view import matching
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cstore.verification.overlay import Overlay
    from cstore.verification.problem import Problem
    from cstore.verification.records import Image
    from cstore.verification.survey import Survey

__all__ = ["check_listed", "check_view", "in_view"]

_UP = "../../.."
_INDEXES = (IMAGES_INDEX, LAYERS_INDEX)
_LINKS = "overlay/l/"


def check_listed(survey: Survey, overlay: Overlay) -> Iterator[Problem]:
    """Check that the views that a store lists are there, and no others."""
    room = overlay.room(VIEWS)
    listed = survey.about.all_views if survey.about else {}
    for name in listed:
        found = room.found(name) if room is not None and not room.is_followed else "nothing"
        if found != "a directory":
            yield problem("V106", view_at(name), view_at(name), f"expected the directory of a view, found {found}")
    for name, is_directory in room.entries().items() if room is not None else ():
        if is_directory and name not in listed:
            yield problem(
                "V105", view_at(name), view_at(name), "expected the directory of a view, found one that cstore.json does not name"
            )


def in_view(name: str, problems: Iterable[Problem], told: set[tuple[str, str]]) -> Iterator[Problem]:
    """Yield the problems of a view as those of its store, but for those that the store shares with it and that are told already.

    Args:
        name: of the view.
        problems: as checking it as a store finds them.
        told: code and subject of what was told of the store.
    """
    for found in problems:
        is_shared = found.path in _INDEXES or (found.path.count("/") > 1 and not found.path.startswith(_LINKS))
        if not is_shared or (found.code, found.subject) not in told:
            place = view_at(name) + (f"/{found.path}" if found.path else "")
            is_of_record = found.subject.startswith(("image ", "layer "))
            yield evolve(found, path=place, subject=found.subject if is_of_record else place)


def check_view(store: Survey, view: Survey, overlay: Overlay, patterns: Sequence[str]) -> Iterator[Problem]:
    """Check that a view shows what its store holds; paths are those in the view.

    Args:
        store: the store.
        view: the view.
        overlay: the directories of the view.
        patterns: of the names that it shows.
    """
    if view.about is None or not view.about.is_view:
        yield problem(
            "V88", ABOUT, ABOUT, "expected that of a view, found that of a store" if view.about else "expected a file, found none"
        )
    wanted = {identity: names for identity, image in store.images.items() if (names := matching(patterns, image.names))}
    for identity, names in wanted.items():
        if identity not in view.images:
            said = f"expected it as in the store, with {len(names)} of its names such as {names[0]}, found nothing"
            yield problem("V101", f"image {identity}", IMAGES_INDEX, said)
    for identity, image in view.images.items():
        yield from _check_image(store.images.get(identity), image, wanted.get(identity, ()))
    for layer_id, layer in view.layers.items():
        other = store.layers.get(layer_id)
        if other is None or other.members != layer.members:
            found = "another" if other else "one of a layer that the store does not have"
            yield problem("V103", f"layer {layer_id}", LAYERS_INDEX, f"expected the record of the store, found {found}")
    yield from _check_symlinks(view, overlay, store.about.layout if store.about else Layout(store.form))


def _check_image(other: Image | None, image: Image, names: Sequence[str]) -> Iterator[Problem]:
    subject = f"image {image.id}"
    for name in names:
        if name not in image.names:
            yield problem("V101", subject, IMAGES_INDEX, f'expected the name "{name}", which it has in the store, found no such name')
    if not names:
        found = "one of other names" if other else "one that the store does not have"
        yield problem("V102", subject, IMAGES_INDEX, f"expected an image of the store of which a name matches, found {found}")
        return
    for name in image.names:
        if name not in names:
            yield problem("V102", subject, IMAGES_INDEX, f'expected names that it has in the store and that match, found "{name}"')
    members = {**other.members, "names": image.members.get("names")} if other else {}
    if members != image.members or (sorted(names) == sorted(image.names) and [*names] != image.names):
        yield problem("V103", subject, IMAGES_INDEX, "expected the record of the store but for its names, found another")


def _check_symlinks(view: Survey, overlay: Overlay, layout: Layout) -> Iterator[Problem]:
    expected: dict[tuple[str, str], tuple[str, str]] = {}
    for layer in map(LayerID, filter(is_id, view.layers)):
        expected["overlay", layer] = layout.tree(layer), f"layer {layer}"
        expected["overlay-layers", layout.tar_split(layer).rpartition("/")[2]] = layout.tar_split(layer), f"layer {layer}"
    for image in map(ImageID, filter(is_id, view.images)):
        expected["overlay-images", image] = layout.image(image), f"image {image}"
    for (place, name), (target, subject) in expected.items():
        room = overlay.room(place)
        if room is not None and (found := room.target(name)) != f"{_UP}/{target}":
            said = f'"{found}"' if found is not None else room.found(name)
            yield problem("V104", subject, f"{place}/{name}", f'expected a symlink to "{_UP}/{target}", found {said}')
