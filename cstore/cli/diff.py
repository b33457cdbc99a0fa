"""`cstore diff`: what differs between two stores, or one store at two moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cstore.cli import show
from cstore.cli.site import place_at
from cstore.comparison import compare
from cstore.store import Store
from cstore.verification.problem import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.comparison import Differences, Records, Retirement

__all__ = ["command"]

_SHORT_ID = 12
_DIFFERENT = 1


@click.command("diff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(a: str, b: str, *, as_json: bool) -> None:
    """Show what differs from the store at location A to the store at location B, or to a later copy of it.

    Compared are names, images, layers, the layout and the retired layers, as the stores tell of them; the content of layers is not
    read. Exit code: 0 where they are equal, 1 where they differ, 2 for wrong usage, 3 for an error.
    """
    differences = compare(Store.open(place_at(a).root), Store.open(place_at(b).root))
    if as_json:
        click.echo(show.as_json(_dict(differences)))
    else:
        for line in _lines(differences):
            show.say(line)
    if differences:
        click.get_current_context().exit(_DIFFERENT)


def _lines(differences: Differences) -> Iterator[str]:
    if not differences:
        yield "no difference"
        return
    if differences.form is not None:
        before, after = differences.form
        yield f"changed layout: from {before.value} to {after.value}"
    names = differences.names
    yield from (f"removed name {printable(item.name)}: image {_short(item.image)}" for item in names.removed)
    yield from (f"moved name {printable(item.name)}: from image {_short(item.before)} to {_short(item.after)}" for item in names.moved)
    yield from (f"added name {printable(item.name)}: image {_short(item.image)}" for item in names.added)
    yield from _record_lines("image", differences.images)
    yield from _record_lines("layer", differences.layers)
    yield from map(_retired_line, differences.retired)
    yield "; ".join(filter(None, _sums(differences)))


def _record_lines(kind: str, records: Records) -> Iterator[str]:
    yield from (f"removed {kind} {printable(identity)}" for identity in records.removed)
    yield from (f"changed {kind} {printable(record.id)}: {printable(', '.join(record.members))}" for record in records.changed)
    yield from (f"added {kind} {printable(identity)}" for identity in records.added)


def _retired_line(item: Retirement) -> str:
    if item.after is None:
        return f"no longer retired {item.layer}"
    return f"retired {item.layer}: {item.after}" + (f" instead of {item.before}" if item.before else "")


def _sums(differences: Differences) -> Iterator[str]:
    names = differences.names
    yield _sum("names", added=len(names.added), removed=len(names.removed), moved=len(names.moved))
    for kind, records in (("images", differences.images), ("layers", differences.layers)):
        yield _sum(kind, added=len(records.added), removed=len(records.removed), changed=len(records.changed))
    yield _sum("retired", changed=len(differences.retired))
    yield _sum("layout", changed=int(differences.form is not None))


def _sum(kind: str, **counts: int) -> str:
    told = [f"{number} {change}" for change, number in counts.items() if number]
    return f"{kind}: {', '.join(told)}" if told else ""


def _short(identity: str) -> str:
    return printable(identity[:_SHORT_ID])


def _dict(differences: Differences) -> dict[str, object]:
    names = differences.names
    return {
        "names": {
            "added": [{"name": item.name, "image": item.image} for item in names.added],
            "removed": [{"name": item.name, "image": item.image} for item in names.removed],
            "moved": [{"name": item.name, "from": item.before, "to": item.after} for item in names.moved],
        },
        "images": _record_dict(differences.images),
        "layers": _record_dict(differences.layers),
        "layout": None if differences.form is None else {"from": differences.form[0].value, "to": differences.form[1].value},
        "retired": [{"layer": item.layer, "from": item.before, "to": item.after} for item in differences.retired],
    }


def _record_dict(records: Records) -> dict[str, object]:
    return {
        "added": list(records.added),
        "removed": list(records.removed),
        "changed": [{"id": record.id, "members": list(record.members)} for record in records.changed],
    }
