from __future__ import annotations

import datetime as dt

import pytest

from cstore.errors import FormatError
from cstore.hub.about import HubAbout
from cstore.index.gojson import decode

DAY = dt.date(2026, 11, 24)


def test_it_is_read_as_it_was_written_and_keeps_what_is_unknown() -> None:
    about = HubAbout.from_dict({"version": 1, "retired": {".flat/ab/abc": "2026-11-24"}, "later": [1]})
    assert about.retired == {".flat/ab/abc": DAY}
    assert HubAbout.from_dict(decode(about.to_bytes(), "")) == about
    assert about.to_bytes() == b'{"version":1,"retired":{".flat/ab/abc":"2026-11-24"},"later":[1]}\n'
    assert about.with_retired({}).to_bytes() == b'{"version":1,"retired":{},"later":[1]}\n'


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], ".metadata/cstore.json: expected an object, found an array"),
        ({}, ".metadata/cstore.json.version: expected a whole number, found nothing"),
        ({"version": 2}, ".metadata/cstore.json.version: expected 1, found 2: a newer cstore wrote this hub"),
        (
            {"version": 1, "retired": {"a": "yesterday"}},
            ".metadata/cstore.json.retired['a']: expected a day such as 2026-11-24, found \"yesterday\"",
        ),
    ],
)
def test_what_is_malformed_is_refused(given: object, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        HubAbout.from_dict(given)
    assert str(caught.value) == message
