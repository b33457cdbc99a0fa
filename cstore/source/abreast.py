"""Works done side by side that look as if they were done one after the other: same results, same error, same progress."""

from __future__ import annotations

import os
import threading
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import frozen

from cstore.waiting import LOOK, Waiter, see_wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cstore.progress import Progress

__all__ = ["MOST_WORKERS", "Work", "abreast", "usual_workers"]

T = TypeVar("T")

MOST_WORKERS = 4
"""More hardly pay, since much of a work has Python's lock, and each takes memory."""


@frozen
class Work(Generic[T]):
    """A piece of work."""

    name: str
    """What is done, as `Progress` takes it."""
    subject: str
    size: int
    """Bytes in all."""
    run: Callable[[Callable[[int], object]], T]
    """Does it. It calls what it is given with the bytes of each step, often enough: that raises where the work is no longer wanted."""


class _UnwantedError(Exception):
    """A work ends early, since one before it has failed or the caller was interrupted."""


def usual_workers() -> int:
    """Return how many works to do at once on this machine: as many as it has processors for this process, and not too many."""
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


def abreast(works: Sequence[Work[T]], workers: int, progress: Progress) -> list[T]:
    """Do works, some at once, and return what they return, in their order.

    The first one in their order that fails decides: its error is raised, whenever it came. Those after it are stopped, those before it
    go on to their end, since one of them might fail too. On return, and on any error, no work is going on any more: one that waits for
    others, as for a registry, is told to give up. Only where the end of that is interrupted too, threads may be left, and they neither go
    on for long nor keep the program from ending.

    Args:
        works: in the order in which one alone would do them.
        workers: how many are done at once, each in a thread of its own, so that the caller's can end them at any moment; with 1 all is done
            in the caller's thread.
        progress: is told of one work after the other, in order, in the caller's thread; of one that began before its turn, what it did
            until then is told at once, and while nothing comes, 0 again and again, so that it can end the works.

    Raises:
        Exception: whatever the first failing work raises.
    """
    if workers <= 1:
        return [work.run(progress(work.name, work.subject, work.size)) for work in works]
    crew = _Crew(works, progress)
    threads = [Waiter(crew.work, f"cstore-work-{number}") for number in range(min(workers, len(works)))]
    try:
        for thread in threads:
            thread.start()
        return crew.results()
    finally:
        crew.stop()
        for thread in threads:
            thread.give_up()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


class _Crew(Generic[T]):
    """What the threads share: which work is next, which are still wanted, and what they have to tell."""

    def __init__(self, works: Sequence[Work[T]], progress: Progress) -> None:
        self._works = works
        self._progress = progress
        self._lock = threading.Lock()
        self._next = 0
        self._end = len(works)
        """Works from here on are not wanted."""
        self._told: SimpleQueue[tuple[int, int | None]] = SimpleQueue()
        """Of a work, by its number: bytes of a step; None at its end."""
        self._results: dict[int, T] = {}
        self._errors: dict[int, BaseException] = {}

    def work(self) -> None:
        """Do one work after the other, until none is left that is wanted."""
        while True:
            with self._lock:
                number = self._next
                if number >= self._end:
                    return
                self._next += 1
            try:
                self._results[number] = self._works[number].run(partial(self._advance, number))
            except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
                self._errors[number] = error
                self._stop_from(number + 1)
            self._told.put((number, None))

    def results(self) -> list[T]:
        """Tell how the works go on, and return their results."""
        early = dict.fromkeys(range(len(self._works)), 0)
        ended: set[int] = set()
        for number, work in enumerate(self._works):
            advance = self._progress(work.name, work.subject, work.size)
            if early[number]:
                advance(early[number])
            while number not in ended:
                try:
                    told, size = self._told.get(timeout=LOOK)
                except Empty:
                    see_wanted()
                    told, size = number, 0
                if size is None:
                    ended.add(told)
                elif told == number:
                    advance(size)
                else:
                    early[told] += size
            if number in self._errors:
                raise self._errors[number]
        return [self._results[number] for number in range(len(self._works))]

    def stop(self) -> None:
        """Have all works end that are going on."""
        self._stop_from(0)

    def _stop_from(self, number: int) -> None:
        with self._lock:
            self._end = min(self._end, number)

    def _advance(self, number: int, size: int) -> None:
        if number >= self._end:
            raise _UnwantedError
        self._told.put((number, size))
