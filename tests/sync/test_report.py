from __future__ import annotations

import datetime as dt

from cstore.sync.report import ImageState, Outcome, RoundReport

START = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
FINE = ImageState(name="example.org/a:1", platform="linux/amd64", wish="example.org/a:1", outcome=Outcome.UNCHANGED)
FAILED = ImageState(name="example.org/a:2", platform="linux/amd64", wish="example.org/a:2", outcome=Outcome.FAILED, error="not there")


def test_a_round_is_complete_without_errors_and_problems() -> None:
    assert RoundReport(number=1, started=START, ended=START, images=(FINE,)).is_complete
    assert not RoundReport(number=1, started=START, ended=START, images=(FINE, FAILED)).is_complete
    assert not RoundReport(number=1, started=START, ended=START, images=(FINE,), problems=("no list of tags",)).is_complete
