"""Changes of a JSON document: values of other types, huge and hostile ones, members twice, in another case, or elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from random import Random

__all__ = ["in_json"]


class _Members(list[Any]):
    """The members of a JSON object, as pairs: the same key may stand there twice."""


@frozen
class _Raw:
    """JSON as it is to stand there."""

    text: str


_HOSTILE: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    7,
    1.5,
    2**31,
    2**63,
    2**64,
    _Raw("1e400"),
    _Raw("-1e400"),
    _Raw("NaN"),
    _Raw("Infinity"),
    _Raw("1" * 400),
    _Raw("1" * 5000),
    _Raw("[" * 400 + "]" * 400),
    _Raw("[" * 1500 + "]" * 1500),
    _Raw("[" * 100_000 + "]" * 100_000),
    _Raw('{"a":' * 900 + "1" + "}" * 900),
    _Raw('"\\ud800"'),
    _Raw('"\\udc80/\\ud800"'),
    _Raw('"\\u0000"'),
    "",
    ".",
    "..",
    "../..",
    "../../../../../../../etc",
    "/etc/passwd",
    "\N{RIGHT-TO-LEFT OVERRIDE}\N{PILE OF POO}",
    "a" * 300,
    "a" * 200_000,
    ":" * 50_000 + "@x",
    "a/" * 50_000,
    "sha256:" + "f" * 64,
    "sha256:" + "F" * 64,
    "sha512:" + "0" * 128,
    "f" * 64,
    "0001-01-01T00:00:00Z",
    "9999-99-99T99:99:99Z",
    [],
    [None],
    [[]],
    ["", "", None],
    _Members(),
    _Members([["", None]]),
    _Members([["sha256:" + "f" * 64, "../.."], ["a", -1]]),
)


def in_json(random: Random, data: bytes) -> bytes:
    """Change a value, a key or the order of a document; a document that is broken already stays so."""
    try:
        top = [json.loads(data, object_pairs_hook=lambda pairs: _Members([*pair] for pair in pairs))]
    except (ValueError, RecursionError):
        return data
    places = [*_places(top)]
    where, at = random.choice(places)
    way = random.randrange(8)
    if way <= 3:
        where[at] = random.choice(_HOSTILE)
    elif way == 4:
        other, there = random.choice(places)
        where[at] = other[there]
    else:
        _rearrange(random, random.choice([where[at] for where, at in places if isinstance(where[at], list)] or [[]]))
    try:
        return _dumped(top[0]).encode("utf-8", "surrogatepass")
    except RecursionError:
        return data


def _rearrange(random: Random, items: list[Any]) -> None:
    if not items:
        return
    at = random.randrange(len(items))
    way = random.randrange(5)
    if way == 0:
        del items[at]
    elif way == 1:
        items.append(items[at])
    elif way == 2:
        items.insert(0, items.pop(at))
    elif isinstance(items, _Members) and isinstance(items[at], list):
        key, value = items[at]
        changed = random.choice((key.upper(), key.title(), key.replace("s", "\N{LATIN SMALL LETTER LONG S}"), "", "../" + key, "\ud800"))
        items[at] = [changed, value]
        if way == 3:
            items.append([key, random.choice(_HOSTILE)])


def _places(value: list[Any]) -> list[tuple[list[Any], int]]:
    found, left = [], [value]
    while left:
        items = left.pop()
        for number, item in enumerate(items):
            where, at = (item, 1) if isinstance(items, _Members) else (items, number)
            found.append((where, at))
            if isinstance(where[at], list) and len(found) < 10_000:
                left.append(where[at])
    return found


def _dumped(value: object) -> str:
    if isinstance(value, _Raw):
        return value.text
    if isinstance(value, _Members):
        return "{" + ",".join(f"{json.dumps(key)}:{_dumped(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dumped, value)) + "]"
    return json.dumps(value)
