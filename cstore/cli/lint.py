"""`cstore lint`: what is hardly meant in wishlists."""

from __future__ import annotations

from pathlib import Path

import click

from cstore.cli import show
from cstore.cli.registry import registries, registry_options
from cstore.errors import StoreError
from cstore.sync.availability import availability
from cstore.sync.lint import Finding, Rule, in_order, lint
from cstore.sync.wishlist import Wishlist, WishlistError, read_wishlist

__all__ = ["command"]

_FOUND = 1


@click.command("lint")
@click.argument("wishlists", metavar="WISHLIST...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--offline", is_flag=True, help="Ask no registry.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@registry_options
def command(wishlists: tuple[Path, ...], *, offline: bool, as_json: bool, cache: Path | None, cache_size: float) -> None:
    """Tell what is wrong with WISHLISTs, and what is hardly meant: entries that add or match nothing, unknown keys, dead registries.

    Each finding is one line: FILE:LINE:COLUMN, its short name, what was expected and what was found. Exit code: 0 where nothing is found,
    1 where something is, 2 for wrong usage, 3 for an error.
    """
    read: list[Wishlist] = []
    found: list[Finding] = []
    for path in wishlists:
        try:
            read.append(read_wishlist(path))
        except WishlistError as error:
            found += [Finding(Rule.MALFORMED, problem.place, problem.said) for problem in error.problems]
        except StoreError as error:
            found.append(Finding(Rule.MALFORMED, str(path), str(error).removeprefix(f"{path}: ")))
    found += lint(read)
    if not offline:
        with registries(cache, cache_size) as asked:
            found += availability(read, asked)
    entries = sum(len(wishlist.wishes) for wishlist in read)
    if as_json:
        click.echo(show.as_json({"entries": entries, "findings": [finding.to_dict() for finding in in_order(found)]}))
    else:
        for finding in in_order(found):
            show.say(str(finding))
        click.echo(f"{show.count(len(found), 'finding')}: {show.count(entries, 'entry')}, {show.count(len(read), 'wishlist')}")
    if found:
        click.get_current_context().exit(_FOUND)
