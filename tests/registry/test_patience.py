from __future__ import annotations

import pytest

from cstore.registry.patience import Patience, Tries, seconds_asked_for

DATE = "Tue, 24 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"Retry-After": "7"}, 7, id="seconds"),
        pytest.param({"Retry-After": " 0 "}, 0, id="at once"),
        pytest.param({"Retry-After": "9" * 1000}, 999_999_999, id="for ever"),
        pytest.param({"Retry-After": "Tue, 24 Nov 2026 12:00:09 GMT", "Date": DATE}, 9, id="a date"),
        pytest.param({"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT", "Date": DATE}, 0, id="a date that has passed"),
        pytest.param({"Retry-After": "Tue, 24 Nov 2026 12:00:09 GMT"}, None, id="a date without the registry's own"),
        pytest.param({"Retry-After": "Tue, 24 Nov 2026 12:00:09", "Date": DATE}, None, id="a date without a zone"),
        pytest.param({"Retry-After": "soon", "Date": DATE}, None, id="something else"),
        pytest.param({"Retry-After": "-1", "Date": DATE}, None, id="less than nothing"),
    ],
)
def test_what_a_registry_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_asked_for(headers) == seconds


def tries(pauses: list[float], subject: str = "x", **bounds: float) -> Tries:
    return Tries(Patience(**bounds), pauses.append, subject)  # type: ignore[arg-type]  # some are whole numbers


def test_pauses_double_and_end() -> None:
    pauses: list[float] = []
    some = tries(pauses)
    assert [some.again() for _ in range(5)] == [True, True, True, True, False]
    assert [2**number * 0.5 <= pause <= 2**number * 0.75 for number, pause in enumerate(pauses)] == [True] * 4


def test_those_with_different_subjects_do_not_come_back_together() -> None:
    pauses: list[float] = []
    for number in range(20):
        tries(pauses, str(number)).again()
    assert len(set(pauses)) > 10


@pytest.mark.parametrize(
    ("asked", "again"),
    [("3", [True] * 4), ("60", [True, True, True, False]), ("61", [False]), ("3600", [False])],
)
def test_pauses_that_a_registry_asks_for_are_bounded(asked: str, again: list[bool]) -> None:
    pauses: list[float] = []
    some = tries(pauses)
    assert [some.again({"Retry-After": asked}) for _ in again] == again
    assert sum(pauses) <= 180
    assert all(pause >= float(asked) for pause in pauses)


def test_success_gives_further_tries_but_no_more_time() -> None:
    pauses: list[float] = []
    some = tries(pauses, longest_total=10)
    count = 0
    while some.again():
        some.had_success()
        count += 1
    assert 5 < count <= 20
    assert sum(pauses) <= 10


def test_fewer_tries() -> None:
    some = tries([])
    assert [some.again(most=2), some.again(most=2)] == [True, False]
