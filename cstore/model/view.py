"""Views: what they are called, and which names of images they show (spec F12)."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING

from cstore.errors import FormatError
from cstore.model.digest import found

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["matching", "parse_pattern", "parse_patterns", "parse_view_name"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,99}")
"""One part of a path that CernVM-FS, its program and a shell take for nothing else (spec C4)."""
_PATTERN = re.compile(r"[\x21-\x7e]{1,500}")


def parse_view_name(text: object, at: str = "view") -> str:
    """Read the name of a view, which is that of its directory.

    Raises:
        FormatError: it is no single part of a path, or one that could be taken for something else.
    """
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise FormatError(at, f"expected a name of up to 100 letters, digits and _.+=-, found {found(text)}")
    return text


def parse_pattern(text: object, at: str = "pattern") -> str:
    """Read a pattern of names, as shells have them: `*`, `?`, `[...]`, each of which takes a slash too.

    Raises:
        FormatError: no name of an image could match it.
    """
    if not isinstance(text, str) or not _PATTERN.fullmatch(text):
        raise FormatError(at, f"expected a pattern of up to 500 printable characters without spaces, found {found(text)}")
    return text


def parse_patterns(texts: Iterable[object], at: str = "patterns") -> tuple[str, ...]:
    """Read the patterns of a view, each once, in their order.

    Raises:
        FormatError: there is none, or one is malformed.
    """
    patterns = tuple(dict.fromkeys(parse_pattern(text, f"{at}[{number}]") for number, text in enumerate(texts)))
    if not patterns:
        raise FormatError(at, "expected at least one pattern of names, found none")
    return patterns


def matching(patterns: Sequence[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of which one of the patterns matches the whole."""
    return tuple(name for name in names if any(_compiled(pattern).match(name) for pattern in patterns))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
