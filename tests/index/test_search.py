"""Finding records: a few times in the bytes, then in tables, and in an index of another form."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cstore.index.gojson import encode
from cstore.index.index import Index, own_form

MANY = 40
"""More searches than are made in the bytes."""

VALUES: list[dict[str, Any]] = [
    {"id": "a", "names": ["x", "é<", "w]"], "layer": "l1"},
    {"id": "b", "names": None, "layer": "l1", "mapped-layers": ["l2", "l3"], "metadata": '"names":["x"]'},
    {"id": "c", "names": ["y", 7, None, "z"], "names-history": ["x"], "deep": {"names": ["x"]}},
    {"id": "d", "names": [["x"], {"k": "x"}], "layer": {"layer": "l1"}},
    {"id": 'e"\\', "names": "x", "layer": "l2"},
]


def index_of(values: list[dict[str, Any]], *, own: bool) -> Index:
    data = own_form([encode(value) for value in values]) if own else json.dumps(values, indent=1).encode()
    index = Index.read("images", data)
    assert index.is_own is own
    return Index.read("images", data, index.lock)


def naive(values: list[dict[str, Any]], text: str, *members: str) -> list[dict[str, Any]]:
    held = [[value.get(member) for member in members] for value in values]
    return [
        value
        for value, these in zip(values, held, strict=True)
        if any(this == text or (isinstance(this, list) and text in this) for this in these)
    ]


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("text", "members", "found"),
    [
        pytest.param("x", ("names",), ["a", 'e"\\'], id="a text in an array, and one that is the member itself"),
        pytest.param("é<", ("names",), ["a"], id="what Go escapes"),
        pytest.param("w]", ("names",), ["a"], id="a bracket in a text"),
        pytest.param("z", ("names",), ["c"], id="after other plain values"),
        pytest.param("l1", ("layer",), ["a", "b"], id="a text"),
        pytest.param("l2", ("layer", "mapped-layers"), ["b", 'e"\\'], id="one of two members"),
        pytest.param("l3", ("layer",), [], id="in another member"),
        pytest.param("\ud800", ("names",), [], id="what no index holds"),
    ],
)
def test_the_records_that_have_a_text_are_found_however_often_one_asks(
    own: bool,  # noqa: FBT001 - both forms
    text: str,
    members: tuple[str, ...],
    found: list[str],
) -> None:
    index = index_of(VALUES, own=own)
    for _ in range(MANY):
        assert [value["id"] for value in index.having(text, *members)] == found


@pytest.mark.parametrize("own", [True, False])
def test_ids_are_found_however_many_are_asked_for(own: bool) -> None:  # noqa: FBT001 - both forms
    values: list[dict[str, Any]] = [{"id": f'{number}"', "x": {"id": f"{number}?"}} for number in range(3 * MANY)]
    index = index_of(values, own=own)
    assert [index.get(value["id"]) for value in values] == values
    assert [index.get(f"{number}?") for number in range(3 * MANY)] == [None] * 3 * MANY
    assert index.get("\ud800") is None


def test_blanks_after_the_name_of_a_member_do_not_hide_what_it_has() -> None:
    data = b'[\n{"id":"a","names" :\t[ "x" , "y" ] ,"layer": "l1"}\n]\n'
    index = Index.read("images", data)
    assert index.is_own
    for text, member in [("x", "names"), ("y", "names"), ("l1", "layer")] * MANY:
        assert [value["id"] for value in index.having(text, member)] == ["a"]


TEXTS = st.text(st.sampled_from([*string.ascii_lowercase[:3], '"', "\\", ",", "[", "]", "{", ":", "é", "<", "\n"]), max_size=4)
PLAIN = st.none() | st.integers(0, 9) | TEXTS
OBJECTS = st.dictionaries(st.sampled_from(["names", "layer"]), TEXTS, max_size=1)
HELD = PLAIN | st.lists(PLAIN | st.lists(TEXTS, max_size=2) | OBJECTS, max_size=4)
RECORDS = st.lists(st.fixed_dictionaries({}, optional={"names": HELD, "layer": HELD, "x": HELD}), max_size=6)


@settings(deadline=None, derandomize=True)
@given(RECORDS, TEXTS, st.booleans())
def test_finding_by_tables_is_finding_by_looking_at_each_record(records: list[dict[str, Any]], text: str, own: bool) -> None:  # noqa: FBT001
    """P2: what a change looks at is found without decoding the other records, and nothing is missed."""
    values = [{"id": f"{number}", **record} for number, record in enumerate(records)]
    index = index_of(values, own=own or not values)
    # A name that several records have twice must be found once a record.
    for members in (("names",), ("layer",), ("names", "layer")) * MANY:
        assert list(index.having(text, *members)) == naive(values, text, *members)
    assert [index.get(value["id"]) for value in values] == values
