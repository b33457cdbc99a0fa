"""Counting what is wrong in one layer's tree, so that a layer of a hundred thousand files gives one problem of a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from cstore.layer.entry import plain
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.verification.problem import Problem

__all__ = ["Tally"]

_EXAMPLES = 3
_LONGEST = 200


@define
class Tally:
    """What is wrong in one tree, by rule."""

    _found: dict[str, list[str]] = field(factory=dict)
    _counts: dict[str, int] = field(factory=dict)

    def add(self, code: str, path: bytes, said: str) -> None:
        """Note what is wrong at a path of the tree."""
        self._counts[code] = self._counts.get(code, 0) + 1
        examples = self._found.setdefault(code, [])
        if len(examples) < _EXAMPLES:
            examples.append(f"{plain(path)[:_LONGEST] or 'the top directory'}: {said}")

    def __contains__(self, code: str) -> bool:
        return code in self._counts

    def problems(self, layer: str, path: str) -> Iterator[Problem]:
        """Yield one problem for each rule, with the first examples.

        Args:
            layer: its ID.
            path: where its `diff` is in the store.
        """
        for code, examples in sorted(self._found.items()):
            more = self._counts[code] - len(examples)
            yield problem(code, f"layer {layer}", path, "; ".join(examples) + (f"; and {more} more" if more else ""))
