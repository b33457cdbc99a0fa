"""`cstore prune`: remove layers that were retired long enough ago."""

from __future__ import annotations

import datetime
import re

import click

from cstore.cli import show
from cstore.prune import plan_prune
from cstore.publish.prune import prune
from cstore.store import Store, place_of

__all__ = ["command"]

_GRACE = re.compile(r"(\d{1,5})([dw])")
_DAYS = {"d": 1, "w": 7}


class _Grace(click.ParamType):
    """A grace period such as 14d or 2w."""

    name = "DAYS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime.timedelta:
        if isinstance(value, datetime.timedelta):
            return value
        match = _GRACE.fullmatch(str(value))
        if match is None:
            self.fail(f"expected a number of days or weeks such as 14d or 2w, found {value!r}", param, ctx)
        return datetime.timedelta(days=int(match[1]) * _DAYS[match[2]])


@click.command("prune")
@click.argument("location")
@click.option("--grace", type=_Grace(), default="14d", show_default=True, help="How long readers may build on a retired layer.")
@click.option("--dry-run", is_flag=True, help="Print the steps, but write nothing.")
def command(location: str, grace: datetime.timedelta, *, dry_run: bool) -> None:
    """Remove the layers of the store at LOCATION that were retired longer ago than the grace period."""
    root = place_of(location)
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    delta = plan_prune(Store.open(root), grace, today) if dry_run else prune(root, grace, today)
    for line in show.delta_lines(delta):
        click.echo(line)
