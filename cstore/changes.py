"""What a caller may want of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from cstore.model.reference import Reference
    from cstore.source.image import SourceImage

__all__ = ["Add", "Change", "Drop", "Tag"]


@frozen(kw_only=True)
class Add:
    """An image is to be in the store under these names."""

    image: SourceImage
    names: tuple[Reference, ...]


@frozen(kw_only=True)
class Tag:
    """The image with one name is to have another one too."""

    name: str
    """A name or an ID."""
    new_name: Reference


@frozen(kw_only=True)
class Drop:
    """A name is to go, and the image with it if that was its last one."""

    name: str
    may_be_gone: bool = False
    """Whether it is as good if there is no image of that name."""


Change = Add | Tag | Drop
