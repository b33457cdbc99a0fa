"""Rules about chains of layers (spec V13 to V17, V46)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.model.layout import IMAGES_INDEX, LAYERS_INDEX
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.verification.problem import Problem
    from cstore.verification.records import Image, Layer
    from cstore.verification.survey import Survey

__all__ = ["check_chain", "check_parent"]

_MOST_LAYERS = 500
_MOST_LAYERS_OLD = 128
_MOST_MEASURED = 1000
"""Longer chains are not measured, since no reader mounts them anyway."""
_PAGE = 4096
_OF_THE_CONTAINER = 300
"""Bytes of mount data that do not name layers: two directories of the container in the reader's own store, and options."""


def check_parent(survey: Survey, layer: Layer) -> Iterator[Problem]:
    """Check that what is below a layer is there, and that there is an end to it."""
    subject = f"layer {layer.id}"
    if layer.parent and layer.parent not in survey.layers:
        yield problem("V14", subject, LAYERS_INDEX, f"expected a record of its parent {layer.parent}, found none")
    elif survey.is_in_loop(layer.id):
        yield problem("V15", subject, LAYERS_INDEX, "expected a chain that ends, found one in which the layer is below itself")


def check_chain(survey: Survey, image: Image) -> Iterator[Problem]:
    """Check that an image's layers are there and can be mounted."""
    subject = f"image {image.id}"
    if image.layer and image.layer not in survey.layers:
        yield problem("V13", subject, IMAGES_INDEX, f"expected a record of its top layer {image.layer}, found none")
        return
    for layer in image.members.get("mapped-layers") or ():
        if layer and layer not in survey.layers:
            yield problem("V13", subject, IMAGES_INDEX, f"expected a record of its mapped layer {layer}, found none")
    count = survey.length(image)
    if count is None:
        return
    if count > _MOST_LAYERS:
        yield problem("V16", subject, IMAGES_INDEX, f"expected up to {_MOST_LAYERS} layers, found {count}")
    elif count > _MOST_LAYERS_OLD:
        yield problem("V46", subject, IMAGES_INDEX, f"expected up to {_MOST_LAYERS_OLD} layers, found {count}")
    if count <= _MOST_MEASURED:
        yield from _check_size(survey, image, survey.chain(image) or [])


def _check_size(survey: Survey, image: Image, chain: list[str]) -> Iterator[Problem]:
    link = len(survey.readers_root) + len("/overlay/l/") + 1
    size = _OF_THE_CONTAINER + sum(link + len(survey.links.get(layer, "")) for layer in chain)
    if size >= _PAGE:
        said = f"expected less than {_PAGE} bytes to mount at {survey.readers_root}, found about {size} for {len(chain)} layers"
        yield problem("V17", f"image {image.id}", IMAGES_INDEX, said)
