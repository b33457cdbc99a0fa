"""`cstore adopt`: take over the images of a store that the present converter made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cstore.cli import show
from cstore.cli.site import Revision, place_at, revision_options
from cstore.publish.adopt import Adopted, Adoption

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["command"]

_LEFT = 1


@click.command("adopt")
@click.argument("location")
@click.option("--from", "origin", metavar="PATH", help="The converter's store, as readers see it: /cvmfs/R/podmanStore.")
@click.option("--copy", is_flag=True, help="Copy the trees of layers, and do not use them where they lie.")
@click.option("--dry-run", is_flag=True, help="Print the steps, but write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@revision_options
def command(
    location: str, origin: str | None, *, copy: bool, dry_run: bool, as_json: bool, wait: float, revision_tag: str, message: str
) -> None:
    """Take over images that CernVM-FS's present converter published into the store at LOCATION, which is made where there is none.

    Exits with 1 if an image has to be converted anew; `cstore add` does that.
    """
    if origin is None:
        raise click.UsageError("Missing option '--from': which store to adopt from.")
    with show.progress() as progress:
        place = place_at(location, progress, Revision(wait=wait, tag=revision_tag, message=message))
        adoption = Adoption(place, origin, copy=copy, progress=progress)
        adopted = adoption.preview() if dry_run else adoption.publish()
    if as_json:
        click.echo(show.as_json(_dict(adopted, dry_run=dry_run)))
    else:
        for line in (*_lines(adopted, dry_run=dry_run), *show.revision_lines(adopted.published, "" if dry_run else revision_tag)):
            show.say(line)
    if adopted.left:
        click.get_current_context().exit(_LEFT)


def _lines(adopted: Adopted, *, dry_run: bool) -> Iterator[str]:
    if dry_run:
        yield from show.delta_lines(adopted.published.delta)
    for image in adopted.images:
        yield f"{'would adopt' if dry_run else 'adopted'} {', '.join(image.names)}"
        yield from (f"  {remark}" for remark in image.remarks)
    for image in adopted.there:
        yield f"{', '.join(image.names) or image.id}: already there"
    for passed in adopted.passed_over:
        yield f"passed over {passed.subject[:12]} ({', '.join(passed.names)}): {passed.reason}"
    for left in adopted.left:
        yield f"to be converted anew: {', '.join(left.names) or left.subject}"
        yield f"  {left.reason}"
    if not dry_run and adopted.images:
        delta = adopted.published.delta
        yield f"{show.count(len(adopted.images), 'image')}, {show.count(delta.entries, 'entry')}, {show.size(delta.size)}"
    if not (adopted.images or adopted.there or adopted.passed_over or adopted.left):
        yield "no images"


def _dict(adopted: Adopted, *, dry_run: bool) -> dict[str, object]:
    published = adopted.published
    return {
        "adopted": [{"id": image.id, "names": list(image.names), "remarks": list(image.remarks)} for image in adopted.images],
        "already_there": [{"id": image.id, "names": list(image.names)} for image in adopted.there],
        "passed_over": [{"id": image.subject, "names": list(image.names), "reason": image.reason} for image in adopted.passed_over],
        "left": [{"id": image.subject, "names": list(image.names), "reason": image.reason} for image in adopted.left],
        "entries": published.delta.entries,
        "bytes": published.delta.size,
        "revision": published.revision,
        "root_hash": published.root_hash,
        "bytes_streamed": published.streamed,
        **({"steps": [show.step_dict(step) for step in published.delta]} if dry_run else {}),
    }
