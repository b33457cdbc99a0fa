"""Ctrl-C: the program ends in good order, however often somebody presses it."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["Interrupts", "interruptible"]

_SAME = 0.5
"""Seconds within which another signal is taken for the same: terminals, shells and time-outs send several, and the first one has the
program undo what it has begun."""


class Interrupts:
    """Turns signals into `KeyboardInterrupt`.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    # Every verb has one, and importing attrs takes a fifth of what `--version` does.
    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last = float("-inf")
        self.is_over = False
        """Whether the program is ending, so that nothing is left to interrupt."""

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Heed a signal.

        Raises:
            KeyboardInterrupt: it is not the same as the last one.
        """
        now = self._monotonic()
        if self.is_over or now < self._last + _SAME:
            return
        self._last = now
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Heed SIGINT like that while the body runs, and no longer at all when that has come to be over; where it is ignored, it stays so."""
    interrupts = Interrupts()
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupts
        return
    signal.signal(signal.SIGINT, interrupts)
    try:
        yield interrupts
    finally:
        # Python itself would be ended by one that comes while it cleans up.
        signal.signal(signal.SIGINT, signal.SIG_IGN if interrupts.is_over else signal.default_int_handler)
