"""Which steps can be carried out: one that the writer refuses would keep all the others from being done."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from attrs import define, field

from cstore.delta import PutDirectory, Remove, ReplaceIndex

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.delta import Step

__all__ = ["Feasible"]


@define
class Feasible:
    """Knows what is where in a store. Nothing is written below a directory that is reached through a symlink."""

    _root: Path
    _entered: dict[str, bool] = field(factory=dict)

    def allows(self, step: Step) -> bool:
        """Whether a step can be carried out."""
        if isinstance(step, ReplaceIndex):
            return self.can_replace(step.path) and self.can_replace(step.lock_path)
        if not self._can_enter(step.path.rpartition("/")[0]):
            return False
        if isinstance(step, Remove):
            return True
        mode = self._mode(step.path)
        return mode is None or not (isinstance(step, PutDirectory) or stat.S_ISDIR(mode))

    def can_replace(self, path: str) -> bool:
        """Whether a file can be put at a path without anything else giving way to it."""
        mode = self._mode(path)
        return self._can_enter(path.rpartition("/")[0]) and (mode is None or stat.S_ISREG(mode))

    def _can_enter(self, path: str) -> bool:
        if not path:
            return True
        if path not in self._entered:
            above, _, name = path.rpartition("/")
            mode = self._mode(path)
            self._entered[path] = name != ".." and self._can_enter(above) and (mode is None or stat.S_ISDIR(mode))
        return self._entered[path]

    def _mode(self, path: str) -> int | None:
        try:
            return os.lstat(self._root / path).st_mode
        except OSError:
            return None
