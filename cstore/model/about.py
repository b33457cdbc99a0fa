"""cstore.json: what a store says of itself to cstore; podman never reads it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Self

from attrs import evolve, field, frozen

from cstore.errors import FormatError
from cstore.model.chain import LayerID, parse_layer_id
from cstore.model.digest import found
from cstore.model.fields import Fields
from cstore.model.layout import Form, Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["About"]

_VERSION = 1


@frozen(kw_only=True)
class About:
    """A store's form, and the layers that were retired in it (spec F4)."""

    form: Form = Form.DIRECT
    retired: dict[LayerID, dt.date] = field(factory=dict)
    """Layers that no image uses any more, each with the day since when."""
    unrecognized: dict[str, Any] = field(factory=dict)

    @classmethod
    def from_dict(cls, value: object, at: str = "cstore.json") -> Self:
        """Read the file from what the JSON decoder gave.

        Raises:
            FormatError: a member has the wrong type or form, or the file is of a version that cstore does not know.
        """
        take = Fields(value, at)
        version = take.count("version")
        if version != _VERSION:
            raise FormatError(take.at("version"), f"expected {_VERSION}, found {version}: a newer cstore wrote this store")
        form = take.text("layout")
        if form not in (item.value for item in Form):
            raise FormatError(take.at("layout"), f'expected "direct" or "sharded", found {found(form)}')
        retired = take.mapping("retired", _day)
        return cls(
            form=Form(form),
            retired={parse_layer_id(layer, take.at("retired")): day for layer, day in retired.items()},
            unrecognized=take.unrecognized(),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the members of the file, in their order."""
        return {
            "version": _VERSION,
            "layout": self.form.value,
            "retired": {layer: day.isoformat() for layer, day in sorted(self.retired.items())},
            **self.unrecognized,
        }

    def with_retired(self, retired: Mapping[LayerID, dt.date]) -> Self:
        """Return the same with just these layers retired."""
        return evolve(self, retired=dict(retired))

    @property
    def layout(self) -> Layout:
        """The paths of a store of this form."""
        return Layout(self.form)


def _day(value: object, at: str) -> dt.date:
    try:
        return dt.date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise FormatError(at, f"expected a day such as 2026-11-24, found {found(value)}") from None
