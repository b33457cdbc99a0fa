"""`cstore remove`: take names away."""

from __future__ import annotations

import click

from cstore.publish.batch import publishing

__all__ = ["command"]


@click.command("remove")
@click.argument("location")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def command(location: str, names: tuple[str, ...]) -> None:
    """Take NAMEs away from the store at LOCATION.

    An image that loses its last name goes. Its layers are retired: readers may still build on them until they are pruned.
    """
    with publishing(location) as batch:
        for name in names:
            batch.remove(name)
    for name in names:
        click.echo(f"removed {name}")
