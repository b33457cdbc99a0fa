"""`cstore prune`: remove layers that were retired long enough ago."""

from __future__ import annotations

import datetime as dt
import re

import click

from cstore.cli import show
from cstore.location import place_of
from cstore.prune import plan_prune
from cstore.publish.prune import prune
from cstore.store import Store

__all__ = ["command"]

_GRACE = re.compile(r"(\d{1,5})([dw])")
_DAYS = {"d": 1, "w": 7}


def _grace(_context: click.Context, _option: click.Parameter, value: str) -> dt.timedelta:
    match = _GRACE.fullmatch(value)
    if match is None:
        raise click.BadParameter(f'expected a number of days or weeks such as 14d or 2w, found "{value}"')
    return dt.timedelta(days=int(match[1]) * _DAYS[match[2]])


@click.command("prune")
@click.argument("location")
@click.option(
    "--grace", callback=_grace, default="14d", metavar="DAYS", show_default=True, help="How long readers may build on a retired layer."
)
@click.option("--dry-run", is_flag=True, help="Print the steps, but write nothing.")
def command(location: str, grace: dt.timedelta, *, dry_run: bool) -> None:
    """Remove the layers of the store at LOCATION that were retired longer ago than the grace period."""
    root = place_of(location)
    today = dt.datetime.now(tz=dt.UTC).date()
    delta = plan_prune(Store.open(root), grace, today) if dry_run else prune(root, grace, today)
    for line in show.delta_lines(delta):
        click.echo(line)
