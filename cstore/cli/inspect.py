"""`cstore inspect`: all that a store says of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cstore.cli import show
from cstore.cli.site import place_at
from cstore.store import Store

if TYPE_CHECKING:
    from cstore.model.image import ImageRecord
    from cstore.model.layer import LayerRecord

__all__ = ["command"]


@click.command("inspect")
@click.argument("location")
@click.argument("image", metavar="NAME|ID")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(location: str, image: str, *, as_json: bool) -> None:
    """Show the image NAME|ID of the store at LOCATION: its names, digests, layers and big data."""
    store = Store.open(place_at(location).root)
    record = store.image(image)
    described = _dict(store, record, store.chain(record.layer))
    if as_json:
        click.echo(show.as_json(described))
        return
    for line in _lines(described):
        show.say(line)


def _dict(store: Store, record: ImageRecord, chain: tuple[LayerRecord, ...]) -> dict[str, Any]:
    return {
        "id": record.id,
        "names": list(record.names),
        "digest": str(record.digest) if record.digest else None,
        "created": record.created.text,
        "size": sum(layer.diff_size for layer in chain),
        "layers": [
            {
                "id": layer.id,
                "diff_id": str(layer.diff_digest) if layer.diff_digest else None,
                "size": layer.diff_size,
                "blob": str(layer.compressed_diff_digest) if layer.compressed_diff_digest else None,
                "blob_size": layer.compressed_size,
                "link": store.link(layer.id),
                "path": store.layout.tree(layer.id),
            }
            for layer in chain
        ],
        "big_data": [
            {"key": key, "size": record.big_data_sizes.get(key), "digest": str(record.big_data_digests.get(key, "")) or None}
            for key in record.big_data_names
        ],
    }


def _lines(image: dict[str, Any]) -> list[str]:
    lines = [f"image    {image['id']}"]
    lines += [f"name     {name}" for name in image["names"]]
    lines += [f"digest   {image['digest']}", f"created  {image['created']}", f"size     {show.size(image['size'])}"]
    lines += [f"layer    {layer['id']}  {show.size(layer['size'])}  {layer['diff_id']}" for layer in image["layers"]]
    lines += [f"data     {item['key']}  {show.size(item['size'] or 0)}" for item in image["big_data"]]
    return lines
