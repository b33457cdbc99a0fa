"""One YAML document of somebody else's as values that know their places: no tags, no bombs, nothing read without end (spec U1, U2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, TypeAlias

import yaml
from attrs import define, evolve, field, frozen
from yaml import events
from yaml.reader import ReaderError

from cstore.model.digest import found

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LARGEST", "MOST_VALUES", "Document", "Items", "Members", "Place", "Problem", "Text", "Value", "parse_document", "told"]

LARGEST = 4 << 20
"""The most bytes that a document may have."""
MOST_VALUES = 100_000
"""The most values that it may have, and that may be read in it where it says one several times."""
_DEEPEST = 20
_MERGE = "<<"
_NULLS = ("", "~", "null", "Null", "NULL")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE_ORDER_MARK = "\ufeff"


class _Mark(Protocol):
    """A place as a reader of YAML tells it, counted from 0."""

    line: int
    column: int


@frozen(order=True)
class Place:
    """Where something stands; both are counted from 1."""

    line: int
    column: int


_START = Place(1, 1)


@frozen(order=True)
class Problem:
    """What is wrong at a place: what was expected there, and what was found."""

    place: Place
    said: str


class _HopelessError(Exception):
    """Something is so wrong that reading ends there."""

    def __init__(self, place: Place, said: str) -> None:
        super().__init__(said)
        self.problem = Problem(place, said)


@frozen
class Text:
    """A text as it is written; a null is one without signs."""

    place: Place
    text: str
    is_null: bool = False


@frozen
class Items:
    """A list."""

    place: Place
    items: tuple[Value, ...]


@frozen
class Members:
    """A mapping; what `<<` brings in comes after its own members."""

    place: Place
    members: tuple[tuple[Text, Value], ...]


Value: TypeAlias = Text | Items | Members


def told(value: Value) -> str:
    """Say in a few words what a value is."""
    if isinstance(value, Text):
        return "nothing" if value.is_null else found(value.text)
    return "a list" if isinstance(value, Items) else "a mapping"


@frozen
class Document:
    """What was read of a document."""

    value: Value | None
    """None where reading ended before it did."""
    problems: tuple[Problem, ...] = ()


def parse_document(data: bytes) -> Document:
    """Read the one document of a file. It raises nothing, whatever the bytes are.

    A problem is whatever is no YAML, and what a wishlist never needs: tags, several documents, a key twice, far too many values.
    """
    if len(data) > LARGEST:
        return Document(None, (Problem(_START, f"expected at most {LARGEST} bytes, found more"),))
    building = _Building()
    try:
        return _built(data, building)
    except UnicodeDecodeError as error:
        problem = Problem(_place_in(data[: error.start].decode()), f"expected UTF-8, found the byte 0x{data[error.start]:02x}")
    except yaml.MarkedYAMLError as error:
        said = ", ".join(filter(None, (error.context, error.problem)))
        problem = Problem(_marked(error.problem_mark or error.context_mark), f"expected YAML, found an error: {said}")
    except (ValueError, OverflowError) as error:
        # An escape such as "\UFFFFFFFF" is no sign that Python knows.
        problem = Problem(building.last, f"expected YAML, found an error after this place: {error}")
    except _HopelessError as error:
        problem = error.problem
    return Document(None, (*building.problems, problem))


def _built(data: bytes, building: _Building) -> Document:
    text = data.decode().removeprefix(_BYTE_ORDER_MARK)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            building.take(event)
    except ReaderError as error:
        raise _HopelessError(
            _place_in(text[: error.position]), f"expected text, found the sign U+{ord(text[error.position]):04X}"
        ) from None
    return building.result()


def _place_in(before: str) -> Place:
    lines = before.split("\n")
    return Place(len(lines), len(lines[-1]) + 1)


@define
class _Open:
    """A list or mapping that has not ended."""

    place: Place
    anchor: str | None
    is_list: bool
    values: list[Value] = field(factory=list)
    """Of a mapping, keys and values in turn."""


@define
class _Building:
    """Makes values of the events of a reader, without going down into what is nested."""

    problems: list[Problem] = field(factory=list)
    last: Place = _START
    """Where the last value began."""
    _open: list[_Open] = field(factory=list)
    _anchors: dict[str, Value] = field(factory=dict)
    _documents: list[Value] = field(factory=list)
    _count: int = 0

    def take(self, event: events.Event) -> None:
        """Take the next event."""
        if isinstance(event, events.SequenceEndEvent | events.MappingEndEvent):
            ended = self._open.pop()
            self._add(Items(ended.place, tuple(ended.values)) if ended.is_list else self._mapping(ended), ended.anchor)
        elif isinstance(event, events.NodeEvent):
            self.last = _marked(event.start_mark)
            self._node(event, self.last)

    def _node(self, event: events.NodeEvent, place: Place) -> None:
        self._counted(1, place)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._told(place, f"expected no tag, found {found(tag)}")
        if not self._open and self._documents:
            raise _HopelessError(place, "expected one document, found another")
        if isinstance(event, events.AliasEvent):
            value = self._anchors.get(event.anchor or "")
            if value is None:
                raise _HopelessError(place, f"expected the name of an anchor that ends before it, found {found(event.anchor)}")
            self._add(evolve(value, place=place))
        elif isinstance(event, events.ScalarEvent):
            if _SURROGATE.search(event.value):
                self._told(place, "expected text, found half of a sign of UTF-16")
            is_null = event.style is None and event.value in _NULLS
            self._add(Text(place, "" if is_null else event.value, is_null), event.anchor)
        else:
            if len(self._open) == _DEEPEST:
                raise _HopelessError(place, f"expected values nested up to {_DEEPEST} deep, found more")
            self._open.append(_Open(place, event.anchor, isinstance(event, events.SequenceStartEvent)))

    def _add(self, value: Value, anchor: str | None = None) -> None:
        if anchor is not None:
            self._anchors[anchor] = value
        (self._open[-1].values if self._open else self._documents).append(value)

    def _mapping(self, ended: _Open) -> Members:
        members: dict[str, tuple[Text, Value]] = {}
        merged: list[tuple[Text, Value]] = []
        for key, value in zip(ended.values[::2], ended.values[1::2], strict=True):
            if not isinstance(key, Text):
                self._told(key.place, f"expected a key, found {told(key)}")
            elif key.text == _MERGE:
                merged += self._merged(value)
            elif key.text in members:
                before = members[key.text][0].place.line
                self._told(key.place, f"expected each key once, found {found(key.text)} again, as in line {before}")
            else:
                members[key.text] = key, value
        for key, value in merged:
            members.setdefault(key.text, (key, value))
        return Members(ended.place, tuple(members.values()))

    def _merged(self, value: Value) -> Iterator[tuple[Text, Value]]:
        """Yield the members that `<<` brings into a mapping; those that come first count."""
        for part in value.items if isinstance(value, Items) else (value,):
            if isinstance(part, Members):
                self._counted(len(part.members), part.place)
                yield from part.members
            else:
                self._told(part.place, f"expected a mapping to merge, found {told(part)}")

    def _counted(self, number: int, place: Place) -> None:
        self._count += number
        if self._count > MOST_VALUES:
            raise _HopelessError(place, f"expected at most {MOST_VALUES} values, found more")

    def _told(self, place: Place, said: str) -> None:
        self.problems.append(Problem(place, said))

    def result(self) -> Document:
        """Return the document."""
        if not self._documents:
            return Document(None, (Problem(_START, "expected a wishlist, found nothing"),))
        return Document(self._documents[0], tuple(self.problems))


def _marked(mark: _Mark | None) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else _START
