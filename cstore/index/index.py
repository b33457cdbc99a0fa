"""An index: the bytes of images.json or layers.json, and where its records lie in them.

cstore writes one record per line. An index of that form, announced by its lock, is searched and changed as bytes; no record but
those asked for is decoded. Any other index is read whole once, and its records keep their bytes when it is written again.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from cstore.errors import FormatError
from cstore.index import lock as locks
from cstore.index.gojson import decode, encode
from cstore.index.search import Lines, Parsed, Search, Span, spans_in
from cstore.model.digest import found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["EMPTY", "Index", "own_form", "records_in"]

EMPTY = b"[]"
_FIRST = b"[\n"
_BETWEEN = b",\n"
_LAST = b"\n]\n"
_START = b'{"id":"'
_CHUNK = 1 << 18
_UNUSUAL = re.compile(rb'[\\<>&]|\xe2\x80|"id":')


@frozen
class Index:
    """The records of one index. Use `read`, or `empty` for a new store."""

    name: str
    """`images` or `layers`, as errors call its records: `layers[3]`."""
    data: bytes = field(repr=False)
    is_own: bool
    """Whether the bytes are in cstore's own form (spec J7)."""
    is_stale: bool
    """Whether its lock announces another state of it, so that the lock has to be written anew (spec K2)."""
    _spans: tuple[Span, ...] = field(repr=False)
    """Where each record lies; of an index that its lock announces as one of the own form that is not known."""
    _numbers: dict[str, int] = field(repr=False, eq=False)
    _search: Search = field(repr=False, eq=False)

    @classmethod
    def empty(cls, name: str) -> Index:
        """Return an index without records."""
        return cls._own(name, EMPTY)

    @classmethod
    def _own(cls, name: str, data: bytes) -> Index:
        return cls(name=name, data=data, is_own=True, is_stale=False, spans=(), numbers={}, search=Lines(data))

    @classmethod
    def read(cls, name: str, data: bytes, lock: bytes = b"") -> Index:
        """Read an index.

        Args:
            name: `images` or `layers`.
            data: the bytes of the file.
            lock: the bytes of its lock file; where they announce just this index, nothing is decoded.

        Raises:
            FormatError: it is no JSON array of objects with an ID each, or an ID stands there twice.
        """
        told = locks.told(data, lock)
        # Anybody can write the lock that vouches for an index.
        if told is locks.Told.OWN and (data == EMPTY or (data[:2] == _FIRST and data[-3:] == _LAST)):
            return cls._own(name, data)
        values = decode(data, f"{name}.json")
        if not isinstance(values, list):
            raise FormatError(f"{name}.json", f"expected an array, found {found(values)}")
        numbers = cls._numbered(name, values)
        try:
            spans = tuple(spans_in(data))
            is_own = _has_own_form(data, spans, values)
        except RecursionError:
            raise FormatError(f"{name}.json", "expected records of fewer levels") from None
        search = Lines(data) if is_own else Parsed(lambda: decode(data, f"{name}.json"), numbers, spans)  # type: ignore[arg-type, return-value]
        return cls(name=name, data=data, is_own=is_own, is_stale=told is locks.Told.STALE, spans=spans, numbers=numbers, search=search)

    @staticmethod
    def _numbered(name: str, values: Sequence[object]) -> dict[str, int]:
        """Return at which place each ID stands."""
        numbers: dict[str, int] = {}
        for number, value in enumerate(values):
            identity = value.get("id") if isinstance(value, dict) else None
            if not isinstance(identity, str):
                raise FormatError(f"{name}[{number}]", f"expected an object with an ID, found {found(value)}")
            if identity in numbers:
                raise FormatError(f"{name}[{number}].id", f"expected an ID of its own, found that of {name}[{numbers[identity]}]")
            numbers[identity] = number
        return numbers

    @property
    def lock(self) -> bytes:
        """The 64 bytes that its lock file is to hold."""
        return locks.announcement(self.data, own=self.is_own)

    def raw(self, identity: str) -> bytes | None:
        """Return the bytes of a record, None where there is none with this ID."""
        span = self._search.span(identity)
        return self.data[span[0] : span[1]] if span else None

    def get(self, identity: str) -> dict[str, Any] | None:
        """Return a record decoded, None where there is none with this ID."""
        raw = self.raw(identity)
        return None if raw is None else self._object(raw, f"{self.name}[{identity}]")

    def place(self, identity: str) -> str:
        """Return what errors call the record of this ID: `layers[3]`, or `layers[ID]` where counting would cost a reading."""
        return f"{self.name}[{self._numbers.get(identity, identity)}]"

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each record decoded, with its place."""
        if self.is_own:
            return self._decoded_lines()
        values: Any = decode(self.data, f"{self.name}.json")
        return ((f"{self.name}[{number}]", value) for number, value in enumerate(values))

    def mentioning(self, text: str) -> Iterator[dict[str, Any]]:
        """Yield the records in which this text stands as a string of its own, decoded, in order."""
        return (self._object(self.data[start:end], f"{self.name}[at byte {start}]") for start, end in self._search.mentioning(text))

    def having(self, text: str, *members: str) -> Iterator[dict[str, Any]]:
        """Yield the records of which one of these members is this text, or an array that holds it, decoded, in order."""
        for start, end in self._search.having(text, members):
            value = self._object(self.data[start:end], f"{self.name}[at byte {start}]")
            if any(held == text or (isinstance(held, list) and text in held) for held in map(value.get, members)):
                yield value

    def edited(self, changed: Mapping[str, bytes | None], added: Sequence[bytes] = ()) -> Index:
        """Return the index with some records replaced, dropped (None) or added at the end.

        All other records keep their bytes and their order. Where nothing changes, neither does a byte.

        Raises:
            FormatError: a record to be replaced or dropped is not there.
        """
        if not changed and not added:
            return self
        spans = {}
        for identity in changed:
            span = self._search.span(identity)
            if span is None:
                raise FormatError(self.name, f"expected a record with the ID {found(identity)}, found none")
            spans[span] = identity
        if self.is_own:
            kept = self._pieces(changed, spans)
        else:
            records = (changed[spans[span]] if span in spans else self.data[span[0] : span[1]] for span in self._spans)
            kept = [record for record in records if record is not None]
        data = own_form([*kept, *added])
        return Index._own(self.name, data) if self.is_own else Index.read(self.name, data)

    def _pieces(self, changed: Mapping[str, bytes | None], spans: Mapping[Span, str]) -> list[bytes | memoryview]:
        """Return the lines of an index of the own form, changed, with unchanged neighbours in one piece."""
        pieces: list[bytes | memoryview] = []
        data = memoryview(self.data)
        position = len(_FIRST)
        for start, end in sorted(spans):
            if start > position:
                pieces.append(data[position : start - len(_BETWEEN)])
            replacement = changed[spans[start, end]]
            if replacement is not None:
                pieces.append(replacement)
            position = end + len(_BETWEEN)
        rest = data[position : -len(_LAST)]
        return [*pieces, rest] if rest else pieces

    def _decoded_lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the records of an index of the own form, decoded many at once, but not all."""
        number, start, last = 0, len(_FIRST), len(self.data) - len(_LAST)
        while start < last:
            end = self.data.find(_BETWEEN, min(start + _CHUNK, last))
            end = last if end < 0 else end
            values: Any = decode(b"[" + self.data[start:end] + b"]", f"{self.name}[{number}] and what follows")
            for value in values:
                yield f"{self.name}[{number}]", self._checked(value, f"{self.name}[{number}]")
                number += 1
            start = end + len(_BETWEEN)

    @classmethod
    def _object(cls, raw: bytes, where: str) -> dict[str, Any]:
        return cls._checked(decode(raw, where), where)

    @staticmethod
    def _checked(value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict) or not isinstance(value.get("id"), str):
            raise FormatError(where, f"expected an object with an ID, found {found(value)}")
        return value


def records_in(data: bytes) -> list[bytes]:
    """Return the bytes of each record of an index of any form, which must be sound JSON.

    Raises:
        FormatError: the records are too deep, or hold text that is no UTF-8.
    """
    try:
        return [data[start:end] for start, end in spans_in(data)]
    except (RecursionError, UnicodeDecodeError):
        raise FormatError("", "expected records of fewer levels, in UTF-8") from None


def own_form(records: Sequence[bytes | memoryview]) -> bytes:
    """Return an index with these records, a line each (spec J7)."""
    parts = [part for record in records for part in (_BETWEEN, record)]
    return b"".join([_FIRST, *parts[1:], _LAST]) if records else EMPTY


def _has_own_form(data: bytes, spans: Sequence[tuple[int, int]], values: Iterable[object]) -> bool:
    """Whether an index is in the own form: a line for each record, the ID first and once, every text escaped in the one way."""
    if not spans:
        return data == EMPTY
    if data[:2] != _FIRST or data[-3:] != _LAST or spans[0][0] != len(_FIRST) or spans[-1][1] != len(data) - len(_LAST):
        return False
    between = all(data[end:start] == _BETWEEN for (_, end), (start, _) in pairwise(spans))
    return between and all(
        data[start : start + 7] == _START
        and data.find(b"\n", start, end) < 0
        and (not _UNUSUAL.search(data, start + 7, end) or encode(value) == data[start:end])
        for (start, end), value in zip(spans, values, strict=True)
    )
