"""What a registry asks for with status 401, from the header WWW-Authenticate (spec Q5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Challenge", "parse_challenges"]

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - as RFC 9110 calls it
_SPACE = re.compile(r"[ \t]*")
_SEPARATORS = re.compile(r"[ \t,]*")
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|(?=,|$))")
_TOKEN_68 = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LONGEST = 16384


@frozen
class Challenge:
    """One way to show who is asking."""

    scheme: str
    """In lower case: `basic`, `bearer`, or another one."""
    parameters: Mapping[str, str] = field(factory=dict)
    """By their names in lower case."""


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Return the challenges of an answer, in order; what comes after something that cannot be read is left out.

    Args:
        values: of the header, each with one challenge or several (RFC 9110, 11.6.1).
    """
    return [challenge for value in values if len(value) <= _LONGEST for challenge in _parsed(value)]


def _parsed(value: str) -> list[Challenge]:
    found: list[Challenge] = []
    parameters: dict[str, str] = {}
    place = _after(_SEPARATORS, value, 0)
    while place < len(value):
        if found and (match := _PARAMETER.match(value, place)):
            given = match[3] if match[2] is None else _ESCAPED.sub(r"\1", match[2])
            parameters.setdefault(match[1].lower(), given)
        elif match := _SCHEME.match(value, place):
            parameters = {}
            found.append(Challenge(match[1].lower(), parameters))
            place = match.end()
            if (lone := _TOKEN_68.match(value, place)) and not _PARAMETER.match(value, place) and not _SCHEME.match(value, place):
                place = lone.end()
            place = _after(_SEPARATORS, value, place)
            continue
        else:
            break
        place = _after(_SPACE, value, match.end())
        if place < len(value) and value[place] != ",":
            break
        place = _after(_SEPARATORS, value, place)
    return found


def _after(pattern: re.Pattern[str], value: str, place: int) -> int:
    match = pattern.match(value, place)
    return match.end() if match else place
