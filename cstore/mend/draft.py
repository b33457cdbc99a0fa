"""An index as it is to be: records that stay as they are keep their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field

from cstore.errors import FormatError
from cstore.index.gojson import encode, rewrite
from cstore.index.index import Index, own_form, records_in
from cstore.verification.records import Wrong, read_images, read_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.verification.reading import IndexFile

__all__ = ["Draft", "Record"]


@define
class Record:
    """A record of a draft."""

    raw: bytes = field(repr=False)
    before: dict[str, Any]
    after: dict[str, Any] | None
    """None where the record goes."""

    @property
    def id(self) -> str:
        """Its ID."""
        return str(self.before.get("id") or "")

    def get(self, member: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return a member as it is to be, None where there is none."""
        return (self.after or {}).get(member)

    def set(self, member: str, value: object) -> None:
        """Have a member be something; an empty value leaves it out (spec J2)."""
        if self.after is not None and (value or None) != (self.after.get(member) or None):
            self.after = {key: item for key, item in self.after.items() if key != member} if not value else {**self.after, member: value}

    @property
    def data(self) -> bytes:
        """Its bytes as they are to be."""
        if self.after == self.before or self.after is None:
            return self.raw
        try:
            return rewrite(self.raw, self.before, self.after)
        except FormatError:
            return encode(self.after)


@define
class Draft:
    """The records of one index."""

    name: str
    records: list[Record]
    _was: bytes = field(repr=False)

    @classmethod
    def of(cls, name: str, file: IndexFile) -> Draft:
        """Take the records of an index; those that no reader can decode lose the members that are wrong, or go.

        Args:
            name: `images` or `layers`.
            file: the index as it is.
        """
        try:
            raws = records_in(file.data) if file.values else []
        except FormatError:
            raws = [encode(value) for value in file.values]
        records = []
        for raw, value in zip(raws, file.values, strict=True):
            before = value if isinstance(value, dict) else {}
            after = _decodable(name, before)
            records.append(Record(raw, before, after if after and isinstance(after.get("id"), str) and after["id"] else None))
        return cls(name, records, file.data)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records that stay."""
        return (record for record in self.records if record.after is not None)

    def by_id(self) -> dict[str, Record]:
        """Return the records that stay by their IDs."""
        return {record.id: record for record in self}

    @property
    def index(self) -> Index | None:
        """The index as it is to be; None where it stays as it is.

        Raises:
            FormatError: two records of one ID are left.
        """
        if all(record.after == record.before for record in self.records):
            return None
        return Index.read(self.name, own_form([record.data for record in self]))


def _decodable(name: str, value: dict[str, Any]) -> dict[str, Any] | None:
    """Return a record without the members that readers cannot decode."""
    read = read_layers if name == "layers" else read_images
    left = dict(value)
    while left:
        (found,) = read([left])
        if not isinstance(found, Wrong):
            return left
        member = found.at.partition(".")[2]
        for key in [key for key in left if key.casefold() == member.casefold()]:
            del left[key]
    return None
