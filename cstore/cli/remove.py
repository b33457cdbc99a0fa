"""`cstore remove`: take names away."""

from __future__ import annotations

import click

from cstore.cli import show
from cstore.cli.site import Revision, place_at, revision_options
from cstore.publish.batch import publishing

__all__ = ["command"]


@click.command("remove")
@click.argument("location")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@revision_options
def command(location: str, names: tuple[str, ...], *, as_json: bool, wait: float, revision_tag: str, message: str) -> None:
    """Take NAMEs away from the store at LOCATION.

    An image that loses its last name goes. Its layers are retired: readers may still build on them until they are pruned.
    """
    with (
        show.progress() as progress,
        publishing(place_at(location, progress, Revision(wait=wait, tag=revision_tag, message=message))) as batch,
    ):
        for name in names:
            batch.remove(name)
    if as_json:
        click.echo(show.receipt_json(batch.receipt, names=list(names)))
        return
    for name in names:
        show.say(f"removed {name}")
    for line in show.revision_lines(batch.receipt, revision_tag):
        show.say(line)
