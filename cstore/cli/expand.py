"""`cstore expand`: which images wishlists stand for."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cstore.cli import parameters, show
from cstore.cli.registry import registries, registry_options
from cstore.model.offer import Offer
from cstore.sync.expansion import expand
from cstore.sync.wish import place_parts
from cstore.sync.wishlist import read_wishlists
from cstore.verification.problem import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cstore.model.platform import Platform
    from cstore.sync.expansion import Expansion
    from cstore.sync.wish import Wish
    from cstore.sync.wishlist import Wishlist

__all__ = ["command"]

_INCOMPLETE = 1


@click.command("expand")
@click.argument("wishlists", metavar="WISHLIST...", nargs=-1, required=True, type=click.Path(path_type=Path))
@parameters.platform_option("Of entries that name none.")
@parameters.forms_option("Of entries that name none.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, with the entries that the images come from.")
@registry_options
def command(
    wishlists: tuple[Path, ...],
    *,
    platform: Platform,
    forms: frozenset[Offer],
    as_json: bool,
    cache: Path | None,
    cache_size: float,
) -> None:
    """Print the images that the entries of WISHLISTs stand for now, a line each: its name, and the platforms.

    Lists of tags are asked for where an entry has a pattern. What cannot be expanded is told, and the rest is printed. Exit code: 0 where
    all is expanded, 1 where something is not, 2 for wrong usage, 3 for an error.
    """
    read, unread = read_wishlists(wishlists)
    with registries(cache, cache_size) as asked:
        expansion = expand(read, asked, platform=platform, offers=forms, unread=unread)
    if as_json:
        click.echo(show.as_json(_dict(expansion, read)))
    else:
        for name, images in groupby(expansion.wanted, key=lambda image: str(image.name).removeprefix("docker://")):
            show.say(" ".join((name, *(str(image.platform) for image in images))))
        for problem in _problems(expansion):
            show.complain(problem)
    if expansion.unread or not all(failure.is_ignored for failure in expansion.failures):
        click.get_current_context().exit(_INCOMPLETE)


def _problems(expansion: Expansion) -> Iterator[str]:
    yield from expansion.unread
    yield from (f"{failure.wish.place}: {failure.error}{' (ignored)' * failure.is_ignored}" for failure in expansion.failures)
    yield from (f"{wish.place}: expected tags for {wish.text}, found none" for wish in expansion.unmatched)


def _dict(expansion: Expansion, wishlists: Sequence[Wishlist]) -> dict[str, object]:
    return {
        "images": [
            {
                "name": image.name.public,
                "source": str(image.name),
                "platform": str(image.platform),
                "forms": [offer.value for offer in Offer if offer in image.offers],
                "wish": printable(image.wish.place),
            }
            for image in expansion.wanted
        ],
        "wishes": [_wish_dict(wish, expansion) for wishlist in wishlists for wish in wishlist.wishes],
        "problems": [printable(problem) for problem in _problems(expansion)],
    }


def _wish_dict(wish: Wish, expansion: Expansion) -> dict[str, object]:
    file, line, column = place_parts(wish.place)
    return {
        "text": printable(wish.text),
        "file": printable(file),
        "line": line,
        "column": column,
        "exclude": [pattern.text for pattern in wish.exclude],
        "semver": wish.semver.text if wish.semver else None,
        "newest": wish.newest,
        "platforms": [str(platform) for platform in wish.platforms],
        "forms": None if wish.offers is None else [offer.value for offer in Offer if offer in wish.offers],
        "error": next((printable(failure.error) for failure in expansion.failures if failure.wish is wish), None),
        "matches": not any(unmatched is wish for unmatched in expansion.unmatched),
    }
