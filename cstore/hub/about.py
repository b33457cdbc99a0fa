"""`.metadata/cstore.json`: what a hub says of itself to cstore; no reader of images looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from attrs import evolve, field, frozen

from cstore.errors import FormatError
from cstore.hub.layout import ABOUT
from cstore.index.gojson import encode
from cstore.model.fields import Fields, day

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

__all__ = ["HubAbout"]

_VERSION = 1


@frozen(kw_only=True)
class HubAbout:
    """What was retired in a hub (spec H6)."""

    retired: dict[str, dt.date] = field(factory=dict)
    """Trees that no name needs any more, by their paths, each with the day since when."""
    unrecognized: dict[str, Any] = field(factory=dict)

    @classmethod
    def from_dict(cls, value: object, at: str = ABOUT) -> Self:
        """Read the file from what the JSON decoder gave.

        Raises:
            FormatError: a member has the wrong type or form, or the file is of a version that cstore does not know.
        """
        take = Fields(value, at)
        version = take.count("version")
        if version != _VERSION:
            raise FormatError(take.at("version"), f"expected {_VERSION}, found {version}: a newer cstore wrote this hub")
        return cls(retired=take.mapping("retired", day), unrecognized=take.unrecognized())

    def with_retired(self, retired: Mapping[str, dt.date]) -> Self:
        """Return the same with just these trees retired."""
        return evolve(self, retired=dict(retired))

    def to_bytes(self) -> bytes:
        """Return the bytes of the file."""
        retired = {path: day.isoformat() for path, day in sorted(self.retired.items())}
        return encode({"version": _VERSION, "retired": retired, **self.unrecognized}) + b"\n"
