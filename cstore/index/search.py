"""Where records lie in the bytes of an index, by their ID and by what their members hold."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Protocol

from cstore.errors import FormatError
from cstore.index.gojson import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["Lines", "Parsed", "Search", "Span", "spans_in"]

Span = tuple[int, int]
"""The first byte of a record, and the one after its last."""

_START = b'\n{"id":"'
_TEXT = rb'"(?:[^"\\]|\\.)*"'
_LINE = re.compile(rb"\n{\"id\":(" + _TEXT + rb")")
_EACH = re.compile(_TEXT)
_VALUE = rb"[ \t\r]*:[ \t\r]*(" + _TEXT + rb'|\[[^][\n"]*(?:' + _TEXT + rb'[^][\n"]*)*\])'
"""A text, or an array of texts and other plain values, after the name of its member."""
_SEARCHES = 32
"""So many cost about what a pass costs: 2 to 6 ms each in 35 MB, and the pass 0.1 to 0.2 s."""


class Search(Protocol):
    """Finds the records of one index."""

    def span(self, identity: str) -> Span | None:
        """Return where the record of an ID lies, None where there is none."""
        ...

    def mentioning(self, text: str) -> Iterator[Span]:
        """Yield the records in which a text may stand as a string of its own, in order."""
        ...

    def having(self, text: str, members: Sequence[str]) -> Iterator[Span]:
        """Yield the records of which one of these members may be a text, or an array that holds it, in order."""
        ...


class Lines:
    """The records of an index of the own form: a line each.

    What is asked for a few times is looked for in the bytes; after that one pass over them finds all there is of the kind.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._starts: dict[bytes, int] = {}
        """Where lines begin, by ID as it stands there: those found so far, and all of them after a few searches."""
        self._searches: dict[str, int] = {}
        """How often something was looked for in a member."""
        self._holders: dict[str, dict[bytes, list[int]]] = {}
        """Of members that were searched often: where each text stands in them."""

    def span(self, identity: str) -> Span | None:
        """Return where the record of an ID lies, None where there is none."""
        token = _token(identity)
        position = self._start_of(token) if token else -1
        return None if position < 0 else self._line(position + 1)

    def _start_of(self, token: bytes) -> int:
        if len(self._starts) < _SEARCHES and token not in self._starts:
            self._starts[token] = self._data.find(_START + token[1:])
            if len(self._starts) == _SEARCHES:
                self._starts.update((match[1], match.start()) for match in _LINE.finditer(self._data))
        return self._starts.get(token, -1)

    def mentioning(self, text: str) -> Iterator[Span]:
        """Yield the records in which a text stands as a string of its own, in order."""
        token = _token(text)
        position = self._data.find(token) if token else -1
        while position >= 0:
            line = self._line(position)
            yield line
            position = self._data.find(token, line[1])

    def having(self, text: str, members: Sequence[str]) -> Iterator[Span]:
        """Yield the records of which one of these members is a text, or an array that holds it, and maybe others that hold it."""
        if any(self._is_rare(member) for member in members):
            yield from self.mentioning(text)
            return
        token = _token(text)
        positions = {position for member in members for position in self._holders[member].get(token, ())}
        yield from sorted({self._line(position) for position in positions})

    def _is_rare(self, member: str) -> bool:
        """Count a search in a member; whether there were too few to make a table of it."""
        if member in self._holders:
            return False
        self._searches[member] = self._searches.get(member, 0) + 1
        if self._searches[member] <= _SEARCHES:
            return True
        key = re.escape(_token(member))
        table: dict[bytes, list[int]] = {}
        for match in re.finditer(key + _VALUE, self._data):
            for token in _EACH.findall(match[1]):
                table.setdefault(token, []).append(match.start())
        self._holders[member] = table
        return False

    def _line(self, position: int) -> Span:
        start = self._data.rfind(b"\n", 0, position) + 1
        end = self._data.find(b"\n", position)
        return start, end - 1 if self._data[end - 1 : end] == b"," else end


class Parsed:
    """The records of an index of any form, which was read whole once. It is decoded again for each member that is asked for.

    Args:
        values: decodes the records.
        numbers: at which place each ID stands.
        spans: where each record lies.
    """

    def __init__(self, values: Callable[[], Iterable[Mapping[str, object]]], numbers: Mapping[str, int], spans: Sequence[Span]) -> None:
        self._values = values
        self._numbers = numbers
        self._spans = spans
        self._holders: dict[str, dict[str, list[int]]] = {}

    def span(self, identity: str) -> Span | None:
        """Return where the record of an ID lies, None where there is none."""
        number = self._numbers.get(identity)
        return None if number is None else self._spans[number]

    def mentioning(self, text: str) -> Iterator[Span]:
        """Yield the records in which a text stands as a string of its own, in order."""
        return (span for span, value in zip(self._spans, self._values(), strict=True) if _mentions(value, text))

    def having(self, text: str, members: Sequence[str]) -> Iterator[Span]:
        """Yield the records of which one of these members is a text, or an array that holds it, in order."""
        numbers = {number for member in members for number in self._table(member).get(text, ())}
        return (self._spans[number] for number in sorted(numbers))

    def _table(self, member: str) -> Mapping[str, Sequence[int]]:
        if member not in self._holders:
            table: dict[str, list[int]] = {}
            for number, value in enumerate(self._values()):
                held = value.get(member)
                for text in held if isinstance(held, list) else (held,):
                    if isinstance(text, str):
                        table.setdefault(text, []).append(number)
            self._holders[member] = table
        return self._holders[member]


def spans_in(data: bytes) -> Iterator[Span]:
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
