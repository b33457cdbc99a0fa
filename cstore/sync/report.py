"""What a round came to: of each image that is wished, and in all."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

__all__ = ["ImageState", "Outcome", "RoundReport"]


class Outcome(Enum):
    """What a round did with one image."""

    ADDED = "added"
    UPDATED = "updated"
    """Its tag had moved, or not all that is offered of it was there."""
    UNCHANGED = "unchanged"
    FAILED = "failed"
    """It keeps what it has."""
    REMOVED = "removed"
    KEPT = "kept"
    """It is wished no more, and stays, since nobody asked to prune or a list could not be read."""


@frozen(kw_only=True)
class ImageState:
    """What is known of one image that is wished, or was, after a round."""

    name: str
    """Its public name, as in `registry.example.org/atlas/analysis:v3`."""
    platform: str
    """`OS/ARCH[/VARIANT]`."""
    wish: str
    """The entry of a wishlist that it comes from; empty where none names it any more."""
    outcome: Outcome
    registry_digest: str | None = None
    """What the registry has under the name, None where it was not told."""
    published_digest: str | None = None
    """The digest of the registry's under which the published image was found, None where none is published."""
    revision: int | None = None
    """The revision with which that came, as far as this process knows; None in a plain directory."""
    published: dt.datetime | None = None
    """When that was, as far as this process knows; UTC."""
    error: str | None = None
    """Why the last try failed, None where it did not."""
    is_ignored: bool = False
    """Whether a wishlist says that its errors are told, and no reason to say that the round failed."""


@frozen(kw_only=True)
class RoundReport:
    """What one round did."""

    number: int
    """Rounds of this process are counted from 1."""
    started: dt.datetime
    ended: dt.datetime
    only: frozenset[str] | None = None
    """The names that it looked at, as they were asked for; None for everything."""
    images: tuple[ImageState, ...] = ()
    """Ordered by name and platform."""
    problems: tuple[str, ...] = ()
    """What concerns no single image: a wishlist or a list of tags that could not be read, a publish that failed."""
    remarks: tuple[str, ...] = ()
    """What is no problem, and hardly meant: wishes that take none of the tags that there are."""
    revision: int | None = None
    """The revision that was made; None where nothing was published, or in a plain directory."""
    changed: bool = False
    """Whether anything was published."""
    layers: int = 0
    """New layers in podman stores."""
    bytes_fetched: int = 0
    """From registries."""
    bytes_streamed: int = 0
    """Of the tar that was streamed into a repository."""
    requests: int = 0
    """To registries."""
    seconds: Mapping[str, float] = field(factory=dict)
    """How long the parts took: `expand`, `look`, `fetch`, `verify`, `publish`."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that is wished is published as the registries have it, and no list was unreadable."""
        return not self.problems and not any(image.error and not image.is_ignored for image in self.images)
