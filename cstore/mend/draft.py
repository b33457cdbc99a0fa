"""An index as it is to be: records that stay as they are keep their bytes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import define, field

from cstore.errors import FormatError
from cstore.index.gojson import encode, rewrite
from cstore.index.index import Index, own_form, records_in
from cstore.index.lock import announcement
from cstore.verification.records import Wrong, read_images, read_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.verification.reading import IndexFile

__all__ = ["Draft", "Record", "lock_of"]


@define
class Record:
    """A record of a draft. Its members are called as the format has them, whatever the case in which they are written (spec J6)."""

    raw: bytes = field(repr=False)
    before: dict[str, Any]
    after: dict[str, Any] | None
    """None where the record goes."""
    _is_usual: bool = field(init=False)
    """Whether each member is written in the one way."""

    def __attrs_post_init__(self) -> None:
        self._is_usual = all(key == key.casefold() for key in self.before)

    @property
    def id(self) -> str:
        """Its ID; empty where it has none."""
        return str(self.get("id") or "")

    def get(self, member: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return a member as it is to be, None where there is none."""
        keys = self._spellings(member)
        return self.after[keys[-1]] if keys and self.after else None

    def set(self, member: str, value: object) -> None:
        """Have a member be something; an empty value leaves it out (spec J2)."""
        if self.after is None or (value or None) == (self.get(member) or None):
            return
        keys = self._spellings(member)
        left = {key: item for key, item in self.after.items() if key not in (keys[:-1] if value else keys)}
        self.after = {**left, keys[-1] if keys else member: value} if value else left

    def _spellings(self, member: str) -> list[str]:
        """Return how a member is written; of several the last counts."""
        members = self.after or {}
        if self._is_usual:
            return [member] if member in members else []
        return [key for key in members if key.casefold() == member]

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

    @classmethod
    def of(cls, name: str, file: IndexFile) -> Draft:
        """Take the records of an index; those that no reader can decode lose the members that are wrong, or go if they are none.

        Args:
            name: `images` or `layers`.
            file: the index as it is.
        """
        try:
            raws = records_in(file.data) if file.values else []
        except FormatError:
            raws = [encode(value) for value in file.values]
        records = [
            Record(raw, value, _decodable(name, value)) if isinstance(value, dict) else Record(raw, {}, None)
            for raw, value in zip(raws, file.values, strict=True)
        ]
        return cls(name, records)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records that stay."""
        return (record for record in self.records if record.after is not None)

    def by_id(self) -> dict[str, Record]:
        """Return the records that stay by their IDs."""
        return {record.id: record for record in self}

    @property
    def data(self) -> bytes | None:
        """The bytes of the index as it is to be; None where it stays as it is.

        Raises:
            FormatError: two records of one ID are left.
        """
        if all(record.after == record.before for record in self.records):
            return None
        counts = Counter(record.id for record in self if record.id)
        for identity in (identity for identity, count in counts.items() if count > 1):
            raise FormatError(f"{self.name}.json", f"expected an ID of its own for each record, found {identity} twice")
        return own_form([record.data for record in self])


def lock_of(name: str, data: bytes) -> bytes:
    """Return the bytes of the lock of an index, which may be one that cstore itself does not read."""
    try:
        return Index.read(name, data).lock
    except FormatError:
        return announcement(data, own=False)


def _decodable(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the members that readers cannot decode."""
    read = read_layers if name == "layers" else read_images
    left = dict(value)
    while isinstance(found := next(iter(read([left]))), Wrong):
        member = found.at.partition(".")[2]
        # Of several in different case the last counts.
        del left[[key for key in left if key.casefold() == member.casefold()][-1]]
    return left
