"""Points in time as Go writes them: RFC 3339 with up to nine digits of a second."""

from __future__ import annotations

import datetime as dt
import re
from typing import Self

from attrs import frozen

from cstore.errors import FormatError
from cstore.model.digest import found

__all__ = ["Timestamp"]

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_ZERO = "0001-01-01T00:00:00Z"
_DAY = 86400


@frozen
class Timestamp:
    """A time that keeps its text, since Python's own types have no nanoseconds (spec J5)."""

    text: str

    @classmethod
    def parse(cls, value: object, at: str = "") -> Self:
        """Read a time; None and null are Go's zero time, the year 1.

        Raises:
            FormatError: the value is not of RFC 3339's form, or there is no such day.
        """
        if value is None:
            return cls(_ZERO)
        if not isinstance(value, str) or _parts(value) is None:
            raise FormatError(at, f"expected a time such as 2026-11-24T02:23:13.059Z, found {found(value)}")
        return cls(value)

    @property
    def is_zero(self) -> bool:
        """Whether this is Go's zero time, which stands for none."""
        return self.text == _ZERO

    @property
    def moment(self) -> tuple[int, int]:
        """Seconds since the first day of the year 1 in UTC, and nanoseconds: a pair that compares in the order of time.

        Raises:
            FormatError: the text is no time; it did not come through `parse`.
        """
        parts = _parts(self.text)
        if parts is None:
            raise FormatError("", f"expected a time, found {found(self.text)}")
        return parts


def _parts(text: str) -> tuple[int, int] | None:
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    try:
        days = dt.date(year, month, day).toordinal() - 1
    except ValueError:
        return None
    offset = (int(offset_hours) * 60 + int(offset_minutes)) * 60 if sign else 0
    seconds = days * _DAY + (hour * 60 + minute) * 60 + second - (offset if sign == "+" else -offset)
    return seconds, int((fraction or "").ljust(9, "0"))
