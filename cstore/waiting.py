"""Threads whose waiting another thread can end, so that an interrupted program need not wait for what it waited for."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LOOK", "GivenUpError", "Waiter", "ended_by", "pause", "see_wanted"]

LOOK = 0.1
"""Seconds after which whoever waits for what cannot be ended looks whether it is still wanted."""


class GivenUpError(BaseException):
    """Nobody wants any more what this thread does: no error of what it does, so that nothing tries again or tells of it."""


class Waiter(threading.Thread):
    """A thread that waits for others most of its time. It does not keep the program from ending.

    Args:
        target: what it does.
        name: of the thread.
    """

    def __init__(self, target: Callable[[], object], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self._changing = threading.Lock()
        self._ends: list[Callable[[], object]] = []
        self.given_up = threading.Event()

    def give_up(self) -> None:
        """Have all waiting of this thread end with `GivenUpError`, what it is at now and what it comes to."""
        with self._changing:
            self.given_up.set()
            for end in self._ends:
                end()

    @contextmanager
    def ended_by(self, end: Callable[[], object]) -> Iterator[None]:
        """See the function of this name."""
        with self._changing:
            self._ends.append(end)
        try:
            see_wanted()
            yield
        finally:
            with self._changing:
                self._ends.remove(end)
            # What the end has brought about is no failure of what was waited for.
            see_wanted()


def see_wanted() -> None:
    """Go on, if this thread's work is still wanted.

    Raises:
        GivenUpError: it is not.
    """
    thread = threading.current_thread()
    if isinstance(thread, Waiter) and thread.given_up.is_set():
        raise GivenUpError


def pause(seconds: float) -> None:
    """Sleep.

    Raises:
        GivenUpError: nobody wants this thread's work any more.
    """
    thread = threading.current_thread()
    if isinstance(thread, Waiter):
        thread.given_up.wait(seconds)
        see_wanted()
    else:
        time.sleep(seconds)


@contextmanager
def ended_by(end: Callable[[], object]) -> Iterator[None]:
    """Say how the waiting of the body can be ended by another thread; in a thread that is no `Waiter` by a signal only.

    Args:
        end: is called in the other thread, at most while the body runs; it neither waits nor raises.

    Raises:
        GivenUpError: nobody wants this thread's work any more, whatever the body has raised.
    """
    thread = threading.current_thread()
    if isinstance(thread, Waiter):
        with thread.ended_by(end):
            yield
    else:
        yield
