"""One record for each ID, one image for each name (spec V3, V6, V11, V20, V45)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from cstore.errors import FormatError
from cstore.model.chain import LayerID, layer_id
from cstore.model.digest import Digest
from cstore.model.reference import Reference
from cstore.model.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cstore.mend.draft import Draft, Record

__all__ = ["drop_duplicates"]

T = TypeVar("T")


def drop_duplicates(images: Draft, layers: Draft) -> None:
    """Leave one record of each ID, and each name at the newest image that has it.

    Of two records of a layer the one stays whose ID is made of its parent and its diff ID, or else the first, which newer readers
    take. Of two records of an image the last stays, which readers take, with the names of both.
    """
    for records in _grouped(layers):
        kept = next((record for record in records if _is_right(record)), records[0])
        for record in records:
            if record is not kept:
                record.after = None
    for records in _grouped(images):
        kept = records[-1]
        kept.set("names", _once(name for record in reversed(records) for name in record.get("names") or ()))
        for record in records[:-1]:
            record.after = None
    _name_once(images)
    counts = Counter(name for record in layers for name in record.get("names") or ())
    for record in layers:
        if any(counts[name] > 1 for name in record.get("names") or ()):
            record.set("names", [name for name in record.get("names") if counts[name] == 1])


def _grouped(draft: Draft) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in draft:
        groups.setdefault(record.id, []).append(record)
    # Records without an ID may be anything's.
    return [records for identity, records in groups.items() if identity and len(records) > 1]


def _is_right(record: Record) -> bool:
    try:
        parent = record.get("parent")
        return layer_id(LayerID(parent) if parent else None, Digest.parse(record.get("diff-digest"))) == record.id
    except FormatError:
        return False


def _name_once(images: Draft) -> None:
    """Complete names as podman does, and leave each at the newest image."""
    holders: dict[str, Record] = {}
    for record in images:
        for name in _named(record):
            first = holders.setdefault(name, record)
            if first is not record and _moment(record) >= _moment(first):
                holders[name] = record
    for record in images:
        record.set("names", [name for name in _named(record) if holders[name] is record])


def _named(record: Record) -> list[str]:
    return _once(_completed(name) for name in record.get("names") or () if name)


def _completed(name: str) -> str:
    """Return a name as podman completes it; one that it would take for none, or that has a tag and a digest, stays."""
    try:
        return str(Reference.parse(name))
    except FormatError:
        return name


def _moment(record: Record) -> tuple[int, int]:
    """Return when an image was made; the beginning of time where that is written as only some readers understand it."""
    try:
        return Timestamp.parse(record.get("created")).moment
    except FormatError:
        return Timestamp.parse(None).moment


def _once(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))
