"""What is hardly meant in wishlists, as registries tell it (spec U17)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from attrs import evolve

from cstore.errors import StoreError
from cstore.model.offer import ALL_OFFERS
from cstore.model.platform import Platform
from cstore.sync.asking import ask
from cstore.sync.expansion import TagLister, expand
from cstore.sync.lint import Finding, Rule, in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    told = ask("asking", "registries", {registry: partial(_moved_to, wish, registries) for registry, wish in names.items()})
    found = [_of_registry(names[registry], answer) for registry, answer in told.items()]
    silent_ones = {registry for registry, answer in told.items() if isinstance(answer, StoreError)}
    left = [
        evolve(wishlist, wishes=tuple(wish for wish in wishlist.wishes if wish.name.registry not in silent_ones)) for wishlist in wishlists
    ]
    single = [(wishlist, wish) for wishlist in left for wish in wishlist.wishes if not wish.needs_tags]
    single = [(wishlist, wish) for wishlist, wish in single if not wishlist.ignores(wish.name.public)]
    digests = ask("looking up", "names", {number: partial(registries.digest, wish.name) for number, (_, wish) in enumerate(single)})
    wrong = ((single[number][1], answer) for number, answer in digests.items() if isinstance(answer, StoreError))
    found += [Finding(Rule.UNAVAILABLE, wish.place, str(answer)) for wish, answer in wrong]
    for wishlist in left:
        patterns = evolve(wishlist, wishes=tuple(wish for wish in wishlist.wishes if wish.needs_tags))
        expansion = expand([patterns], registries, platform=_ANY, offers=ALL_OFFERS)
        found += [Finding(Rule.UNMATCHED, wish.place, f"expected tags for {wish.text}, found none") for wish in expansion.unmatched]
        failures = (failure for failure in expansion.failures if not failure.is_ignored)
        found += [Finding(Rule.UNAVAILABLE, failure.wish.place, failure.error) for failure in failures]
    return in_order(filter(None, found))


def _moved_to(wish: Wish, registries: Asked) -> str | None:
    return registries.moved_to(wish.name.tagged("latest") if wish.needs_tags else wish.name)


def _of_registry(wish: Wish, answer: str | StoreError | None) -> Finding | None:
    if isinstance(answer, StoreError):
        return Finding(Rule.UNREACHABLE_REGISTRY, wish.place, str(answer))
    if answer is None:
        return None
    return Finding(Rule.MOVED_REGISTRY, wish.place, f"expected an answer from {wish.name.registry}, found that it leads to {answer}")
