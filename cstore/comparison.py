"""What differs between two stores, or between one store at two moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from cstore.errors import FormatError
from cstore.index.gojson import decode
from cstore.index.index import EMPTY
from cstore.model.digest import found

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from cstore.index.index import Index
    from cstore.model.chain import LayerID
    from cstore.model.layout import Form
    from cstore.store import Store

__all__ = ["ChangedRecord", "Differences", "ImageName", "MovedName", "Names", "Records", "Retirement", "compare"]


@frozen(kw_only=True)
class ImageName:
    """A name with the ID of its image."""

    name: str
    image: str


@frozen(kw_only=True)
class MovedName:
    """A name that has gone from one image to another; both by their IDs."""

    name: str
    before: str
    after: str


@frozen(kw_only=True)
class Names:
    """The names that differ, each group in order."""

    added: tuple[ImageName, ...] = ()
    removed: tuple[ImageName, ...] = ()
    moved: tuple[MovedName, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved)


@frozen(kw_only=True)
class ChangedRecord:
    """An image or a layer that both stores have, with the members of its record that differ, as JSON calls them, in order."""

    id: str
    members: tuple[str, ...]


@frozen(kw_only=True)
class Records:
    """The images, or the layers, that differ, each group in the order of their IDs."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[ChangedRecord, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@frozen(kw_only=True)
class Retirement:
    """A layer that is noted as retired in one store only, or since another day; None where it is not."""

    layer: LayerID
    before: dt.date | None
    after: dt.date | None


@frozen(kw_only=True)
class Differences:
    """What differs between two stores; false where nothing does."""

    names: Names = Names()
    images: Records = Records()
    layers: Records = Records()
    form: tuple[Form, Form] | None = None
    """Of the first store and of the second, where they differ."""
    retired: tuple[Retirement, ...] = ()
    """In the order of the layers' IDs."""

    def __bool__(self) -> bool:
        return bool(self.names or self.images or self.layers or self.form or self.retired)


def compare(a: Store, b: Store) -> Differences:
    """Return what must change in one store so that it says what the other one says.

    What the indexes and cstore.json say is compared, and no other file is read: a layer ID and the digests in a record tell of the
    content. The order of records and the way they are written do not count, and an absent member is as good as an empty one.
    Records of the same bytes are not decoded.

    Args:
        a: a store as it was, or one to compare with.
        b: the same store later, or another one.

    Raises:
        FormatError: a record that differs is no object with an ID, or has too many levels.
    """
    try:
        before, after = _apart(a.images, b.images)
        return Differences(
            names=_names(before, after),
            images=_records(before, after),
            layers=_records(*_apart(a.layers, b.layers)),
            form=None if a.about.form == b.about.form else (a.about.form, b.about.form),
            retired=tuple(_retired(a.about.retired, b.about.retired)),
        )
    except RecursionError:
        raise FormatError(f"{b.root}", "expected records of fewer levels") from None


def _apart(a: Index, b: Index) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the records of each index of which the other one lacks the bytes, decoded, by ID."""
    if a.data == b.data:
        return {}, {}
    ours, theirs = set(_pieces(a)), set(_pieces(b))
    return _decoded(a, ours - theirs), _decoded(b, theirs - ours)


def _pieces(index: Index) -> Iterable[bytes]:
    """Return the bytes of each record; in the own form each is a line (spec J7)."""
    if index.is_own:
        return index.data[2:-3].split(b",\n") if index.data != EMPTY else ()
    pieces = (index.raw(value["id"]) for _, value in index.all())
    return (piece for piece in pieces if piece is not None)


def _decoded(index: Index, pieces: Iterable[bytes]) -> dict[str, dict[str, Any]]:
    records = {}
    for piece in pieces:
        value = decode(piece, f"{index.name}.json")
        if not isinstance(value, dict) or not isinstance(value.get("id"), str):
            raise FormatError(f"{index.name}.json", f"expected objects with an ID, found {found(value)}")
        records[value["id"]] = value
    return records


def _records(before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> Records:
    pairs = {identity: _members(before[identity], after[identity]) for identity in sorted(before.keys() & after.keys())}
    return Records(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(ChangedRecord(id=identity, members=members) for identity, members in pairs.items() if members),
    )


def _members(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """Return the members that differ; Go leaves out those that are empty (spec J2)."""
    keys = sorted(before.keys() | after.keys())
    values = ((key, before.get(key), after.get(key)) for key in keys)
    return tuple(key for key, old, new in values if (old or new) and not _is_same(old, new))


def _is_same(a: object, b: object) -> bool:
    """Whether two values are the same JSON: in Python, `True` equals `1`."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_is_same(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_is_same, a, b))
    return type(a) is type(b) and a == b


def _names(before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> Names:
    """Return the names that differ. In a store where several images have one name, it can be added or removed more than once."""
    held, holding = _holders(before), _holders(after)
    lost, gained = _by_name(held - holding), _by_name(holding - held)
    added, removed, moved = [], [], []
    for name in sorted(lost.keys() | gained.keys()):
        olds, news = lost.get(name, []), gained.get(name, [])
        both = min(len(olds), len(news))
        moved += [MovedName(name=name, before=old, after=new) for old, new in zip(olds[:both], news[:both], strict=True)]
        removed += [ImageName(name=name, image=old) for old in olds[both:]]
        added += [ImageName(name=name, image=new) for new in news[both:]]
    return Names(added=tuple(added), removed=tuple(removed), moved=tuple(moved))


def _holders(images: Mapping[str, dict[str, Any]]) -> set[tuple[str, str]]:
    """Return each name with the ID of its image."""
    named = ((identity, value.get("names")) for identity, value in images.items())
    return {(name, identity) for identity, names in named if isinstance(names, list) for name in names if isinstance(name, str)}


def _by_name(holders: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, image in sorted(holders):
        groups.setdefault(name, []).append(image)
    return groups


def _retired(before: Mapping[LayerID, dt.date], after: Mapping[LayerID, dt.date]) -> Iterable[Retirement]:
    for layer in sorted(before.keys() | after.keys()):
        if before.get(layer) != after.get(layer):
            yield Retirement(layer=layer, before=before.get(layer), after=after.get(layer))
