"""How long a registry is waited for, and how often it is asked again (spec Q7, Q8)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Patience", "Tries"]

_JITTER = 0.5
_MOST_DIGITS = 9


@frozen(kw_only=True)
class Patience:
    """The bounds of all waiting; times are in seconds."""

    connect: float = 20.0
    """For a connection to one address of a host."""
    silence: float = 60.0
    """For the next bytes."""
    head: float = 120.0
    """For the whole head of an answer, however slowly it comes."""
    window: float = 60.0
    """After so much waiting for a body it is looked whether enough has come."""
    least: int = 1024
    """Bytes a second that must come, or the connection is given up."""
    tries: int = 5
    """How often something is asked for, unless a try brought something."""
    first_pause: float = 0.5
    """Before the second try; it doubles with each."""
    longest_pause: float = 60.0
    """A registry that asks for a longer pause is not asked again."""
    longest_total: float = 180.0
    """Of all pauses for one thing."""
    rest: float = 60.0
    """For so long a host is left alone that does not answer."""


@define
class Tries:
    """The tries for one thing: what was paused so far, and whether another one is due.

    Args:
        patience: its bounds.
        pause: sleeps so many seconds.
        subject: what it is for: two processes with different subjects do not come back at the same moment.
    """

    patience: Patience
    pause: Callable[[float], object]
    subject: str
    _failed: int = field(default=0, init=False)
    _paused: float = field(default=0.0, init=False)

    def again(self, headers: Mapping[str, str] | None = None, most: int | None = None) -> bool:
        """Pause after a failed try, and say whether there is to be another one.

        Args:
            headers: of the answer that asked to come back later; None where there was none.
            most: tries in all, where they are fewer than usual.
        """
        self._failed += 1
        if self._failed >= min(self.patience.tries, most or self.patience.tries):
            return False
        wanted = seconds_asked_for(headers or {})
        length = self._usual() if wanted is None else max(wanted, self._usual())
        if length > self.patience.longest_pause or self._paused + length > self.patience.longest_total:
            return False
        self._paused += length
        self.pause(length)
        return True

    def had_success(self) -> None:
        """Note that the last try brought something, so that tries count anew; pauses do not."""
        self._failed = 0

    def _usual(self) -> float:
        """Return the pause before the next try, up to half as long again, by no more than its subject."""
        length = self.patience.first_pause * 2.0 ** (self._failed - 1)
        share = sha256(f"{self.subject} {self._failed}".encode(errors="replace")).digest()[0] / 255
        return min(length * (1 + _JITTER * share), self.patience.longest_pause)


def seconds_asked_for(headers: Mapping[str, str]) -> float | None:
    """Return the pause that an answer asks for; None where it asks for none that can be understood.

    A date counts from the answer's own, since the registry's clock is the one that it knows.
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:_MOST_DIGITS])
    try:
        return max((parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
