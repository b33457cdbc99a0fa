"""Patterns of whole names as Go's `path.Match` reads them, which recipes of the present converter are written for (spec U10)."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["is_name_pattern", "name_matches"]

_LONGEST = 500
_SCHEME = re.compile(r"(?:docker|https?)://")
_TOKEN = re.compile(r"(?P<star>\*+)|(?P<any>\?)|\[(?P<not>\^?)(?P<set>(?:\\.|[^\\\]])+)\]|\\(?P<escaped>.)|(?P<plain>[^\\\[])", re.DOTALL)
_MEMBER = re.compile(r"(?P<low>\\.|[^\\-])(?:-(?P<high>\\.|[^\\-]))?", re.DOTALL)


def is_name_pattern(text: str) -> bool:
    """Whether a text is such a pattern: of `*`, `?`, `[a-z]`, `[^a-z]` none takes a slash, and a backslash makes a sign plain."""
    return bool(text) and len(text) <= _LONGEST and None not in _compiled(text)


def name_matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches a whole name, part by part between slashes; a scheme before the pattern means nothing."""
    compiled, parts = _compiled(pattern), name.split("/")
    return len(compiled) == len(parts) and all(one is not None and one.fullmatch(part) for one, part in zip(compiled, parts, strict=True))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    return tuple(_part(part) for part in _SCHEME.sub("", pattern, count=1).split("/"))


def _part(pattern: str) -> re.Pattern[str] | None:
    """Translate what stands between two slashes, None where it is malformed.

    What stands between two stars is taken where it comes first, so that many stars cost no more than few.
    """
    pieces, at = [""], 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        members = _members(token["set"] or "") if token else None
        if token is None or members is None:
            return None
        at = token.end()
        if token["star"]:
            pieces.append("")
        elif token["set"]:
            pieces[-1] += f"[{token['not']}{members}]"
        else:
            pieces[-1] += "." if token["any"] else re.escape(token["escaped"] or token["plain"])
    first, *others = pieces
    if not others:
        return re.compile(first, re.DOTALL)
    *between, last = others
    return re.compile(first + "".join(f"(?>.*?{piece})" for piece in between) + f".*{last}", re.DOTALL)


def _members(text: str) -> str | None:
    """Translate what stands in brackets, None where it is malformed."""
    members, at = "", 0
    while at < len(text):
        match = _MEMBER.match(text, at)
        if match is None:
            return None
        low, high = match["low"][-1], (match["high"] or match["low"])[-1]
        if low > high:
            return None
        members += f"{re.escape(low)}-{re.escape(high)}"
        at = match.end()
    return members
