from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from cstore.cli.grace import grace_option

if TYPE_CHECKING:
    import datetime as dt


@click.command()
@grace_option("How long.")
def verb(grace: dt.timedelta) -> None:
    """Say what was asked for."""
    click.echo(grace.days)


@pytest.mark.parametrize(("text", "days"), [("0d", 0), ("14d", 14), ("2w", 14), ("99999w", 699_993)])
def test_a_grace_period_is_a_number_of_days_or_weeks(text: str, days: int) -> None:
    assert CliRunner().invoke(verb, ["--grace", text]).output == f"{days}\n"


def test_it_is_two_weeks_unless_told() -> None:
    assert CliRunner().invoke(verb, []).output == "14\n"


@pytest.mark.parametrize("text", ["", "14", "d", "-1d", "1.5d", "2h", "100000d", "1d ", "٣d"])
def test_anything_else_is_a_wrong_usage(text: str) -> None:
    done = CliRunner().invoke(verb, ["--grace", text])
    assert done.exit_code == 2
    assert "expected a number of days or weeks such as 14d or 2w, found" in " ".join(done.output.split())
