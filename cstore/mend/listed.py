"""The images that the present converter's images.json lists, and which of them has which name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from cstore.errors import FormatError
from cstore.index.gojson import decode
from cstore.model.chain import ImageID, parse_image_id
from cstore.model.digest import found
from cstore.model.fields import Fields
from cstore.model.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LeftImage", "ListedImage", "list_images", "settled"]


@frozen(kw_only=True)
class ListedImage:
    """An image as images.json lists it."""

    id: ImageID
    said: tuple[str, ...]
    """Its names as they stand there."""
    names: tuple[Reference, ...]
    """Those by which podman could find it."""


@frozen(kw_only=True)
class LeftImage:
    """An image that was not adopted."""

    subject: str
    """Its ID, or the place of its record where that has none."""
    names: tuple[str, ...]
    reason: str
    """What was expected and what was found."""


def list_images(data: bytes, at: str) -> tuple[list[ListedImage], list[LeftImage]]:
    """Read an images.json, however often it lists an image: the names of all its records count.

    Returns the images in the order of their last record, and those whose records are unreadable.

    Raises:
        FormatError: it is no JSON array.
    """
    values = decode(data, at)
    if values is None:
        values = []
    if not isinstance(values, list):
        raise FormatError(at, f"expected an array, found {found(values)}")
    images: dict[ImageID, ListedImage] = {}
    left = []
    for number, value in enumerate(values):
        place = f"images[{number}]"
        try:
            take = Fields(value, place)
            identity = parse_image_id(take.raw("id"), take.at("id"))
            said = take.texts("names")
        except FormatError as error:
            left.append(LeftImage(subject=place, names=(), reason=str(error)))
            continue
        before = images.pop(identity, None)
        said = tuple(dict.fromkeys((*before.said, *said) if before else said))
        images[identity] = ListedImage(id=identity, said=said, names=_references(said))
    return list(images.values()), left


def settled(images: list[ListedImage], fits: Callable[[ImageID], bool]) -> list[ListedImage]:
    """Return the images so that each name belongs to one of them.

    Of several images with one name it is the last that fits this machine's platform, or else the last: the converter appends a
    record when a tag moves, and leaves the name with the old one too.

    Args:
        images: in the order of their records.
        fits: whether an image is for the platform that is wanted.
    """
    claims: dict[Reference, list[ImageID]] = {}
    for image in images:
        for name in image.names:
            claims.setdefault(name, []).append(image.id)
    holders = {name: _holder(claimants, fits) for name, claimants in claims.items()}
    return [evolve(image, names=tuple(name for name in image.names if holders[name] == image.id)) for image in images]


def _holder(claimants: list[ImageID], fits: Callable[[ImageID], bool]) -> ImageID:
    if len(claimants) == 1:
        return claimants[0]
    return ([image for image in claimants if fits(image)] or claimants)[-1]


def _references(said: tuple[str, ...]) -> tuple[Reference, ...]:
    """Return the names that podman could find: each with a tag, and as podman completes it.

    The converter stores an image that was asked for by its digest under a name without tag and digest, which is no image's name.
    """
    references = []
    for text in said:
        name = text.partition("@")[0]
        if ":" not in name.rpartition("/")[2]:
            continue
        try:
            references.append(Reference.parse(name))
        except FormatError:
            continue
    return tuple(dict.fromkeys(references))
