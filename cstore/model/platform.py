"""Platforms: for which machine an image is."""

from __future__ import annotations

import re
from typing import Self

from attrs import frozen

from cstore.errors import FormatError
from cstore.model.digest import found

__all__ = ["Platform"]

_PART = re.compile(r"[a-z0-9_.-]+")
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "i386": ("386", ""),
}
_VARIANTS = {"arm64": ("v8",), "arm": ("v7", "v6", "v5")}


@frozen
class Platform:
    """An operating system, an architecture and its variant, in the words of the OCI image specification (spec M6)."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `OS/ARCH[/VARIANT]`.

        Raises:
            FormatError: the text has another form.
        """
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(map(_PART.fullmatch, parts)):
            raise FormatError("platform", f"expected OS/ARCH or OS/ARCH/VARIANT, found {found(text)}")
        return cls(*parts)

    @classmethod
    def of_machine(cls, machine: str) -> Self:
        """Return the Linux platform of a machine as `uname -m` calls it."""
        architecture, variant = _ARCHITECTURES.get(machine, (machine, ""))
        return cls("linux", architecture, variant)

    def rank(self, other: Platform) -> int | None:
        """Say how well an image for the other platform fits this one: 0 is best, None not at all (spec M6).

        Of several variants a machine runs its own and the older ones; where no variant was asked for, the newest is best.
        """
        if (self.os, self.architecture) != (other.os, other.architecture):
            return None
        variants = _VARIANTS.get(self.architecture, ())
        newest = variants[0] if variants else ""
        asked = self.variant or newest
        wanted = variants[variants.index(asked) :] if asked in variants else (asked,)
        has = other.variant or (newest if asked == newest else "")
        if has in wanted:
            return wanted.index(has)
        return len(wanted) if not other.variant or not self.variant else None

    def runs(self, other: Platform) -> bool:
        """Whether an image for the other platform fits this one at all."""
        return self.rank(other) is not None

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))
