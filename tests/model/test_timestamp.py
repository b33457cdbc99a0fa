from __future__ import annotations

import datetime as dt

import pytest

from cstore.errors import FormatError
from cstore.model.timestamp import Timestamp


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2026-11-24T02:23:13Z", id="seconds"),
        pytest.param("2026-11-24T02:23:13.059Z", id="milliseconds"),
        pytest.param("2026-11-24T02:23:13.123456789Z", id="nanoseconds"),
        pytest.param("2026-11-24T02:23:13.1200+01:00", id="zeros at the end, and an offset"),
        pytest.param("2024-02-29T23:59:59-11:30", id="leap day"),
        pytest.param("0001-01-01T00:00:00Z", id="zero"),
    ],
)
def test_a_time_keeps_its_text(text: str) -> None:
    assert Timestamp.parse(text).text == text


def test_null_is_the_zero_time() -> None:
    assert Timestamp.parse(None).text == "0001-01-01T00:00:00Z"
    assert Timestamp.parse(None).is_zero
    assert not Timestamp.parse("2026-11-24T02:23:13Z").is_zero


@pytest.mark.parametrize(
    ("value", "what"),
    [
        pytest.param("", '""', id="empty"),
        pytest.param("2026-11-24", '"2026-11-24"', id="a day"),
        pytest.param("2026-11-24 02:23:13Z", '"2026-11-24 02:23:13Z"', id="a space for T"),
        pytest.param("2026-11-24T02:23:13", '"2026-11-24T02:23:13"', id="no zone"),
        pytest.param("2026-11-24T02:23:13z", '"2026-11-24T02:23:13z"', id="small z"),
        pytest.param("2026-11-24T02:23:13.Z", '"2026-11-24T02:23:13.Z"', id="a dot without digits"),
        pytest.param("2026-11-24T02:23:13,5Z", '"2026-11-24T02:23:13,5Z"', id="a comma"),
        pytest.param("2026-13-24T02:23:13Z", '"2026-13-24T02:23:13Z"', id="month 13"),
        pytest.param("2026-00-24T02:23:13Z", '"2026-00-24T02:23:13Z"', id="month 0"),
        pytest.param("2026-11-32T02:23:13Z", '"2026-11-32T02:23:13Z"', id="day 32"),
        pytest.param("2026-11-24T24:00:00Z", '"2026-11-24T24:00:00Z"', id="hour 24"),
        pytest.param("2026-11-24T02:60:13Z", '"2026-11-24T02:60:13Z"', id="minute 60"),
        pytest.param("2026-11-24T02:23:60Z", '"2026-11-24T02:23:60Z"', id="leap second, which Go refuses"),
        pytest.param("2026-11-24T02:23:13Z\n", '"2026-11-24T02:23:13Z\n"', id="newline"),
        pytest.param(1700000000, "1700000000", id="number"),
        pytest.param(False, "false", id="false"),
    ],
)
def test_anything_else_is_refused(value: object, what: str) -> None:
    with pytest.raises(FormatError) as error:
        Timestamp.parse(value, "images[2].created")
    assert str(error.value) == f"images[2].created: expected a time such as 2026-11-24T02:23:13.059Z, found {what}"


def test_times_are_compared_by_moment_down_to_the_nanosecond() -> None:
    texts = [
        "0001-01-01T00:00:00Z",
        "2026-11-24T02:23:13+01:00",
        "2026-11-24T02:23:12Z",
        "2026-11-24T02:23:12.000000001Z",
        "2026-11-24T02:23:12.1Z",
        "2026-11-24T01:23:13.5-01:00",
        "9999-12-31T23:59:59Z",
    ]
    moments = [Timestamp.parse(text).moment for text in texts]
    assert moments == sorted(moments)
    assert len(set(moments)) == len(texts)


def test_the_moment_is_in_utc() -> None:
    moment = Timestamp.parse("2026-11-24T02:23:13.5+01:00").moment
    since = dt.datetime(2026, 11, 24, 1, 23, 13, tzinfo=dt.UTC) - dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    assert moment == (since.total_seconds(), 500_000_000)


def test_the_last_moment_of_all_compares_in_any_zone() -> None:
    assert Timestamp.parse("9999-12-31T23:59:59-01:00").moment > Timestamp.parse("9999-12-31T23:59:59Z").moment


@pytest.mark.parametrize("text", ["2023-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "2026-11-24T02:23:13+99:99", "٢٠٢٦-11-24T02:23:13Z"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match=r"^created: expected a time such as "):
        Timestamp.parse(text, "created")


def test_equal_moments_of_other_text_are_equal() -> None:
    assert Timestamp("2026-11-24T02:23:13.50Z").moment == Timestamp("2026-11-24T03:23:13.5+01:00").moment


def test_a_text_that_was_never_checked_has_no_moment() -> None:
    with pytest.raises(FormatError, match=r'^expected a time, found "soon"$'):
        _ = Timestamp("soon").moment
