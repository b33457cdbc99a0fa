from __future__ import annotations

import attrs
import pytest

from cstore.changes import Add, Change, Drop, Tag
from cstore.model.reference import Reference

NAME = Reference.parse("a.b/c")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param(Tag(name="a", new_name=NAME), "new_name", id="tag"),
        pytest.param(Drop(name="a"), "name", id="drop"),
    ],
)
def test_a_change_is_a_frozen_value(change: Change, field: str) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(change, field, "b")


@pytest.mark.parametrize("kind", [Add, Tag, Drop])
def test_a_change_is_made_by_keywords(kind: type[Change]) -> None:
    assert all(member.kw_only for member in attrs.fields(kind))


def test_equal_changes_are_equal() -> None:
    assert Drop(name="a") == Drop(name="a")
    assert Tag(name="a", new_name=Reference.parse("b")) != Tag(name="a", new_name=Reference.parse("c"))
