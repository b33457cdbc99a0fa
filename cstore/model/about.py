"""cstore.json: what a store says of itself to cstore; podman never reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from attrs import evolve, field, frozen

from cstore.errors import FormatError
from cstore.model.chain import LayerID, parse_layer_id
from cstore.model.digest import found
from cstore.model.fields import Fields, day
from cstore.model.layout import Form, Layout
from cstore.model.view import parse_patterns, parse_view_name

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

__all__ = ["About"]

_VERSION = 1
_VIEW = "view"


@frozen(kw_only=True)
class About:
    """A store's form, and the layers that were retired in it (spec F4)."""

    form: Form = Form.DIRECT
    retired: dict[LayerID, dt.date] = field(factory=dict)
    """Layers that no image uses any more, each with the day since when."""
    views: dict[str, tuple[str, ...]] = field(factory=dict)
    """The views of the store, each with the patterns of the names that it shows (spec F12)."""
    removed_views: dict[str, dt.date] = field(factory=dict)
    """Views that show nothing any more, each with the day since when (spec F16)."""
    is_view: bool = False
    """Whether this is a view, and no store of its own; then its layers are symlinks at their places."""
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
        if form not in (_VIEW, *(item.value for item in Form)):
            raise FormatError(take.at("layout"), f'expected "direct", "sharded" or "view", found {found(form)}')
        retired = take.mapping("retired", day)
        views = take.mapping("views", _patterns)
        removed = take.mapping("removed-views", day)
        return cls(
            form=Form.DIRECT if form == _VIEW else Form(form),
            is_view=form == _VIEW,
            views={parse_view_name(name, take.at("views")): patterns for name, patterns in views.items()},
            removed_views={parse_view_name(name, take.at("removed-views")): day for name, day in removed.items()},
            retired={parse_layer_id(layer, take.at("retired")): day for layer, day in retired.items()},
            unrecognized=take.unrecognized(),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the members of the file, in their order."""
        views = {name: list(patterns) for name, patterns in sorted(self.views.items())}
        removed = {name: day.isoformat() for name, day in sorted(self.removed_views.items())}
        return {
            "version": _VERSION,
            "layout": self.layout_name,
            "retired": {layer: day.isoformat() for layer, day in sorted(self.retired.items())},
            **({"views": views} if views else {}),
            **({"removed-views": removed} if removed else {}),
            **self.unrecognized,
        }

    def with_retired(self, retired: Mapping[LayerID, dt.date]) -> Self:
        """Return the same with just these layers retired."""
        return evolve(self, retired=dict(retired))

    @property
    def layout_name(self) -> str:
        """What the file says of the layout: `direct`, `sharded` or `view`."""
        return _VIEW if self.is_view else self.form.value

    @property
    def all_views(self) -> dict[str, tuple[str, ...]]:
        """The patterns of each view, none for those that show nothing any more."""
        return {**dict.fromkeys(self.removed_views, ()), **self.views}

    @property
    def layout(self) -> Layout:
        """The paths of a store of this form."""
        return Layout(self.form)


def _patterns(value: object, at: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise FormatError(at, f"expected an array, found {found(value)}")
    return parse_patterns(value, at)
