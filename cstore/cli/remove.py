"""`cstore remove`: take names away."""

from __future__ import annotations

import click

from cstore.cli.site import Revision, place_at, revision_options
from cstore.publish.batch import publishing

__all__ = ["command"]


@click.command("remove")
@click.argument("location")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@revision_options
def command(location: str, names: tuple[str, ...], wait: float, revision_tag: str, message: str) -> None:
    """Take NAMEs away from the store at LOCATION.

    An image that loses its last name goes. Its layers are retired: readers may still build on them until they are pruned.
    """
    with publishing(place_at(location, revision=Revision(wait=wait, tag=revision_tag, message=message))) as batch:
        for name in names:
            batch.remove(name)
    for name in names:
        click.echo(f"removed {name}")
