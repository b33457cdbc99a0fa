"""`cstore tag`: give an image another name."""

from __future__ import annotations

import click

from cstore.cli import show
from cstore.cli.site import Revision, place_at, revision_options
from cstore.publish.batch import publishing

__all__ = ["command"]


@click.command("tag")
@click.argument("location")
@click.argument("name")
@click.argument("new_name")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@revision_options
def command(location: str, name: str, new_name: str, *, as_json: bool, wait: float, revision_tag: str, message: str) -> None:
    """Give the image NAME (a name or an ID) in the store at LOCATION also the name NEW_NAME.

    If another image has NEW_NAME, it loses it in the same step.
    """
    with (
        show.progress() as progress,
        publishing(place_at(location, progress, Revision(wait=wait, tag=revision_tag, message=message))) as batch,
    ):
        batch.tag(name, new_name)
    receipt = batch.receipt
    tagged = receipt.names[0] if receipt else new_name
    if as_json:
        click.echo(show.receipt_json(receipt, names=[tagged]))
        return
    show.say(f"tagged {name} as {tagged}" if receipt and receipt.delta else f"{tagged}: already there")
    for line in show.revision_lines(receipt, revision_tag):
        show.say(line)
