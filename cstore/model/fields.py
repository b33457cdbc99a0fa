"""The one checked way from a decoded JSON object to the fields of a record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from cstore.errors import FormatError
from cstore.model.digest import Digest, found

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Fields", "day", "text", "whole"]

T = TypeVar("T")


class Fields:
    """The members of one JSON object, taken one by one; what was never asked for is left for `unrecognized`.

    A member that is `null` reads as an absent one, as in Go.

    Args:
        value: what the JSON decoder gave; it is not changed.
        at: the place of the object, for errors.

    Raises:
        FormatError: the value is no object; so do all the methods when a member has the wrong type, naming the member.
    """

    def __init__(self, value: object, at: str) -> None:
        if not isinstance(value, Mapping):
            raise FormatError(at, f"expected an object, found {found(value)}")
        self._members: Mapping[str, object] = value
        self._at = at
        self._asked: set[str] = set()

    def at(self, key: str) -> str:
        """Return the place of a member."""
        return f"{self._at}.{key}" if self._at else key

    def raw(self, key: str) -> object:
        """Return a member as it was decoded, None where it is absent or null."""
        self._asked.add(key)
        return self._members.get(key)

    def text(self, key: str) -> str:
        """Return a member that must be text."""
        return text(self.raw(key), self.at(key))

    def text_or(self, key: str, default: str) -> str:
        """Return a text, or the default where the member is absent."""
        value = self.raw(key)
        return default if value is None else text(value, self.at(key))

    def count_or(self, key: str, default: int) -> int:
        """Return a whole number, or the default where the member is absent."""
        value = self.raw(key)
        return default if value is None else whole(value, self.at(key))

    def count(self, key: str) -> int:
        """Return a member that must be a whole number of at least 0."""
        value = whole(self.raw(key), self.at(key))
        if value < 0:
            raise FormatError(self.at(key), f"expected a number of at least 0, found {value}")
        return value

    def digest(self, key: str) -> Digest:
        """Return a member that must be a digest."""
        return Digest.parse(self.raw(key), self.at(key))

    def digest_or_none(self, key: str) -> Digest | None:
        """Return a digest, None where the member is absent or empty."""
        value = self.raw(key)
        return None if value is None or value == "" else Digest.parse(value, self.at(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an array of texts, empty where the member is absent."""
        return self.items(key, text)

    def counts(self, key: str) -> tuple[int, ...]:
        """Return an array of whole numbers, empty where the member is absent."""
        return self.items(key, whole)

    def items(self, key: str, read: Callable[[object, str], T]) -> tuple[T, ...]:
        """Return an array whose items are read by `read(value, place)`, empty where the member is absent."""
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise FormatError(self.at(key), f"expected an array, found {found(value)}")
        return tuple(read(item, f"{self.at(key)}[{number}]") for number, item in enumerate(value))

    def mapping(self, key: str, read: Callable[[object, str], T]) -> dict[str, T]:
        """Return an object used as a map, its values read by `read(value, place)`, empty where the member is absent."""
        value = self.raw(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise FormatError(self.at(key), f"expected an object, found {found(value)}")
        return {name: read(item, f"{self.at(key)}[{name!r}]") for name, item in value.items()}

    def unrecognized(self) -> dict[str, object]:
        """Return the members that were never asked for, as they are.

        Raises:
            FormatError: one of them differs from a member that was asked for only in case. Go's decoder takes the two for
                one (spec J6), so a reader of the store would see a value that cstore did not.
        """
        left = {key: value for key, value in self._members.items() if key not in self._asked}
        folded = {key.casefold(): key for key in self._asked} if left else {}
        for key in left:
            if (known := folded.get(key.casefold())) is not None:
                raise FormatError(self.at(key), f'expected the member "{known}", found one that differs from it in case')
        return left


def text(value: object, at: str) -> str:
    """Read text, for `items` and `mapping`."""
    if not isinstance(value, str):
        raise FormatError(at, f"expected text, found {found(value)}")
    return value


def whole(value: object, at: str) -> int:
    """Read a whole number, for `items` and `mapping`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise FormatError(at, f"expected a whole number, found {found(value)}")
    return value


def day(value: object, at: str) -> dt.date:
    """Read a day such as 2026-11-24, for `items` and `mapping`."""
    try:
        return dt.date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise FormatError(at, f"expected a day such as 2026-11-24, found {found(value)}") from None
