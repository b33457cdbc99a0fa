"""`cstore add`: put images into a store."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from cstore.cli import parameters, show
from cstore.cli.registry import REGISTRY, registries, registry_options
from cstore.cli.site import Revision, place_at, revision_options
from cstore.model.layout import Form
from cstore.publish.batch import Batch, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cstore.model.platform import Platform

__all__ = ["command"]


@click.command("add")
@click.argument("location")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--name", help="The image's name in the store; for one SOURCE only.")
@click.option(
    "--platform",
    callback=parameters.platform,
    metavar="OS/ARCH[/VARIANT]",
    help="Which image of a multi-platform source; this machine's by default.",
)
@click.option(
    "--layout", type=click.Choice([form.value for form in Form]), help="The form of a new store; by default direct, in CernVM-FS sharded."
)
@click.option("--dry-run", is_flag=True, help="Verify the images and print the steps, but write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@registry_options
@revision_options
@click.option(
    "--xattrs", is_flag=True, help="In CernVM-FS, set extended attributes such as file capabilities, in a transaction of its own."
)
@click.option("--skip-reserved", is_flag=True, help="In CernVM-FS, leave out files with names that it takes for its own.")
def command(
    location: str,
    sources: tuple[str, ...],
    name: str | None,
    platform: Platform | None,
    layout: str | None,
    *,
    dry_run: bool,
    as_json: bool,
    cache: Path | None,
    cache_size: float,
    wait: float,
    revision_tag: str,
    message: str,
    xattrs: bool,
    skip_reserved: bool,
) -> None:
    """Put the images of all SOURCEs into the store at LOCATION, all together or not at all.

    A store is made where there is none. What is there already is not written again.
    """
    if name is not None and len(sources) > 1:
        raise click.UsageError("--name names one image, so it takes one SOURCE")
    asks = any(source.startswith(REGISTRY) for source in sources)
    with show.progress() as progress, registries(cache, cache_size) if asks else nullcontext() as asked:
        revision = Revision(wait=wait, tag=revision_tag, message=message, keeps_xattrs=xattrs, skips_reserved=skip_reserved)
        place = place_at(location, progress, revision)
        batch = Batch(
            place, form=Form(layout) if layout else None, platform=str(platform) if platform else None, progress=progress, registries=asked
        )
        try:
            names = [added for source in sources for added in batch.add(source, name=name)]
            _see_each_once(names)
            receipt = batch.preview() if dry_run else batch.publish()
        finally:
            batch.close()
    if as_json:
        click.echo(show.as_json(_dict(receipt, dry_run=dry_run)))
        return
    if dry_run:
        for line in show.delta_lines(receipt.delta):
            show.say(line)
    else:
        for line in [*_lines(names, receipt), *_lines_of_revision(receipt, revision)]:
            show.say(line)


def _see_each_once(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise click.UsageError(f"{twice[0]}: expected each name from one SOURCE, found it from several")


def _lines(names: list[str], receipt: Receipt) -> list[str]:
    if not receipt.delta:
        return [f"{added}: already there" for added in names]
    lines = [f"added {added}" for added in names]
    written = f"{show.count(receipt.layers, 'new layer')}, {show.count(receipt.entries, 'entry')}, {show.size(receipt.bytes_written)}"
    lines.append(f"{written} in {receipt.seconds:.1f} s; owners: {receipt.owners}")
    if receipt.devices_left_out:
        lines.append(
            f"left out {show.count(len(receipt.devices_left_out), 'device')} that only root can make: {', '.join(receipt.devices_left_out)}"
        )
    if receipt.xattrs_left_out:
        lines.append(f"left out {show.count(receipt.xattrs_left_out, 'extended attribute')}")
    if receipt.revision is not None and receipt.expanding_symlinks:
        lines.append(
            f"clients expand $( in {show.count(len(receipt.expanding_symlinks), 'symlink')}: {', '.join(receipt.expanding_symlinks)}"
        )
    return lines


def _lines_of_revision(receipt: Receipt, revision: Revision) -> Iterator[str]:
    for line in show.revision_lines(receipt, revision.tag):
        yield f"{line}, {show.size(receipt.bytes_streamed)} streamed" if receipt.revision is not None else line
    if revision.keeps_xattrs and receipt.known_layers:
        yield f"extended attributes are set in new layers only: {show.count(receipt.known_layers, 'layer')} were there already"


def _dict(receipt: Receipt, *, dry_run: bool) -> dict[str, object]:
    return {
        "names": list(receipt.names),
        "images": receipt.images,
        "layers": receipt.layers,
        "entries": receipt.entries,
        "bytes": receipt.bytes_written,
        "owners": receipt.owners,
        "devices_left_out": list(receipt.devices_left_out),
        "xattrs_left_out": receipt.xattrs_left_out,
        "expanding_symlinks": list(receipt.expanding_symlinks),
        "seconds": round(receipt.seconds, 3),
        "revision": receipt.revision,
        "root_hash": receipt.root_hash,
        "bytes_streamed": receipt.bytes_streamed,
        **({"steps": [show.step_dict(step) for step in receipt.delta]} if dry_run else {}),
    }
