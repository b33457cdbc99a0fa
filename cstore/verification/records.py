"""The records of a store's indexes as readers decode them, whatever else is in them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson
from attrs import define, frozen

from cstore.errors import FormatError
from cstore.model.digest import found
from cstore.model.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Image", "Layer", "Wrong", "decoded", "folded", "read_images", "read_layers"]

_LOOSE = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_LARGEST = 2**63
_LARGEST_OWNER = 2**32


@frozen
class Wrong:
    """A record, or a member of one, that readers cannot decode."""

    at: str
    said: str


@define(kw_only=True)
class Layer:
    """A record of layers.json."""

    at: str
    """As errors call it: `layers[3]`."""
    id: str
    parent: str
    """Empty for a base layer."""
    diff_digest: str
    diff_size: int
    compressed_digest: str
    compressed_size: int
    members: dict[str, Any]
    """All that the record holds, by the names that the format has for it."""


@define(kw_only=True)
class Image:
    """A record of images.json."""

    at: str
    id: str
    digest: str
    names: list[str]
    layer: str
    """The top layer; empty for none."""
    big_data: list[str]
    sizes: dict[str, int]
    digests: dict[str, str]
    members: dict[str, Any]


def decoded(data: bytes) -> object:
    """Return the value of some JSON, read as Go reads it: text that is no UTF-8 is no error.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(data.decode("utf-8", "replace"), parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise ValueError(str(error)) from None


def folded(value: object, names: Mapping[str, str], levels: int) -> object:
    """Return a value with its members under the names that a format has for them: Go's decoder does not mind case (spec J6).

    Args:
        value: as JSON has it.
        names: the names of the format, each by its folded form.
        levels: how deep to go.
    """
    if not levels:
        return value
    if isinstance(value, dict):
        return {names.get(key.casefold(), key): folded(item, names, levels - 1) for key, item in value.items()}
    return [folded(item, names, levels - 1) for item in value] if isinstance(value, list) else value


def _refuse(text: str) -> object:
    raise ValueError(text)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _whole(value: object) -> bool:
    return type(value) is int and -_LARGEST <= value < _LARGEST


def _owner(value: object) -> bool:
    return type(value) is int and 0 <= value < _LARGEST_OWNER


def _time(value: object) -> bool:
    """Whether Go takes a value for a time: some versions take more than RFC 3339 has."""
    if not isinstance(value, str):
        return False
    try:
        Timestamp.parse(value)
    except FormatError:
        return _LOOSE.fullmatch(value) is not None
    return True


def _list(item: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(part is None or item(part) for part in value)


def _map(item: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(part is None or item(part) for part in value.values())


_ANYTHING = _map(lambda _value: True)
_OWNERS = _list(lambda value: isinstance(value, dict) and all(part is None or _whole(part) for part in value.values()))
_EXPECTED: Mapping[Callable[[object], bool], str] = {_text: "text", _whole: "a whole number", _time: "a time"}
_TEXTS, _COUNTS = _list(_text), _list(_owner)
_LAYER: Mapping[str, Callable[[object], bool]] = {
    "id": _text,
    "names": _TEXTS,
    "parent": _text,
    "metadata": _text,
    "mountlabel": _text,
    "created": _time,
    "compressed-diff-digest": _text,
    "compressed-size": _whole,
    "diff-digest": _text,
    "diff-size": _whole,
    "compression": _whole,
    "toc-digest": _text,
    "uidset": _COUNTS,
    "gidset": _COUNTS,
    "flags": _ANYTHING,
    "uidmap": _OWNERS,
    "gidmap": _OWNERS,
    "big-data-names": _TEXTS,
}
_IMAGE: Mapping[str, Callable[[object], bool]] = {
    "id": _text,
    "digest": _text,
    "names": _TEXTS,
    "names-history": _TEXTS,
    "layer": _text,
    "mapped-layers": _TEXTS,
    "metadata": _text,
    "big-data-names": _TEXTS,
    "big-data-sizes": _map(_whole),
    "big-data-digests": _map(_text),
    "created": _time,
    "flags": _ANYTHING,
}


def read_layers(values: list[object]) -> Iterator[Layer | Wrong]:
    """Yield each layer, or what is wrong with its record."""
    for number, value in enumerate(values):
        at = f"layers[{number}]"
        members = _members(value, at, _LAYER)
        if isinstance(members, Wrong):
            yield members
            continue
        yield Layer(
            at=at,
            id=members.get("id") or "",
            parent=members.get("parent") or "",
            diff_digest=members.get("diff-digest") or "",
            diff_size=members.get("diff-size") or 0,
            compressed_digest=members.get("compressed-diff-digest") or "",
            compressed_size=members.get("compressed-size") or 0,
            members=members,
        )


def read_images(values: list[object]) -> Iterator[Image | Wrong]:
    """Yield each image, or what is wrong with its record."""
    for number, value in enumerate(values):
        at = f"images[{number}]"
        members = _members(value, at, _IMAGE)
        if isinstance(members, Wrong):
            yield members
            continue
        yield Image(
            at=at,
            id=members.get("id") or "",
            digest=members.get("digest") or "",
            names=[name or "" for name in members.get("names") or ()],
            layer=members.get("layer") or "",
            big_data=[key or "" for key in members.get("big-data-names") or ()],
            sizes={key: size or 0 for key, size in (members.get("big-data-sizes") or {}).items()},
            digests={key: digest or "" for key, digest in (members.get("big-data-digests") or {}).items()},
            members=members,
        )


def _members(value: object, at: str, schema: Mapping[str, Callable[[object], bool]]) -> dict[str, Any] | Wrong:
    """Return the members of a record under the names of the format: Go's decoder does not mind case (spec J6)."""
    if not isinstance(value, dict):
        return Wrong(at, f"expected an object, found {found(value)}")
    members = value
    if not value.keys() <= schema.keys():
        folded = {key.casefold(): key for key in schema}
        members = {folded.get(key.casefold(), key): item for key, item in value.items()}
    for key, item in members.items():
        check = schema.get(key)
        if check is not None and item is not None and not check(item):
            return Wrong(f"{at}.{key}", f"expected {_EXPECTED.get(check, 'what readers decode')}, found {_shown(item)}")
    return members


def _shown(value: object) -> str:
    return found(value) if not isinstance(value, list | dict) else f"{found(value)} with something else in it"
