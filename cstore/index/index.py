"""An index: the bytes of images.json or layers.json, and where its records lie in them.

cstore writes one record per line. An index of that form, announced by its lock, is searched and changed as bytes; no record but
those asked for is decoded. Any other index is read whole once, and its records keep their bytes when it is written again.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from cstore.errors import FormatError
from cstore.index import lock as locks
from cstore.index.gojson import decode, encode
from cstore.model.digest import found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["EMPTY", "Index", "own_form", "records_in"]

EMPTY = b"[]"
_FIRST = b"[\n"
_BETWEEN = b",\n"
_LAST = b"\n]\n"
_START = b'\n{"id":"'
_LINE = re.compile(rb'\n{"id":"((?:[^"\\]|\\.)*")')
_SEARCHES = 8
_UNUSUAL = re.compile(rb'[\\<>&]|\xe2\x80|"id":')


@frozen
class Index:
    """The records of one index. Use `read`, or `empty` for a new store."""

    name: str
    """`images` or `layers`, as errors call its records: `layers[3]`."""
    data: bytes = field(repr=False)
    is_own: bool
    """Whether the bytes are in cstore's own form (spec J7)."""
    _spans: tuple[tuple[int, int], ...] = field(repr=False)
    _numbers: dict[str, int] = field(repr=False, eq=False)
    _lines: dict[bytes, int] = field(factory=dict, repr=False, eq=False)
    """Where lines of the own form begin, by ID as it stands there: those found so far, and all of them after a few searches."""

    @classmethod
    def empty(cls, name: str) -> Index:
        """Return an index without records."""
        return cls(name, EMPTY, True, (), {})  # noqa: FBT003 - positional for attrs

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
        if locks.is_own(data, lock):
            return cls(name, data, True, (), {})  # noqa: FBT003 - positional for attrs
        values = decode(data, f"{name}.json")
        if not isinstance(values, list):
            raise FormatError(f"{name}.json", f"expected an array, found {found(values)}")
        numbers = cls._numbered(name, values)
        try:
            spans = tuple(_spans(data))
            return cls(name, data, _has_own_form(data, spans, values), spans, numbers)
        except RecursionError:
            raise FormatError(f"{name}.json", "expected records of fewer levels") from None

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
        span = self._span(identity)
        return self.data[span[0] : span[1]] if span else None

    def get(self, identity: str) -> dict[str, Any] | None:
        """Return a record decoded, None where there is none with this ID."""
        raw = self.raw(identity)
        return None if raw is None else self._object(raw, identity)

    def place(self, identity: str) -> str:
        """Return what errors call the record of this ID: `layers[3]`, or `layers[ID]` where counting would cost a reading."""
        return f"{self.name}[{self._numbers.get(identity, identity)}]"

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each record decoded, with its place."""
        values: Any = decode(self.data, f"{self.name}.json")
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            # Anybody can write the lock that vouches for an index.
            raise FormatError(f"{self.name}.json", f"expected an array of objects, found {found(values)}")
        return ((f"{self.name}[{number}]", value) for number, value in enumerate(values))

    def mentioning(self, text: str) -> Iterator[dict[str, Any]]:
        """Yield the records in which this text stands as a string of its own, decoded, in order."""
        if not self.is_own:
            for _, value in self.all():
                if _mentions(value, text):
                    yield value
            return
        token = _token(text)
        position = self.data.find(token) if token else -1
        while position >= 0:
            start, end = self._line(position)
            yield self._object(self.data[start:end], f"at byte {start}")
            position = self.data.find(token, end)

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
            span = self._span(identity)
            if span is None:
                raise FormatError(self.name, f"expected a record with the ID {found(identity)}, found none")
            spans[span] = identity
        if self.is_own:
            kept = self._pieces(changed, spans)
        else:
            records = (changed[spans[span]] if span in spans else self.data[span[0] : span[1]] for span in self._spans)
            kept = [record for record in records if record is not None]
        return self._joined([*kept, *added])

    def _joined(self, pieces: Sequence[bytes]) -> Index:
        data = own_form(pieces)
        if self.is_own:
            return Index(self.name, data, True, (), {})  # noqa: FBT003 - positional for attrs
        return Index.read(self.name, data)

    def _pieces(self, changed: Mapping[str, bytes | None], spans: Mapping[tuple[int, int], str]) -> list[bytes]:
        """Return the lines of an index of the own form, changed, with unchanged neighbours in one piece."""
        pieces = []
        position = len(_FIRST)
        for start, end in sorted(spans):
            if start > position:
                pieces.append(self.data[position : start - len(_BETWEEN)])
            replacement = changed[spans[start, end]]
            if replacement is not None:
                pieces.append(replacement)
            position = end + len(_BETWEEN)
        rest = self.data[position : -len(_LAST)]
        return [*pieces, rest] if rest else pieces

    def _span(self, identity: str) -> tuple[int, int] | None:
        if not self.is_own:
            number = self._numbers.get(identity)
            return None if number is None else self._spans[number]
        token = _token(identity)
        position = self._line_of(token[1:]) if token else -1
        return None if position < 0 else self._line(position + 1)

    def _line_of(self, token: bytes) -> int:
        """Return where the line of an ID begins; after a few searches through all bytes, one pass finds all lines."""
        if len(self._lines) < _SEARCHES and token not in self._lines:
            self._lines[token] = self.data.find(_START + token)
            if len(self._lines) == _SEARCHES:
                self._lines.update((match[1], match.start()) for match in _LINE.finditer(self.data))
        return self._lines.get(token, -1)

    def _line(self, position: int) -> tuple[int, int]:
        start = self.data.rfind(b"\n", 0, position) + 1
        end = self.data.find(b"\n", position)
        return start, end - 1 if self.data[end - 1 : end] == b"," else end

    def _object(self, raw: bytes, where: str) -> dict[str, Any]:
        value = decode(raw, f"{self.name}[{where}]")
        if not isinstance(value, dict) or not isinstance(value.get("id"), str):
            raise FormatError(f"{self.name}[{where}]", f"expected an object with an ID, found {found(value)}")
        return value


def records_in(data: bytes) -> list[bytes]:
    """Return the bytes of each record of an index of any form, which must be sound JSON.

    Raises:
        FormatError: the records are too deep, or hold text that is no UTF-8.
    """
    try:
        return [data[start:end] for start, end in _spans(data)]
    except (RecursionError, UnicodeDecodeError):
        raise FormatError("", "expected records of fewer levels, in UTF-8") from None


def own_form(records: Sequence[bytes]) -> bytes:
    """Return an index with these records, a line each (spec J7)."""
    return _FIRST + _BETWEEN.join(records) + _LAST if records else EMPTY


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the elements of a JSON array begin and end; the array must be sound."""
    text = data.decode()
    is_ascii = len(text) == len(data)
    decoder = json.JSONDecoder()
    position, offset, counted = text.index("[") + 1, 0, 0
    while True:
        while text[position] in " \t\r\n,":
            position += 1
        if text[position] == "]":
            return
        _, end = decoder.raw_decode(text, position)
        if is_ascii:
            yield position, end
        else:
            offset += len(text[counted:position].encode())
            length = len(text[position:end].encode())
            yield offset, offset + length
            offset, counted = offset + length, end
        position = end


def _has_own_form(data: bytes, spans: Sequence[tuple[int, int]], values: Iterable[object]) -> bool:
    """Whether an index is in the own form: a line for each record, the ID first and once, every text escaped in the one way."""
    if not spans:
        return data == EMPTY
    if data[:2] != _FIRST or data[-3:] != _LAST or spans[0][0] != len(_FIRST) or spans[-1][1] != len(data) - len(_LAST):
        return False
    between = all(data[end:start] == _BETWEEN for (_, end), (start, _) in pairwise(spans))
    return between and all(
        data[start : start + 7] == _START[1:]
        and data.find(b"\n", start, end) < 0
        and (not _UNUSUAL.search(data, start + 7, end) or encode(value) == data[start:end])
        for (start, end), value in zip(spans, values, strict=True)
    )


def _mentions(value: object, text: str) -> bool:
    left = [value]
    while left:
        item = left.pop()
        if item == text:
            return True
        left += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return False


def _token(text: str) -> bytes:
    """Return a text as it stands in an index of the own form; empty where it cannot stand in one."""
    try:
        return encode(text)
    except FormatError:
        return b""
