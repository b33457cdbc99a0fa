"""`cstore list`: what a store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cstore.cli import show
from cstore.cli.site import place_at
from cstore.model.summary import Summary
from cstore.pruning import unreferenced
from cstore.publish.owners import Owners
from cstore.publish.place import DirectoryPlace
from cstore.store import Store

if TYPE_CHECKING:
    from cstore.model.lineage import Lineage

__all__ = ["command"]

_SHORT_ID = 12
_DAY = 10


@click.command("list")
@click.argument("location")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(location: str, *, as_json: bool) -> None:
    """List the images of the store at LOCATION, newest first, and count its layers."""
    place = place_at(location)
    store = Store.open(place.root)
    lineage = store.lineage()
    images = sorted((Summary.of(value, at) for at, value in store.images.all()), key=lambda image: image.names)
    images.sort(key=lambda image: image.created.moment, reverse=True)
    counts = {
        "layers": len(lineage.sizes),
        "retired": len(unreferenced(lineage, images)),
        "layout": store.about.layout_name,
        # In a repository the owner of the store's directory says nothing of its layers.
        "owners": str(Owners.there(place.root) if isinstance(place, DirectoryPlace) else place.owners),
    }
    if as_json:
        click.echo(show.as_json({"images": [_dict(image, lineage) for image in images], **counts}))
        return
    rows = [("NAME", "IMAGE ID", "CREATED", "SIZE", "LAYERS")]
    for image in images:
        size, depth = _measure(image, lineage)
        told = (image.id[:_SHORT_ID], "-" if image.created.is_zero else image.created.text[:_DAY], show.size(size), str(depth))
        rows += [(name, *told) for name in image.names or ("<none>",)]
    for line in show.table_lines(rows):
        show.say(line)
    click.echo(
        f"{show.count(len(images), 'image')}, {show.count(len(lineage.sizes), 'layer')} of which {counts['retired']} retired; "
        f"layout {counts['layout']}; owners: {counts['owners']}"
    )


def _measure(image: Summary, lineage: Lineage) -> tuple[int, int]:
    """Return the bytes and the number of an image's layers."""
    chain = list(lineage.chain(image.tops[0] if image.tops else None))
    return sum(lineage.sizes[layer] for layer in chain), len(chain)


def _dict(image: Summary, lineage: Lineage) -> dict[str, object]:
    size, depth = _measure(image, lineage)
    digest = str(image.digest) if image.digest else None
    return {"id": image.id, "names": list(image.names), "digest": digest, "created": image.created.text, "size": size, "layers": depth}
