"""How callers are told how long works go on."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "silent"]

Progress = Callable[[str, str, int], Callable[[int], object]]
"""Is told how long works go on: it is called with the work, its subject and the bytes in all, and what it returns with the bytes of
each step."""


def silent(_work: str, _subject: str, _total: int) -> Callable[[int], object]:
    """Tell nobody how a work goes on."""
    return lambda _size: None
