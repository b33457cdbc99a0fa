"""Offers: in which ways one image is published, each for another kind of reader."""

from __future__ import annotations

from enum import Enum

from cstore.errors import FormatError
from cstore.model.digest import found

__all__ = ["ALL_OFFERS", "Offer", "parse_offers"]


class Offer(Enum):
    """What is published of an image; people choose with `--forms`."""

    PODMAN = "podman"
    """The image in the podman store."""
    LAYERS = "layers"
    """Each layer at the place where the containerd snapshotter looks for it."""
    FLAT = "flat"
    """All layers as one tree for Apptainer, with a public name that leads to it."""
    METADATA = "metadata"
    """The manifest, as the registry has it."""


ALL_OFFERS = frozenset(Offer)


def parse_offers(text: str, at: str = "forms") -> frozenset[Offer]:
    """Read offers parted by commas.

    Raises:
        FormatError: one is unknown, or there is none.
    """
    known = {offer.value: offer for offer in Offer}
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise FormatError(at, f"expected some of {', '.join(known)}, found {found(word)}")
    return frozenset(known[word] for word in words)
