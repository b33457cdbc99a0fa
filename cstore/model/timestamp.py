"""Points in time as Go writes them: RFC 3339 with up to nine digits of a second."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from attrs import frozen

from cstore.errors import FormatError
from cstore.model.digest import found

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["Timestamp"]

_FORM = re.compile(
    r"(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)",
)
_ZERO = "0001-01-01T00:00:00Z"


@frozen
class Timestamp:
    """A time that keeps its text, since Python's own types have no nanoseconds (spec J5)."""

    text: str

    @classmethod
    def parse(cls, value: object, at: str = "") -> Self:
        """Read a time; None and null are Go's zero time, the year 1.

        Raises:
            FormatError: the value is not of RFC 3339's form.
        """
        if value is None:
            return cls(_ZERO)
        if not isinstance(value, str) or not _FORM.fullmatch(value):
            raise FormatError(at, f"expected a time such as 2026-11-24T02:23:13.059Z, found {found(value)}")
        return cls(value)

    @property
    def is_zero(self) -> bool:
        """Whether this is Go's zero time, which stands for none."""
        return self.text == _ZERO

    @property
    def moment(self) -> tuple[dt.datetime, int]:
        """The time in UTC in whole seconds, and its nanoseconds: a pair that compares in the order of time."""
        from dateutil import parser, tz  # noqa: PLC0415 - only comparing needs it, and it takes 40 ms to import

        match = _FORM.fullmatch(self.text)
        if match is None:
            raise FormatError("", f"expected a time, found {found(self.text)}")
        seconds, fraction, offset = match.groups()
        whole = parser.isoparse(seconds + offset)
        if not self.text.startswith("0001-01-01"):
            whole = whole.astimezone(tz.UTC)
        return whole, int((fraction or "").ljust(9, "0"))
