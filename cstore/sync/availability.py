"""What is hardly meant in wishlists, as registries tell it (spec U17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import evolve

from cstore.errors import StoreError
from cstore.model.offer import ALL_OFFERS
from cstore.model.platform import Platform
from cstore.progress import silent
from cstore.source.abreast import Work, abreast
from cstore.sync.expansion import AT_ONCE, TagLister, expand
from cstore.sync.lint import Finding, Rule, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cstore.model.digest import Digest
    from cstore.model.remote import RemoteName
    from cstore.sync.wish import Wish
    from cstore.sync.wishlist import Wishlist

__all__ = ["Asked", "availability"]

_ANY = Platform("linux", "amd64")
"""No platform is looked at."""


class Asked(TagLister, Protocol):
    """Registries, as they are asked; by several threads at once."""

    def digest(self, name: RemoteName) -> Digest:
        """Return the digest of an image.

        Raises:
            StoreError: there is none, or the registry cannot be asked.
        """
        ...

    def moved_to(self, name: RemoteName) -> str | None:
        """Return the host to which a name's registry leads whoever asks; None where it answers itself.

        Raises:
            StoreError: nothing answers there, or no registry.
        """
        ...


def availability(wishlists: Sequence[Wishlist], registries: Asked) -> tuple[Finding, ...]:
    """Return what registries tell of what is wished: each is asked whether it is one, then for each tag, digest and list of tags.

    What is wished of a registry that does not answer is not asked for; nor is an image told whose errors the wishlist ignores.
    """
    names: dict[str, Wish] = {}
    for wishlist in wishlists:
        for wish in wishlist.wishes:
            names.setdefault(wish.name.registry, wish)
    told = _each(list(names.values()), lambda wish: _registry(wish, registries))
    silent_ones = {wish.name.registry for wish, finding in zip(names.values(), told, strict=True) if finding and _is_silent(finding)}
    left = [
        evolve(wishlist, wishes=tuple(wish for wish in wishlist.wishes if wish.name.registry not in silent_ones)) for wishlist in wishlists
    ]
    single = [(wishlist, wish) for wishlist in left for wish in wishlist.wishes if not wish.needs_tags]
    single = [(wishlist, wish) for wishlist, wish in single if not wishlist.ignores(wish.name.public)]
    found = [*told, *_each([wish for _, wish in single], lambda wish: _image(wish, registries))]
    for wishlist in left:
        patterns = evolve(wishlist, wishes=tuple(wish for wish in wishlist.wishes if wish.needs_tags))
        expansion = expand([patterns], registries, platform=_ANY, offers=ALL_OFFERS)
        found += [Finding(Rule.UNMATCHED, wish.place, f"expected tags for {wish.text}, found none") for wish in expansion.unmatched]
        failures = (failure for failure in expansion.failures if not failure.is_ignored)
        found += [Finding(Rule.UNAVAILABLE, failure.wish.place, failure.error) for failure in failures]
    return in_order(filter(None, found))


def _is_silent(finding: Finding) -> bool:
    return finding.rule is Rule.UNREACHABLE_REGISTRY


def _each(wishes: Sequence[Wish], ask: Callable[[Wish], Finding | None]) -> list[Finding | None]:
    """Ask something of each wish, several at once."""
    works = [Work("asking for", wish.text, 0, lambda _advance, wish=wish: ask(wish)) for wish in wishes]  # type: ignore[misc]
    return abreast(works, AT_ONCE, silent)


def _registry(wish: Wish, registries: Asked) -> Finding | None:
    name = wish.name if not wish.needs_tags else wish.name.tagged("latest")
    try:
        host = registries.moved_to(name)
    except StoreError as error:
        return Finding(Rule.UNREACHABLE_REGISTRY, wish.place, str(error))
    if host is None:
        return None
    return Finding(Rule.MOVED_REGISTRY, wish.place, f"expected an answer from {name.registry}, found that it leads to {host}")


def _image(wish: Wish, registries: Asked) -> Finding | None:
    try:
        registries.digest(wish.name)
    except StoreError as error:
        return Finding(Rule.UNAVAILABLE, wish.place, str(error))
    return None
