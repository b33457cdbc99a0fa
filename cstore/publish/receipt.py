"""What is told of a batch that was published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from cstore.delta import Delta

__all__ = ["Receipt"]


@frozen(kw_only=True)
class Receipt:
    """What was published."""

    delta: Delta = field(repr=False)
    names: tuple[str, ...]
    """Under which names images were added or tagged, in order."""
    images: int
    """Images that were to be added."""
    layers: int
    """New layers."""
    known_layers: int
    """Layers of these images that were there already, and stay as they are."""
    entries: int
    """Entries written."""
    bytes_written: int
    owners: str
    """Whose the files are."""
    devices_left_out: tuple[str, ...]
    """Devices that only root could have made."""
    xattrs_left_out: int
    """Extended attributes that the place does not keep, that only root can set, or that would tell overlay or SELinux something."""
    expanding_symlinks: tuple[str, ...]
    """Symlinks with `$(` in their text, which CernVM-FS clients expand."""
    seconds: float
    """From the first look at the store to the end."""
    revision: int | None = None
    """The revision of the repository; None in a plain directory, or where there was nothing to do.

    Behind a gateway, where others publish at the same time, it is the first that is known to hold the change.
    """
    root_hash: str | None = None
    """The root hash of that revision; None also where somebody else has published since, so that it is not told any more."""
    bytes_streamed: int = 0
    """Of the tar that was streamed into the repository."""
