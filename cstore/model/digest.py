"""Digests: `ALGORITHM:HEX`, as the OCI image specification writes them."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Self

from attrs import frozen

from cstore.errors import FormatError

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Digest"]

_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")


@frozen
class Digest:
    """A digest of some bytes (spec D1)."""

    algorithm: str
    """sha256, sha384 or sha512: those that podman accepts in an index."""
    hex: str
    """Lower-case hexadecimal digits, as many as the algorithm gives."""

    @classmethod
    def parse(cls, text: object, at: str = "") -> Self:
        """Read a digest strictly.

        Raises:
            FormatError: the text is no digest of a known algorithm.
        """
        if isinstance(text, str):
            algorithm, _, digits = text.partition(":")
            if len(digits) == _HEX_DIGITS.get(algorithm) and _HEX.fullmatch(digits):
                return cls(algorithm, digits)
        raise FormatError(at, f"expected a digest, found {found(text)}")

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return the sha256 digest of these bytes."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    def hasher(self) -> _Hash:
        """Return a new hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def found(value: object) -> str:
    """Say in a few words what stands where something else was expected."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
        return f'"{shown}"'
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else type(value).__name__


_SHOWN = 100
