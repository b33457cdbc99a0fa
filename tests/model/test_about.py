from __future__ import annotations

import copy
import datetime as dt

import pytest

from cstore.errors import FormatError
from cstore.model.about import About
from cstore.model.chain import LayerID
from cstore.model.layout import Form

A, B = LayerID("a" * 64), LayerID("b" * 64)
FULL: dict[str, object] = {"version": 1, "layout": "sharded", "retired": {A: "2026-01-02", B: "2025-12-31"}}


def test_every_member_is_read() -> None:
    about = About.from_dict(FULL)
    assert about.form is about.layout.form is Form.SHARDED
    assert about.retired == {A: dt.date(2026, 1, 2), B: dt.date(2025, 12, 31)}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(FULL, id="all members"),
        pytest.param({"version": 1, "layout": "direct", "retired": {}}, id="nothing retired"),
        pytest.param({**FULL, "views": {"a": ["x/*"], "b": ["y", "z"]}, "removed-views": {"c": "2026-01-02"}, "x": 1}, id="views"),
        pytest.param({"version": 1, "layout": "view", "retired": {A: "2026-01-02"}}, id="a view"),
        pytest.param({**FULL, "view": {"of": [1, None]}, "empty": "", "null": None}, id="unknown fields"),
    ],
)
def test_reading_and_writing_back_changes_nothing(value: dict[str, object]) -> None:
    before = copy.deepcopy(value)
    about = About.from_dict(value)
    assert about.to_dict() == before
    assert about.with_retired(about.retired) == about
    assert value == before


def test_a_view_is_of_the_direct_form() -> None:
    about = About.from_dict({"version": 1, "layout": "view", "retired": {}})
    assert (about.is_view, about.form, about.layout_name) == (True, Form.DIRECT, "view")


def test_a_removed_view_has_no_patterns() -> None:
    about = About.from_dict({**FULL, "views": {"b": ["y"]}, "removed-views": {"a": "2026-01-02"}})
    assert about.all_views == {"a": (), "b": ("y",)}
    assert list(about.to_dict()) == ["version", "layout", "retired", "views", "removed-views"]


def test_members_and_layers_are_written_in_order() -> None:
    written = About(retired={B: dt.date(2026, 1, 2), A: dt.date(2026, 1, 2)}, unrecognized={"x": 1}).to_dict()
    assert list(written) == ["version", "layout", "retired", "x"]
    assert list(written["retired"]) == [A, B]  # type: ignore[call-overload]


def test_retiring_keeps_all_else() -> None:
    about = About.from_dict({**FULL, "x": 1})
    retired = {B: dt.date(2026, 3, 4)}
    changed = about.with_retired(retired)
    assert changed.to_dict() == {**FULL, "retired": {B: "2026-03-04"}, "x": 1}
    assert changed.retired is not retired


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        pytest.param([], "cstore.json: expected an object, found an array", id="array"),
        pytest.param({**FULL, "version": None}, "cstore.json.version: expected a whole number, found nothing", id="no version"),
        pytest.param({**FULL, "version": 2}, "cstore.json.version: expected 1, found 2: a newer cstore wrote this store", id="newer"),
        pytest.param({**FULL, "views": []}, "cstore.json.views: expected an object, found an array", id="views are no object"),
        pytest.param({**FULL, "views": {"a": "x"}}, "cstore.json.views['a']: expected an array, found \"x\"", id="patterns are no array"),
        pytest.param(
            {**FULL, "views": {"a": []}},
            "cstore.json.views['a']: expected at least one pattern of names, found none",
            id="no patterns",
        ),
        pytest.param(
            {**FULL, "views": {"../a": ["x"]}},
            'cstore.json.views: expected a name of up to 100 letters, digits and _.+=-, found "../a"',
            id="a view elsewhere",
        ),
        pytest.param(
            {**FULL, "removed-views": {"a": "x"}},
            "cstore.json.removed-views['a']: expected a day such as 2026-11-24, found \"x\"",
            id="no day of removal",
        ),
        pytest.param({**FULL, "layout": None}, "cstore.json.layout: expected text, found nothing", id="no layout"),
        pytest.param(
            {**FULL, "layout": "flat"}, 'cstore.json.layout: expected "direct", "sharded" or "view", found "flat"', id="unknown layout"
        ),
        pytest.param({**FULL, "retired": []}, "cstore.json.retired: expected an object, found an array", id="retired is no object"),
        pytest.param(
            {**FULL, "retired": {"../x": "2026-01-02"}},
            'cstore.json.retired: expected an ID of 64 hexadecimal digits, found "../x"',
            id="a path for a layer",
        ),
        pytest.param(
            {**FULL, "retired": {A: "soon"}},
            f"cstore.json.retired['{A}']: expected a day such as 2026-11-24, found \"soon\"",
            id="no day",
        ),
        pytest.param(
            {**FULL, "retired": {A: 5}},
            f"cstore.json.retired['{A}']: expected a day such as 2026-11-24, found 5",
            id="a number for a day",
        ),
        pytest.param(
            {**FULL, "Layout": "direct"},
            'cstore.json.Layout: expected the member "layout", found one that differs from it in case',
            id="case",
        ),
    ],
)
def test_a_wrong_member_is_named(value: object, sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        About.from_dict(value)
    assert str(error.value) == sentence


def test_a_new_store_is_direct_and_has_nothing_retired() -> None:
    assert About().to_dict() == {"version": 1, "layout": "direct", "retired": {}}
