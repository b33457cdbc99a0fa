"""`cstore prune`: remove layers that were retired long enough ago."""

from __future__ import annotations

import datetime as dt

import click

from cstore.cli import show
from cstore.cli.grace import grace_option
from cstore.cli.site import Revision, place_at, revision_options
from cstore.publish.place import preview
from cstore.publish.prune import prune, prune_plan

__all__ = ["command"]


@click.command("prune")
@click.argument("location")
@grace_option("How long readers may build on a retired layer.")
@click.option("--dry-run", is_flag=True, help="Print the steps, but write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@revision_options
def command(location: str, grace: dt.timedelta, *, dry_run: bool, as_json: bool, wait: float, revision_tag: str, message: str) -> None:
    """Remove the layers of the store at LOCATION that were retired longer ago than the grace period."""
    with show.progress() as progress:
        place = place_at(location, progress, Revision(wait=wait, tag=revision_tag, message=message))
        today = dt.datetime.now(tz=dt.UTC).date()
        done = preview(place, prune_plan(place.root, grace, today)) if dry_run else prune(place, grace, today)
    show.tell(done, revision_tag, dry_run=dry_run, as_json=as_json)
