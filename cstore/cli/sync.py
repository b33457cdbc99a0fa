"""`cstore sync`: publish what wishlists want."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import field, frozen

from cstore.cli import parameters, show
from cstore.cli.grace import grace_option
from cstore.cli.registry import registries, registry_options
from cstore.cli.site import Revision, hub_at, revision_options
from cstore.errors import StoreError
from cstore.location import SCHEME
from cstore.progress import Progress, silent
from cstore.sync.report import ImageState, Outcome, RoundReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cstore.model.offer import Offer
    from cstore.model.platform import Platform
    from cstore.sync.rounds import Rounds

__all__ = ["Asked", "command", "hub_options", "roots", "rounds_of"]

F = TypeVar("F", bound="Callable[..., Any]")

_FAILED = 3
"""What `main` exits with where a verb raises an error."""
_TOLD = {Outcome.ADDED: "add", Outcome.UPDATED: "update", Outcome.REMOVED: "remove"}
"""Of what people are told, and what is still to be done where nothing is written."""


@frozen(kw_only=True)
class Asked:
    """How rounds were asked to be."""

    platform: Platform
    offers: frozenset[Offer]
    grace: dt.timedelta
    prune: bool
    cache: Path | None
    cache_size: float
    revision: Revision = field(factory=Revision)


def hub_options(verb: F) -> F:
    """Give a verb the options for rounds; it takes them as `root`, `forms`, `platform`, `prune`, `grace` and `skip_reserved`."""
    options = (
        click.option(
            "--to",
            "root",
            callback=parameters.root,
            metavar="ROOT",
            help="A directory that is there, or cvmfs://REPOSITORY[/SUBDIRECTORY]; else cvmfs_repo.",
        ),
        parameters.forms_option("What is published of an image, unless its entry says so."),
        parameters.platform_option("For which platform, unless an entry says so."),
        click.option("--prune", is_flag=True, help="Remove names that no wish stands for."),
        grace_option("How long readers may use what is retired."),
        click.option("--skip-reserved", is_flag=True, help="In CernVM-FS, leave out files with names that it takes for its own."),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


@click.command("sync")
@click.argument("wishlists", metavar="WISHLIST...", nargs=-1, required=True, type=click.Path(path_type=Path))
@hub_options
@click.option("--dry-run", is_flag=True, help="Fetch and verify, and print the steps, but write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@revision_options
@registry_options
def command(
    wishlists: tuple[Path, ...],
    root: str,
    *,
    forms: frozenset[Offer],
    platform: Platform,
    prune: bool,
    grace: dt.timedelta,
    skip_reserved: bool,
    dry_run: bool,
    as_json: bool,
    wait: float,
    revision_tag: str,
    message: str,
    cache: Path | None,
    cache_size: float,
) -> int:
    """Publish what the WISHLISTs want and registries have, all together in one revision.

    A name that cannot be looked up or fetched keeps what it has; then the exit code is 1.
    """
    revision = Revision(wait=wait, tag=revision_tag, message=message, skips_reserved=skip_reserved)
    asked = Asked(platform=platform, offers=forms, grace=grace, prune=prune, cache=cache, cache_size=cache_size, revision=revision)
    places = roots(wishlists, root)
    codes = []
    for place, own in places.items():
        try:
            codes.append(0 if _is_complete_after(place, own, asked, dry_run=dry_run, as_json=as_json) else 1)
        except StoreError as error:
            if len(places) == 1:
                raise
            # What is wrong with one repository keeps nobody from the others.
            show.complain(f"cstore: {error}")
            codes.append(_FAILED)
    return max(codes)


def _is_complete_after(place: str, wishlists: Sequence[Path], asked: Asked, *, dry_run: bool, as_json: bool) -> bool:
    """Carry out a round at one place, tell of it, and return whether it was complete."""
    with show.progress() as progress, rounds_of(place, asked, progress) as rounds:
        if dry_run:
            preview = rounds.preview(wishlists)
            report, steps = preview.report, preview.delta
        else:
            report, steps = rounds.run(wishlists), None
    if as_json:
        click.echo(show.as_json(_dict(place, report) | ({} if steps is None else {"steps": [show.step_dict(step) for step in steps]})))
    else:
        for line in [*(show.delta_lines(steps) if steps is not None else ()), *_lines(report, dry_run=dry_run, is_pruned=asked.prune)]:
            show.say(line)
    return report.is_complete


def roots(wishlists: Sequence[Path], root: str) -> dict[str, list[Path]]:
    """Return where each wishlist is to be published: where the command line says, or else each where it says itself.

    One that cannot be read may be for any of the places that others say, and so is among the wishlists of each.

    Raises:
        UsageError: one says nothing.
        StoreError: none can be read, and nothing else says where.
    """
    if root:
        return {root: list(wishlists)}
    from cstore.sync.wishlist import read_wishlist  # noqa: PLC0415 - of few verbs

    found: dict[str, list[Path]] = {}
    unread: dict[Path, StoreError] = {}
    for path in wishlists:
        try:
            repository = read_wishlist(path).repository
        except StoreError as error:
            unread[path] = error
            continue
        if not repository:
            raise click.UsageError(f"{path}: expected a cvmfs_repo, found none; --to ROOT says where to publish")
        found.setdefault(f"{SCHEME}{repository}", []).append(path)
    if not found:
        raise next(iter(unread.values()))
    return {place: [*own, *unread] for place, own in found.items()}


@contextmanager
def rounds_of(root: str, asked: Asked, progress: Progress = silent, downloads: Progress | None = None) -> Iterator[Rounds]:
    """Give what carries out rounds, while the body runs.

    Args:
        root: where images are published.
        asked: how.
        progress: is told of what goes on.
        downloads: is told of what is downloaded; None tells people.
    """
    from cstore.sync.round import Terms  # noqa: PLC0415 - of few verbs
    from cstore.sync.rounds import Rounds  # noqa: PLC0415
    from cstore.sync.status import status_document  # noqa: PLC0415

    hub = hub_at(root, progress, asked.revision)
    terms = Terms(platform=asked.platform, offers=asked.offers, grace=asked.grace, is_pruned=asked.prune)
    with registries(asked.cache, asked.cache_size, downloads) as asking:
        yield Rounds(hub, asking, terms, now=lambda: dt.datetime.now(tz=dt.UTC), tell=status_document, progress=progress)


def _lines(report: RoundReport, *, dry_run: bool, is_pruned: bool) -> Iterator[str]:
    for image in report.images:
        if image.outcome in _TOLD:
            yield f"{f'would {_TOLD[image.outcome]}' if dry_run else image.outcome.value} {_called(image)}"
    yield from (f"{_called(image)}: {image.error}" for image in report.images if image.error is not None)
    yield from report.problems
    yield from report.remarks
    kept = sum(image.outcome is Outcome.KEPT for image in report.images)
    # Where pruning was asked for, problems and remarks have said why they are kept all the same.
    if kept and not is_pruned:
        yield f"{show.count(kept, 'name')} that no wish stands for, kept; --prune removes them, where all wishes could be read"
    words = {outcome: f"to {_TOLD[outcome]}" if dry_run and outcome in _TOLD else outcome.value for outcome in Outcome}
    counts = [f"{number} {word}" for outcome, word in words.items() if (number := sum(image.outcome is outcome for image in report.images))]
    yield f"{', '.join(counts) or 'nothing wished'}; {_published(report, dry_run=dry_run)}"


def _called(image: ImageState) -> str:
    return image.name if image.platform == parameters.USUAL_PLATFORM else f"{image.name} ({image.platform})"


def _published(report: RoundReport, *, dry_run: bool) -> str:
    if not report.changed:
        return "nothing to publish"
    where = "would publish" if dry_run else "published" if report.revision is None else f"revision {report.revision}"
    fetched = f"{show.size(report.bytes_fetched)} fetched in {show.count(report.requests, 'request')}"
    return f"{where}, {show.count(report.layers, 'new layer')}, {fetched}"


def _dict(root: str, report: RoundReport) -> dict[str, object]:
    return {
        "root": root,
        "complete": report.is_complete,
        "changed": report.changed,
        "revision": report.revision,
        "images": [
            {
                "name": image.name,
                "platform": image.platform,
                "outcome": image.outcome.value,
                "registry_digest": image.registry_digest,
                "published_digest": image.published_digest,
                "error": image.error,
            }
            for image in report.images
        ],
        "problems": list(report.problems),
        "remarks": list(report.remarks),
        "layers": report.layers,
        "bytes_fetched": report.bytes_fetched,
        "bytes_streamed": report.bytes_streamed,
        "requests": report.requests,
        "seconds": {part: round(seconds, 3) for part, seconds in report.seconds.items()},
    }
