"""Whose the files of a store are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Owners"]


@frozen
class Owners:
    """Either each file has the owner that its image gives to it, or all files belong to one user (spec F8).

    Only root can give files away and make devices. A store that belongs to a plain user stays all his, whoever adds to it, so that
    his rootless podman can run it.
    """

    one: tuple[int, int] | None
    """The user and group to whom all files belong; None where the images tell."""

    @classmethod
    def of(cls, root: Path) -> Owners:
        """Return what holds for all that this process writes into a store at this place, which may be still to be made."""
        if os.geteuid() != 0:
            return cls((os.geteuid(), os.getegid()))
        return cls.there(root) if root.exists() else cls(None)

    @classmethod
    def there(cls, root: Path) -> Owners:
        """Return what holds for the store that is at this place, whoever asks."""
        there = root.stat()
        return cls((there.st_uid, there.st_gid) if there.st_uid != 0 else None)

    @property
    def as_in_image(self) -> bool:
        """Whether files have the owners that their images give to them, and devices are made."""
        return self.one is None

    @property
    def given_to(self) -> tuple[int, int] | None:
        """To whom a new file has to be given, None where it is theirs already, or its image tells."""
        return self.one if os.geteuid() == 0 else None

    def __str__(self) -> str:
        return "as in the images" if self.one is None else f"all files belong to user {self.one[0]}, devices are left out"
