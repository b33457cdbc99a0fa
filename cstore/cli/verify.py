"""`cstore verify`: what is wrong with a store, and whom it breaks."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click
from attrs import define, field

from cstore.cli import show
from cstore.cli.junit import as_junit
from cstore.cli.report import json_line, report_lines, summary
from cstore.cli.sarif import as_sarif
from cstore.cli.site import place_at
from cstore.progress import silent
from cstore.verification.problem import Reach, printable
from cstore.verification.store import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from cstore.progress import Progress
    from cstore.verification.problem import Problem

__all__ = ["command"]

_UNSOUND = 1


@click.command("verify")
@click.argument("location")
@click.option("--deep", is_flag=True, help="Read content too: all big data, and each layer against its tar-split and its digest.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Read the content of N layers.")
@click.option("--image", metavar="NAME", help="Check one image with its layers, by its name or ID.")
@click.option("--mount-path", metavar="PATH", help="Where readers mount the store, if they do so elsewhere than at LOCATION.")
@click.option(
    "--fail-on",
    type=click.Choice([Reach.IMAGE.value, Reach.FEATURE.value, Reach.NOTE.value]),
    default=Reach.IMAGE.value,
    show_default=True,
    help="The nearest reach of problems for which the exit code is 1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each problem as a line of JSON, as soon as it is found.")
@click.option("--sarif", is_flag=True, help="Print a SARIF 2.1.0 document.")
@click.option("--junit", is_flag=True, help="Print JUnit XML.")
def command(
    location: str,
    *,
    deep: bool,
    sample: int | None,
    image: str | None,
    mount_path: str | None,
    fail_on: str,
    as_json: bool,
    sarif: bool,
    junit: bool,
) -> None:
    """Say what is wrong with the store at LOCATION: each problem with what it breaks, those that reach farthest first.

    Nothing is written. Exit code: 0 where it is sound, 1 where there are problems that reach the whole store or an image (or as far as
    --fail-on says), 2 for wrong usage, 3 where it cannot be read.
    """
    if deep and sample is not None:
        raise click.UsageError("--deep reads the content of all layers, --sample that of some: expected one of them")
    if image == "":
        raise click.UsageError("--image takes a name or an ID, found none")
    if mount_path is not None and not mount_path.startswith("/"):
        raise click.UsageError(f'--mount-path takes an absolute path, found "{mount_path}"')
    if as_json + sarif + junit > 1:
        raise click.UsageError("--json, --sarif and --junit are forms of the same: expected one of them")
    place = place_at(location)
    nearest = Reach(fail_on)
    with _progress() as progress:
        counts = _Counts(progress)
        found = verify(
            place.root,
            deep=deep,
            sample=sample or 0,
            image=image,
            readers_root=place.readers_root if mount_path is None else mount_path,
            progress=counts,
        )
        # In this form nothing is kept but how far the problems reach.
        reaches = {problem.reach for problem in _streamed(found)} if as_json else set()
        problems = list(found)
    if sarif:
        click.echo(as_sarif(problems, place.root.absolute()))
    elif junit:
        click.echo(as_junit(problems, nearest))
    elif not as_json:
        for line in report_lines(problems):
            show.say(line)
        checked = str(counts) if image is None else f"image {printable(image)}"
        click.echo(summary(problems) if problems else f"sound: {checked}")
    reaches |= {problem.reach for problem in problems}
    if any(reach.rank <= nearest.rank for reach in reaches):
        click.get_current_context().exit(_UNSOUND)


def _progress() -> AbstractContextManager[Progress]:
    """Show on a terminal how far the check is; elsewhere lines of it would only hide the sentence of an error."""
    return show.progress() if sys.stderr.isatty() else nullcontext(silent)


def _streamed(found: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems, each printed when it comes."""
    for problem in found:
        click.echo(json_line(problem))
        yield problem


@define
class _Counts:
    """Counts what a check goes through, by what it tells of its progress."""

    _progress: Progress
    _totals: dict[str, int] = field(factory=dict)

    def __call__(self, work: str, subject: str, total: int) -> Callable[[int], object]:
        if work == "checking":
            self._totals[subject] = total
        return self._progress(work, subject, total)

    def __str__(self) -> str:
        return f"{show.count(self._totals['images'], 'image')}, {show.count(self._totals['layers'], 'layer')}"
