"""Following: rounds for ever, each when it is due or when somebody asks for it, never two at a time."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from attrs import define, field, frozen

from cstore.errors import StoreError
from cstore.sync import events
from cstore.sync.status import Standing, Status, moment, standing, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from cstore.progress import Progress
    from cstore.sync.events import EventLog
    from cstore.sync.inbox import Inbox
    from cstore.sync.report import RoundReport
    from cstore.sync.supervisor import Supervisor

__all__ = ["Clock", "Rounds", "Stopped", "Watch", "heeding", "summary"]

SETTLING = 1.0
"""Seconds for which a watch waits after a notification, since registries tell of one push several times."""
_LONGEST_WAIT = 3600.0
_USUAL_BEAT = 60.0
_BEFORE_PUBLISHING = ("listing tags of", "looking up", "opening", "fetching", "downloading", "verifying")
"""Works at which a round may end when the end is asked for: nothing is published yet."""


class Rounds(Protocol):
    """What carries out rounds."""

    @property
    def moved(self) -> int:
        """A number that grows whenever something moves of which no progress is told, as a request or a byte of a registry."""
        ...

    @property
    def is_publishing(self) -> bool:
        """Whether a round has looked at all and publishes now."""
        ...

    def run(self, wishlists: Sequence[Path], *, only: Collection[str] | None = None, number: int) -> RoundReport:
        """Carry out one round: read the wishlists, look at the registries, and publish in one revision what has changed.

        Args:
            wishlists: the files; they are read anew.
            only: the `registry/repository[:tag]` names to look at, as notifications have them; None for everything.
            number: the number of the round.

        Raises:
            StoreError: the round could not be carried out; what was published before is as it was.
        """
        ...


class Stopped(Exception):  # noqa: N818 - it is no error: the end was asked for
    """A round ended early, before it published anything, since the end of the watch was asked for."""


@frozen
class Clock:
    """The clocks that a watch goes by."""

    utc: Callable[[], dt.datetime]
    """The time of day, in UTC: for people, and never to wait by."""
    monotonic: Callable[[], float]
    """Seconds that never go back."""


def heeding(progress: Progress, inbox: Inbox, supervisor: Supervisor, is_publishing: Callable[[], bool]) -> Progress:
    """Return a progress that is told to the supervisor too, and ends a round that need not go on.

    A round that is asked to stop ends here while it looks, downloads or verifies; once it publishes it runs to its end, though it downloads
    then what it had and lost.
    """

    def heed(work: str) -> None:
        if inbox.stopping and work in _BEFORE_PUBLISHING and not is_publishing():
            raise Stopped

    def told(work: str, subject: str, total: int) -> Callable[[int], object]:
        def moved(size: int) -> object:
            if size:
                supervisor.beat()
            heed(work)
            return advance(size)

        supervisor.beat()
        heed(work)
        advance = progress(work, subject, total)
        return moved

    return told


@define
class Watch:
    """A watch over some wishlists.

    Args:
        rounds: carries the rounds out.
        wishlists: the files.
        every: seconds from the start of one round over everything to that of the next.
        inbox: what is asked of the watch.
        clock: what it goes by.
        supervisor: is told how it goes.
        log: takes the events.
        say: takes a line for people for each round.
    """

    _rounds: Rounds
    _wishlists: Sequence[Path]
    _every: float
    _inbox: Inbox
    _clock: Clock
    _supervisor: Supervisor
    _log: EventLog
    _say: Callable[[str], object]
    status: Status = field(init=False)
    """What is known; exchanged as a whole, so that any thread may read it."""

    def __attrs_post_init__(self) -> None:
        self.status = Status(begun=self._clock.utc())

    def run(self) -> None:
        """Carry out rounds until the end is asked for; the first one at once. A round that fails is told, and the next one comes."""
        number, due, only = 0, self._clock.monotonic(), None
        while not self._inbox.stopping:
            number += 1
            if only is None:
                due = self._clock.monotonic() + self._every
            if not self._round(number, only, self._clock.utc() + dt.timedelta(seconds=due - self._clock.monotonic())):
                break
            only = self._next(due)
        self._supervisor.tell(STOPPING=1, STATUS="ended")

    def notify(self, names: Collection[str]) -> None:
        """Take the names of a registry's notification; from any thread."""
        self._log.tell(events.notified(self._clock.utc(), names))
        self._inbox.look_at(names)

    def _next(self, due: float) -> frozenset[str] | None:
        """Wait for the next round, or the end, and return the names that it is to look at; None for everything."""
        settled: float | None = None
        while True:
            now = self._clock.monotonic()
            self._supervisor.beat()
            if self._inbox.stopping or self._inbox.wants_all or now >= due:
                if self._inbox.wants_all:
                    self._supervisor.tell(RELOADING=1, MONOTONIC_USEC=int(now * 1e6))
                self._take()
                return None
            if self._inbox.wants_some:
                settled = now + SETTLING if settled is None else settled
                if now >= settled:
                    return self._take()
            until = due if settled is None else min(due, settled)
            self._inbox.wait(min(until - now, self._supervisor.beat_every or _LONGEST_WAIT))

    def _take(self) -> frozenset[str]:
        names = self._inbox.take()
        self.status = self.status.take_names(len(names))
        return names

    def _round(self, number: int, only: frozenset[str] | None, next_round: dt.datetime) -> bool:
        """Carry out a round; False if it ended early, since the end was asked for."""
        self.status = self.status.begin(number, self._clock.utc(), only, next_round)
        self._log.tell(events.started(number, self._clock.utc(), only))
        # Only now, when the wishlists are about to be read, is a reload done.
        self._supervisor.tell(READY=1, STATUS=f"round {number} since {moment(self._clock.utc())}")
        try:
            with self._pulse():
                report = self._rounds.run(self._wishlists, only=only, number=number)
        except Stopped:
            self._log.tell(events.stopped(number, self._clock.utc()))
            self._say(f"round {number}: ended before it published anything, as was asked")
            return False
        except (StoreError, OSError) as error:
            self._failed(number, error)
        else:
            self._ended(report)
        return True

    @contextmanager
    def _pulse(self) -> Iterator[None]:
        """Pass on to the supervisor what moves in a round, as long as it does; a round that hangs feeds no watchdog."""
        over = threading.Event()

        def look() -> None:
            seen = self._rounds.moved
            while not over.wait(self._supervisor.beat_every or _USUAL_BEAT):
                if seen != (seen := self._rounds.moved):
                    self._supervisor.beat()

        self._supervisor.beat()
        thread = threading.Thread(target=look, name="pulse", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _failed(self, number: int, error: Exception) -> None:
        now = self._clock.utc()
        said = without_secrets(str(error))
        self.status = self.status.fail(said, now)
        self._log.tell(events.failed(number, now, said))
        self._supervisor.tell(STATUS=f"round {number} failed: {said}; next round at {moment(self.status.next_round)}")
        self._say(f"round {number} failed: {said}")

    def _ended(self, report: RoundReport) -> None:
        self.status = self.status.end(report)
        for event in events.events_of(report):
            self._log.tell(event)
        stands = [standing(image) for image in self.status.images]
        counts = ", ".join(f"{stands.count(kind)} {kind.value}" for kind in Standing if kind in stands) or "none"
        failure = f"{self.status.failure}; " if self.status.error else ""
        self._supervisor.tell(STATUS=f"images: {counts}; {failure}next round at {moment(self.status.next_round)}")
        for line in summary(report):
            self._say(line)


def summary(report: RoundReport) -> list[str]:
    """Return what people are told of a round: what failed, and a line for all of it."""
    lines = [f"round {report.number}: {without_secrets(problem)}" for problem in report.problems]
    lines += [f"round {report.number}: {image.name}: {without_secrets(image.error)}" for image in report.images if image.error is not None]
    lines += [f"round {report.number}: {remark}" for remark in report.remarks]
    outcomes = [image.outcome.value for image in report.images]
    counts = ", ".join(f"{outcomes.count(word)} {word}" for word in sorted(set(outcomes))) or "no images"
    published = "nothing new" if not report.changed else "published" if report.revision is None else f"revision {report.revision}"
    return [*lines, f"round {report.number}: {counts}; {published}"]
