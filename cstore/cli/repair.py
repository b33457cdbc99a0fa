"""`cstore repair`: mend what can be mended of a store."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import click

from cstore.cli import show
from cstore.cli.grace import grace_option
from cstore.cli.report import report_lines, summary
from cstore.cli.site import Revision, place_at, revision_options
from cstore.mend.repair import MENDED, plan_repair
from cstore.publish.repair import repair
from cstore.verification.problem import Reach
from cstore.verification.store import verify

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.verification.problem import Problem

__all__ = ["command"]

_UNSOUND = 1
_RECORDS = ("V13", "V14")
_FILES = ("V31", "V32", "V42", "V51", "V57")


@click.command("repair")
@click.argument("location")
@grace_option("How old must be what belongs to nothing, to be removed.")
@click.option("--dry-run", is_flag=True, help="Print the steps and what would stay, but write nothing.")
@revision_options
def command(location: str, grace: dt.timedelta, *, dry_run: bool, wait: float, revision_tag: str, message: str) -> None:
    """Mend what can be mended of the store at LOCATION, and say what cannot.

    Links, the lists of layers below, locks and records are made right where that follows from what the store holds. Content of layers
    is never touched: a blob that is missing or damaged comes back with `cstore add`. Exit code: 0 where the store is sound afterwards, 1
    where problems are left that reach the whole store or an image, 2 for wrong usage, 3 for an error.
    """
    place = place_at(location, revision=Revision(wait=wait, tag=revision_tag, message=message))
    today = dt.datetime.now(tz=dt.UTC).date()
    if dry_run:
        delta = plan_repair(place.root, str(place.readers_root), grace, today)
        left = [problem for problem in verify(place.root, readers_root=place.readers_root) if problem.code not in MENDED]
    else:
        delta = repair(place, grace, today).delta
        left = list(verify(place.root, readers_root=place.readers_root))
    for line in show.delta_lines(delta):
        show.say(line)
    if left:
        click.echo("what is left:" if not dry_run else "what repair does not mend:")
        for line in report_lines(left):
            show.say(line)
        click.echo(summary(left))
        if any(_is_added(problem, place.root) for problem in left):
            click.echo("`cstore add` brings back what is missing of an image")
    if any(problem.reach in (Reach.STORE, Reach.IMAGE) for problem in left):
        click.get_current_context().exit(_UNSOUND)


def _is_added(problem: Problem, root: Path) -> bool:
    """Whether adding the image brings back what is missing; it replaces nothing that is there."""
    return problem.code in _RECORDS or (problem.code in _FILES and not os.path.lexists(root / problem.path))
