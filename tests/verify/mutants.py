"""Mutants: a file of a store with something changed in it, at random but always the same for the same seed and number."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from random import Random
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Mutant", "mutant"]


@frozen
class Mutant:
    """What a file is to hold instead."""

    name: str
    """What was done, for whoever has to look at it."""
    data: bytes


def mutant(path: str, data: bytes, seed: int, number: int) -> Mutant:
    """Return the mutant of a number; it may be what the file holds already."""
    random = Random(f"{seed}/{number}/{path}")  # noqa: S311 - tests want the same every time
    names = []
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        change = random.choice(_ways(path))
        names.append(change.__name__.strip("_"))
        data = change(random, data)
    return Mutant(f"{path}: {', '.join(names)}", data)


def _ways(path: str) -> Sequence[Callable[[Random, bytes], bytes]]:
    name = path.rpartition("/")[2]
    if name.endswith(".gz"):
        return (*_BYTES, _in_line, _in_line, _in_lines, _in_payload, _in_payload)
    if name.endswith(".json") or name == "manifest" or name.startswith("="):
        return (*_BYTES[:4], *([_in_json] * len(_BYTES)))
    return _BYTES


def _place(random: Random, data: bytes) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 1, 2, 8, 64, 512)))


def _flip(random: Random, data: bytes) -> bytes:
    start, _ = _place(random, data)
    return data[:start] + bytes(byte ^ (1 << random.randrange(8)) for byte in data[start : start + 1]) + data[start + 1 :]


def _insert(random: Random, data: bytes) -> bytes:
    start, _ = _place(random, data)
    what = random.choice((random.randbytes(random.choice((1, 8, 600))), *_TEXTS))
    return data[:start] + what + data[start:]


def _delete(random: Random, data: bytes) -> bytes:
    start, end = _place(random, data)
    return data[:start] + data[end:]


def _duplicate(random: Random, data: bytes) -> bytes:
    start, end = _place(random, data)
    return data[:end] + data[start:end] * random.choice((1, 1, 2, 100)) + data[end:]


def _truncate(random: Random, data: bytes) -> bytes:
    return data[: random.choice((0, random.randrange(len(data) + 1)))]


def _swap(random: Random, data: bytes) -> bytes:
    (start, end), (_, far) = sorted((_place(random, data), _place(random, data)))
    far = max(end, far)
    return data[:start] + data[end:far] + data[start:end] + data[far:]


def _overwrite(random: Random, data: bytes) -> bytes:
    start, end = _place(random, data)
    return data[:start] + random.choice((bytes(end - start), random.randbytes(end - start), b"9" * (end - start))) + data[end:]


_TEXTS = (b"\xff\xfe", b"\0", b"\n", b"../", b"/", b":", b"l/", b'"', b"{", b"}" * 9, b"[" * 2000, b"null", b"-", b"1e400", b"\xed\xa0\x80")
_BYTES = (_flip, _insert, _delete, _duplicate, _truncate, _swap, _overwrite)


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


def _in_json(random: Random, data: bytes) -> bytes:
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


def _in_line(random: Random, data: bytes) -> bytes:
    """Change the JSON of a line of a tar-split."""
    return _repacked(data, random, lambda lines, at: [*lines[:at], _in_json(random, lines[at]), *lines[at + 1 :]])


def _in_lines(random: Random, data: bytes) -> bytes:
    """Change the lines of a tar-split: leave one out, or have it twice, or at another place."""

    def change(lines: list[bytes], at: int) -> list[bytes]:
        rest = lines[:at] + lines[at + 1 :]
        return random.choice((rest, [*lines, lines[at]], [lines[at], *rest], lines * 50))

    return _repacked(data, random, change)


def _in_payload(random: Random, data: bytes) -> bytes:
    """Change the tar of which a line of a tar-split holds a part."""

    def change(lines: list[bytes], at: int) -> list[bytes]:
        try:
            value = json.loads(lines[at])
            payload = base64.b64decode(value["payload"])
            return [
                *lines[:at],
                json.dumps({**value, "payload": base64.b64encode(_in_tar(random, payload)).decode()}).encode(),
                *lines[at + 1 :],
            ]
        except (ValueError, TypeError, KeyError, RecursionError):
            return lines

    return _repacked(data, random, change)


def _in_tar(random: Random, tar: bytes) -> bytes:
    """Change the header of a member so that its checksum still holds, or any bytes."""
    if random.random() < 0.3 or len(tar) < 512:
        return random.choice(_BYTES)(random, tar)
    start = random.randrange(len(tar) // 512) * 512
    header = bytearray(tar[start : start + 512])
    at, length = random.choice(
        ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (329, 8), (345, 155))
    )
    values = (
        bytes(length),
        random.randbytes(length),
        b"7" * length,
        b"\x80" + b"\xff" * (length - 1),
        b"../" * 40,
        b".wh..wh..opq",
        b"x",
        b"g",
        b"L",
        b"1",
    )
    header[at : at + length] = random.choice(values)[:length].ljust(length, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()[:8]
    return tar[:start] + bytes(header) + tar[start + 512 :]


def _repacked(data: bytes, random: Random, change: Callable[[list[bytes], int], list[bytes]]) -> bytes:
    try:
        lines = gzip.decompress(data).splitlines()
    except (OSError, EOFError, zlib.error):
        return data
    if not lines:
        return data
    return gzip.compress(b"\n".join(change(lines, random.randrange(len(lines)))) + b"\n", mtime=0)
