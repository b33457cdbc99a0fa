"""Hosts that do not answer are left alone for a while, so that nobody waits for them again and again (spec Q16)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from attrs import define, frozen

from cstore.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.registry.patience import Patience

__all__ = ["Breaker", "Failure", "Question"]

_LONGEST = 3600.0
_FORGOTTEN = 5
"""After so many times the usual rest without a failed try, earlier ones say nothing any more."""


@frozen
class Failure:
    """A try to which a host gave no answer, or none but that it wants to be left alone."""

    host: str
    """With the port where one is given."""
    why: str
    wait: float | None = None
    """Seconds for which the host wants to be left alone; None where it said nothing at all."""


@frozen
class Question:
    """One thing that is asked for, by any number of tries."""

    subject: str
    """Tells it from others."""
    answers: int
    """How many answers there had been when it began, of all hosts."""


@define
class _Host:
    """What is known of a host."""

    answered: int = 0
    """The number of its last answer, of those of all hosts."""
    failing: str = ""
    """The first question of which a try failed since."""
    since: float = 0.0
    """When that was."""
    last: float = 0.0
    """When the last try failed."""
    silences: int = 0
    """How many tries brought nothing at all since."""
    unanswered: str | None = None
    """A question of which all tries failed, with no other answer since."""
    until: float | None = None
    """When one question is let through; None where the host is asked as usual."""
    why: str = ""
    let_through: int = 0
    """The thread whose question that is."""


class Breaker:
    """Knows which hosts are left alone, for any number of threads.

    A host is left alone when no other answer of it came meanwhile, and either all tries of one question have failed, and then one of
    another question; or it said nothing at all for as long as it is then left alone, to as many tries as a question has, of more than
    one: a path that is broken does not speak for its host. After a while one question is let through: an answer to it has all be asked
    again, another failure none for as long again.

    Args:
        patience: for how long a host is left alone, unless it wants more, up to an hour; and how many tries a question has.
        now: a clock, in seconds.
    """

    def __init__(self, patience: Patience, now: Callable[[], float]) -> None:
        self._rest = patience.rest
        self._tries = patience.tries
        self._now = now
        self._lock = threading.Lock()
        self._answers = 0
        self._hosts: dict[str, _Host] = {}

    def see(self, host: str, at: str) -> None:
        """Go on, if a host may be asked by this thread.

        Args:
            host: with the port where one is given.
            at: what errors call what is asked for.

        Raises:
            SourceError: it is left alone.
        """
        with self._lock:
            found = self._hosts.get(host)
            if found is None or found.until is None or found.let_through == threading.get_ident():
                return
            if self._now() < found.until:
                raise SourceError(f"{at}: expected an answer from {host}, which did not answer before ({found.why})")
            # This one is let through; its thread may end without an answer, so the next one is after as long again.
            found.until = self._now() + self._rest
            found.let_through = threading.get_ident()

    def answered(self, host: str) -> None:
        """Note that a host has answered, so that all may ask it."""
        with self._lock:
            self._answers += 1
            self._hosts[host] = _Host(answered=self._answers)

    def question(self, subject: str) -> Question:
        """Begin a question."""
        return Question(subject, self._answers)

    def is_hopeless(self, question: Question, failure: Failure) -> bool:
        """Note a failed try, and return whether the host is left alone now: then there is no use in another try."""
        with self._lock:
            now, found = self._now(), self._of(failure.host)
            if not found.failing or (found.until is None and now > found.last + _FORGOTTEN * self._rest):
                found = self._hosts[failure.host] = _Host(answered=found.answered, failing=question.subject, since=now)
            found.last = now
            found.silences += failure.wait is None
            is_silent = found.silences >= self._tries and now - found.since >= self._rest and found.failing != question.subject
            if found.until is not None or found.unanswered not in (None, question.subject) or is_silent:
                wait = max(self._rest, min(failure.wait or 0.0, _LONGEST))
                found.until, found.why, found.let_through = max(found.until or now, now + wait), failure.why, 0
            return found.until is not None

    def ended(self, question: Question, failure: Failure) -> None:
        """Note that the last try of a question failed."""
        with self._lock:
            found = self._of(failure.host)
            if found.unanswered is None and found.answered <= question.answers:
                found.unanswered = question.subject

    def _of(self, host: str) -> _Host:
        return self._hosts.setdefault(host, _Host())
