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
_ASSUMED_VARIANTS = {"arm64": "v8", "arm": "v7"}


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

    def runs(self, other: Platform) -> bool:
        """Whether an image for the other platform is the one that is meant by this one; without a variant, any will do."""
        if (self.os, self.architecture) != (other.os, other.architecture):
            return False
        assumed = _ASSUMED_VARIANTS.get(self.architecture, "")
        return not self.variant or self.variant == (other.variant or assumed)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))
