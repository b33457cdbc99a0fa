"""Ranges of versions as people write them: `>=1.2 <2`, `^1.4`, `~1.4.2`, `1.x`, `1.2 - 1.4`, `1 || 3` (spec U7)."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Self

from attrs import field, frozen
from semver import Version

from cstore.errors import FormatError
from cstore.model.digest import found
from cstore.model.version import parse_version

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VersionRange"]

_LONGEST = 500
_PLACE = r"(?:[0-9]{1,100}|[xX*])"
_VERSION = rf"[vV]?{_PLACE}(?:\.{_PLACE}){{0,2}}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_ONE = re.compile(rf"\s*(?:,\s*)?(>=|<=|~>|[<>=~^])?\s*({_VERSION})(?=[\s,<>=~^]|$)")
_FROM_TO = re.compile(rf"({_VERSION})\s+-\s+({_VERSION})")
_UNKNOWN = re.compile("[xX*]")
_COMPARISONS: dict[str, Callable[[Version, Version], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
_LOWEST = "0"
"""The lowest pre-release: what comes before it comes before all of its version."""


@frozen
class _Bound:
    """One side of a range."""

    comparison: str
    version: Version

    def holds(self, version: Version) -> bool:
        return _COMPARISONS[self.comparison](version, self.version)

    def names(self, version: Version) -> bool:
        """Whether it names a pre-release of the same version."""
        mine = self.version
        return mine.prerelease is not None and (mine.major, mine.minor, mine.patch) == (version.major, version.minor, version.patch)


_NOTHING = (_Bound("<", Version(0, 0, 0, _LOWEST)),)


@frozen
class VersionRange:
    """Which versions somebody wants."""

    text: str = field(eq=False)
    """As it was written."""
    alternatives: tuple[tuple[_Bound, ...], ...]

    @classmethod
    def parse(cls, text: str, at: str = "range") -> Self:
        """Read a range; where bounds follow each other, with or without a comma, all must hold.

        Raises:
            FormatError: it is no range.
        """

        def refuse(why: str) -> FormatError:
            return FormatError(at, f'expected a range of versions such as ">=1.2 <2", "^1.4" or "1.x", found {found(text)}: {why}')

        if len(text) > _LONGEST:
            raise refuse(f"longer than {_LONGEST} characters")
        alternatives = []
        for part in text.split("||"):
            alternative = part.strip()
            if not alternative:
                raise refuse("no version")
            if match := _FROM_TO.fullmatch(alternative):
                alternatives.append((*_bounds(">=", match[1]), *_bounds("<=", match[2])))
                continue
            bounds: list[_Bound] = []
            while alternative:
                match = _ONE.match(alternative)
                if match is None:
                    raise refuse(f"{found(alternative)} is no version with an operator before it")
                bounds += _bounds(match[1] or "=", match[2])
                alternative = alternative[match.end() :]
            alternatives.append(tuple(bounds))
        return cls(text, tuple(alternatives))

    def takes(self, tag: str) -> bool:
        """Whether a tag is a version of this range; a pre-release only if the range names a pre-release of the same version."""
        version = parse_version(tag)
        return version is not None and any(
            all(bound.holds(version) for bound in bounds) and (version.prerelease is None or any(bound.names(version) for bound in bounds))
            for bounds in self.alternatives
        )


def _bounds(sign: str, text: str) -> tuple[_Bound, ...]:
    """Return what an operator and a version mean, of which any number may be missing or `x`."""
    numbers, release = _parts(text)
    if not numbers:
        return _NOTHING if sign in ("<", ">") else ()
    lower = _first(numbers, release)
    if sign in ("~", "~>"):
        return (_Bound(">=", lower), _below(_after(numbers[:2])))
    if sign == "^":
        return (_Bound(">=", lower), _below(_after(numbers[: _significant(numbers)])))
    if len(numbers) == 3:  # noqa: PLR2004 - a whole version
        return (_Bound(sign, lower),)
    return {
        "=": (_Bound(">=", lower), _below(_after(numbers))),
        ">": (_Bound(">=", _after(numbers)),),
        ">=": (_Bound(">=", lower),),
        "<": (_below(lower),),
        "<=": (_below(_after(numbers)),),
    }[sign]


def _parts(text: str) -> tuple[tuple[int, ...], str | None]:
    """Return the numbers before the first `x`, and the pre-release; a version with one is whole."""
    version = parse_version(text)
    if version is not None and version.prerelease is not None:
        return (version.major, version.minor, version.patch), version.prerelease
    numbers: list[int] = []
    for part in text.lstrip("vV").partition("-")[0].split("."):
        if _UNKNOWN.fullmatch(part):
            break
        numbers.append(int(part))
    return tuple(numbers), None


def _significant(numbers: tuple[int, ...]) -> int:
    """Return how many numbers up to the first that is not 0, or all."""
    return next((place for place, number in enumerate(numbers, 1) if number), len(numbers))


def _after(numbers: tuple[int, ...]) -> Version:
    """Return the first version that no longer begins with these numbers."""
    return _first((*numbers[:-1], numbers[-1] + 1))


def _first(numbers: tuple[int, ...], release: str | None = None) -> Version:
    """Return the first version that begins with these numbers."""
    major, minor, patch = (*numbers, 0, 0)[:3]
    return Version(major, minor, patch, release)


def _below(version: Version) -> _Bound:
    """Return the bound below a version and all of its pre-releases."""
    return _Bound("<", version.replace(prerelease=_LOWEST))
