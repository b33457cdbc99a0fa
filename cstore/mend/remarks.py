"""What is to be said of an image that can be adopted, but is not all that it would be if it were added from its registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.mend.converter import FoundImage

__all__ = ["remarks_on"]


def remarks_on(image: FoundImage, *, copies: bool) -> tuple[str, ...]:
    """Return what a person who adopts an image should know of it.

    Args:
        image: the image.
        copies: whether its trees are copied, and not used where they lie.
    """
    return tuple(_remarks(image, copies=copies))


def _remarks(image: FoundImage, *, copies: bool) -> Iterator[str]:
    if image.is_rewritten:
        yield "the registry's manifest is not kept, so its digest is unknown"
    owners = sorted({layer.look.owner for layer in image.layers} - {0})
    if owners:
        yield f"its files belong to user {', '.join(map(str, owners))}, whatever the image says"
    seen = sorted({name for layer in image.layers for name in layer.look.reserved if not copies and not layer.repeats})
    if seen:
        yield f"containers see {', '.join(seen[:_MOST])}{' and more' if len(seen) > _MOST else ''}"
    lost = [name for name in image.listed.said if name not in map(str, image.listed.names)]
    if lost:
        names = ", ".join(map(str, image.listed.names))
        yield f"it is called {names}, not {', '.join(lost)}"


_MOST = 5
