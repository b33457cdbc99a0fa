"""Patterns of tags: a `*` stands for any signs, also for none, and every other sign for itself (spec U4)."""

from __future__ import annotations

import re
from typing import Self

from attrs import frozen

from cstore.errors import FormatError
from cstore.model.digest import found

__all__ = ["TagPattern"]

_ANY = "*"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_PATTERN = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*-]{0,127}")
_OTHER = "/"
"""A sign that no tag and no pattern has."""


@frozen
class TagPattern:
    """A tag, or several by a pattern."""

    text: str

    @classmethod
    def parse(cls, text: str, at: str = "tag") -> Self:
        """Read a pattern.

        Raises:
            FormatError: no tag could match it.
        """
        if not _PATTERN.fullmatch(text):
            raise FormatError(at, f"expected a tag of up to 128 letters, digits and _.-, with * for any of them, found {found(text)}")
        return cls(text)

    @property
    def is_literal(self) -> bool:
        """Whether it is one tag."""
        return _ANY not in self.text

    def matches(self, tag: str) -> bool:
        """Whether a tag is one of those that it stands for."""
        return _matches(self.text, tag)

    def covers(self, other: Self) -> bool:
        """Whether it matches whatever another pattern matches.

        A sign that it has nowhere can be matched by its stars alone, so that one such sign tells of all that the other's stars may be.
        """
        return _matches(self.text, other.text.replace(_ANY, _OTHER))

    def meets(self, other: Self) -> bool:
        """Whether there is a tag that both match."""
        one, two = self.text, other.text
        reached, left = {(0, 0)}, [(0, 0)]
        while left:
            here, there = left.pop()
            for step in _steps(one, two, here, there):
                if step not in reached:
                    reached.add(step)
                    left.append(step)
        return (len(one), len(two)) in reached

    @staticmethod
    def is_tag(text: str) -> bool:
        """Whether registries could have such a tag."""
        return _TAG.fullmatch(text) is not None

    def __str__(self) -> str:
        return self.text


def _matches(pattern: str, text: str) -> bool:
    """Whether a pattern matches the whole text, in a time that grows with neither's number of stars."""
    first, *rest = pattern.split(_ANY)
    if not rest:
        return text == pattern
    *between, last = rest
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for part in between:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _steps(one: str, two: str, here: int, there: int) -> list[tuple[int, int]]:
    """Return how two patterns can go on together from a place in each."""
    first, second = one[here : here + 1], two[there : there + 1]
    steps = []
    if first == _ANY:
        steps.append((here + 1, there))
        if second:
            steps.append((here, there + 1))
    if second == _ANY:
        steps.append((here, there + 1))
        if first:
            steps.append((here + 1, there))
    if first and first == second:
        steps.append((here + 1, there + 1))
    return steps
