"""Tags as versions: which are, and which of several is the newest (spec U6, U8)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from semver import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["newest_first", "parse_version"]

_NUMBER = r"[0-9]{1,100}"
_VERSION = re.compile(rf"[vV]?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?")
_DIGITS = re.compile(r"([0-9]+)")


def parse_version(text: str) -> Version | None:
    """Return the version that a tag tells, None where it tells none.

    Numbers that are missing are 0, a `v` before them and zeros before a number mean nothing: `v1.2` is 1.2.0, and `22.04` is 22.4.0.
    What follows a dash is a pre-release, as semantic versions have it.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    major, minor, patch, release = match.groups()
    parts = [part.lstrip("0") or "0" if part.isdigit() else part for part in release.split(".")] if release else []
    return Version(int(major), int(minor or 0), int(patch or 0), ".".join(parts) or None)


def newest_first(tags: Iterable[str]) -> list[str]:
    """Order tags by what they say, since lists of tags tell no dates.

    Versions come first, by precedence, then all other tags, in natural order (`r10` is newer than `r9`). Of two that mean the same
    version, as `1.2` and `v1.2.0`, the later in natural order comes first.
    """
    versions: list[tuple[Version, list[str | int], str]] = []
    others: list[tuple[list[str | int], str]] = []
    for tag in tags:
        version, natural = parse_version(tag), _natural(tag)
        if version is None:
            others.append((natural, tag))
        else:
            versions.append((version, natural, tag))
    return [*(tag for _, _, tag in sorted(versions, reverse=True)), *(tag for _, tag in sorted(others, reverse=True))]


def _natural(tag: str) -> list[str | int]:
    """Return text and numbers in turn, by which tags are compared."""
    return [int(part) if place % 2 else part for place, part in enumerate(_DIGITS.split(tag))]
