"""The processes that a forked command line leaves behind: this one becomes their parent, and waits for all of them."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["adopting"]

_CHILD_SUBREAPER = 36


@contextmanager
def adopting() -> Iterator[Callable[[], None]]:
    """Be the parent of whatever the body's processes leave behind, and give what waits until all of it has ended.

    Processes that were there before are none of its business: servers of other tests go on.
    """
    before = _children()
    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1)

    def wait() -> None:
        while left := _children() - before:
            for child in left:
                with suppress(ChildProcessError):
                    os.waitpid(child, 0)

    try:
        yield wait
    finally:
        ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 0)


def _children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):
            found.update(map(int, (task / "children").read_text().split()))
    return found
