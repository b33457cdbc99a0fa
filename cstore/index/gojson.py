"""JSON as Go writes it, and a record rewritten without touching the members that did not change."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # there, and fast, but not in the type stubs
from typing import TYPE_CHECKING

import orjson

from cstore.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["decode", "encode", "members", "rewrite"]

_UNLIKE_GO = re.compile(rb"\\[bf\\]|[<>&]|\xe2\x80[\xa8\xa9]")
_GO = {
    b"\\b": b"\\u0008",
    b"\\f": b"\\u000c",
    b"\\\\": b"\\\\",
    b"<": b"\\u003c",
    b">": b"\\u003e",
    b"&": b"\\u0026",
    b"\xe2\x80\xa8": b"\\u2028",
    b"\xe2\x80\xa9": b"\\u2029",
}
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def encode(value: object) -> bytes:
    """Return a value as containers/storage would write it: compact, with Go's escapes (spec J1, J3).

    Raises:
        FormatError: JSON cannot hold it: text that is no UTF-8, or more levels than orjson knows.
    """
    try:
        data = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise FormatError("", f"expected what JSON can hold, found something else ({error})") from None
    return _UNLIKE_GO.sub(lambda match: _GO[match[0]], data)


def decode(data: bytes, at: str) -> object:
    """Return the value of some JSON, read strictly: no BOM, no trailing comma, nothing after its end.

    Raises:
        FormatError: it is no JSON.
    """
    try:
        return orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise FormatError(at, f"expected JSON, found {_described(data)} ({error})") from None


def members(record: bytes, at: str) -> dict[str, bytes]:
    """Return the members of an object with the bytes of their values, in order; the record must be sound JSON.

    Raises:
        FormatError: it is no object, names a member twice (readers differ on which one counts), or is too deep.
    """
    try:
        return _members(record.decode(), at)
    except RecursionError:
        raise FormatError(at, "expected an object of fewer levels") from None


def _members(text: str, at: str) -> dict[str, bytes]:
    position = _skip(text, 0)
    if text[position : position + 1] != "{":
        raise FormatError(at, "expected an object")
    found: dict[str, bytes] = {}
    position = _skip(text, position + 1)
    while text[position] != "}":
        key, position = scanstring(text, position + 1, True)  # noqa: FBT003 - its signature
        if key in found:
            raise FormatError(f"{at}.{key}" if at else key, "expected a member once, found it twice")
        start = _skip(text, _skip(text, position) + 1)
        _, end = _DECODER.raw_decode(text, start)
        found[key] = text[start:end].encode()
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return found


def rewrite(record: bytes, before: Mapping[str, object], after: Mapping[str, object], at: str = "") -> bytes:
    """Return a record with what differs between `before` and `after`; all its other members keep their bytes.

    Args:
        record: the record's bytes.
        before: its members as `to_dict` gives them.
        after: the members that it is to have; new ones are placed in their order here.
        at: the place of the record, for errors.

    Raises:
        FormatError: the record is no object or names a member twice.
    """
    raw = members(record, at)
    order = list(after)
    for key in [key for key in before if key not in after]:
        raw.pop(key, None)
    for number, key in enumerate(order):
        if before.get(key) == after[key]:
            continue
        value = encode(after[key])
        if key in raw:
            raw[key] = value
        else:
            raw = _inserted(raw, key, value, set(order[number + 1 :]))
    return b"{" + b",".join(encode(key) + b":" + value for key, value in raw.items()) + b"}"


def _inserted(raw: dict[str, bytes], key: str, value: bytes, later: set[str]) -> dict[str, bytes]:
    keys = list(raw)
    place = next((number for number, there in enumerate(keys) if there in later), len(keys))
    items = list(raw.items())
    return dict([*items[:place], (key, value), *items[place:]])


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _described(data: bytes) -> str:
    return "an empty file" if not data else f"{len(data)} bytes that are none"
