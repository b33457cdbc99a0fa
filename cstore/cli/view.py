"""`cstore view`: small stores that show a part of a big one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click

from cstore.cli import show
from cstore.cli.site import Revision, place_at, revision_options
from cstore.model.view import parse_patterns, parse_view_name
from cstore.publish.place import preview
from cstore.publish.views import View, create_view, list_views, remove_view
from cstore.store import Store
from cstore.views import plan_view, plan_view_removal

__all__ = ["command"]


@click.group("view")
def command() -> None:
    """Make, list and remove views: small stores that show a part of a big one.

    A view is a directory in the store's `views/`, and a store to podman: `cstore config LOCATION --view NAME` tells how to use it. It
    shares all layers with the store, and follows every change of it in the same step.
    """


@command.command("create")
@click.argument("location")
@click.argument("name")
@click.option("--match", "patterns", multiple=True, required=True, metavar="GLOB", help="Names that it shows; any number of times.")
@click.option("--dry-run", is_flag=True, help="Print the steps, but write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@revision_options
def create(location: str, name: str, patterns: tuple[str, ...], *, dry_run: bool, as_json: bool, **revision: Any) -> None:  # noqa: ANN401
    """Make the view NAME of the store at LOCATION, or give it other patterns.

    A GLOB is for the whole name of an image with its tag, as in 'registry.example.org/atlas/*'; * takes anything, slashes too. An image is
    shown with those of its names that match.
    """
    wanted = parse_view_name(name), parse_patterns(patterns, "--match")
    with show.progress() as progress:
        place = place_at(location, progress, _revision(revision))
        today = dt.datetime.now(tz=dt.UTC).date()
        done = preview(place, plan_view(Store.open(place.root), *wanted, today)) if dry_run else create_view(place, name, patterns, today)
    show.tell(done, revision["revision_tag"], dry_run=dry_run, as_json=as_json)


@command.command("remove")
@click.argument("location")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Print the steps, but write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@revision_options
def remove(location: str, name: str, *, dry_run: bool, as_json: bool, **revision: Any) -> None:  # noqa: ANN401
    """Have the view NAME of the store at LOCATION show nothing any more.

    Containers and images of readers that build on what it showed go on working: its layers stay until `cstore prune` finds them old
    enough, and then the view's directory goes too. Take it out of every storage.conf before: podman does not start where a store is
    named that is not there.
    """
    with show.progress() as progress:
        place = place_at(location, progress, _revision(revision))
        today = dt.datetime.now(tz=dt.UTC).date()
        done = preview(place, plan_view_removal(Store.open(place.root), name, today)) if dry_run else remove_view(place, name, today)
    show.tell(done, revision["revision_tag"], dry_run=dry_run, as_json=as_json)


@command.command("list")
@click.argument("location")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def listed(location: str, *, as_json: bool) -> None:
    """List the views of the store at LOCATION: patterns, images, layers and the bytes of their indexes."""
    found = list_views(place_at(location))
    if as_json:
        click.echo(show.as_json({"views": [_dict(view) for view in found]}))
        return
    rows = [("NAME", "IMAGES", "LAYERS", "INDEXES", "MATCH")]
    for view in found:
        patterns = " ".join(view.patterns) if view.removed is None else f"removed on {view.removed}"
        rows.append((view.name, str(view.images), str(view.layers), show.size(view.index_bytes), patterns))
    for line in show.table_lines(rows):
        show.say(line)


def _dict(view: View) -> dict[str, object]:
    return {
        "name": view.name,
        "root": str(view.root),
        "match": list(view.patterns),
        "removed": view.removed.isoformat() if view.removed else None,
        "images": view.images,
        "layers": view.layers,
        "retired": view.retired,
        "index_bytes": view.index_bytes,
    }


def _revision(options: dict[str, Any]) -> Revision:
    return Revision(wait=options["wait"], tag=options["revision_tag"], message=options["message"])
