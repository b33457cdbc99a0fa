"""What wishlists come to: single images, by the tags that registries have (spec U12 to U15)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from attrs import evolve, frozen

from cstore.errors import FormatError, SourceError, StoreError
from cstore.model.digest import found
from cstore.model.tag_pattern import TagPattern
from cstore.sync.asking import ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cstore.model.offer import Offer
    from cstore.model.platform import Platform
    from cstore.model.remote import RemoteName
    from cstore.sync.wish import Wish
    from cstore.sync.wishlist import Wishlist

__all__ = ["Expansion", "Failure", "TagLister", "Wanted", "expand"]


class TagLister(Protocol):
    """Where lists of tags come from; it is asked by several threads at once."""

    def tags(self, name: RemoteName) -> tuple[str, ...]:
        """Return all tags of a repository.

        Args:
            name: one of its names; the tag says nothing.

        Raises:
            StoreError: the list could not be read to its end.
        """
        ...


@frozen(kw_only=True)
class Wanted:
    """One image for one platform."""

    name: RemoteName
    """With one tag or a digest."""
    platform: Platform
    offers: frozenset[Offer]
    """Of all wishes that want it."""
    wish: Wish
    """The first of them, or the one that tells a digest."""


@frozen(kw_only=True)
class Failure:
    """A wish of which nobody knows all that it stands for."""

    wish: Wish
    error: str
    is_ignored: bool = False
    """Whether its wishlist says that such errors are told only."""


@frozen(kw_only=True)
class Expansion:
    """What is wanted."""

    wanted: tuple[Wanted, ...] = ()
    """Ordered by public name and platform, each pair once."""
    failures: tuple[Failure, ...] = ()
    unmatched: tuple[Wish, ...] = ()
    """Wishes that take none of the tags that there are."""
    unread: tuple[str, ...] = ()
    """What is wrong with wishlists that could not be read."""

    def protects(self, public_name: str) -> bool:
        """Whether what is published under a name must stay, since it may be of a wish that could not be expanded, or matched nothing.

        Where a whole wishlist could not be read that is so for every name.
        """
        repository, _, tag = public_name.rpartition(":")
        wishes = (*(failure.wish for failure in self.failures), *self.unmatched)
        return bool(self.unread) or any(
            wish.name.public == public_name or (f"{wish.name.registry}/{wish.name.repository}" == repository and wish.takes(tag))
            for wish in wishes
        )


def expand(
    wishlists: Sequence[Wishlist],
    tags: TagLister,
    *,
    platform: Platform,
    offers: frozenset[Offer],
    unread: Iterable[str] = (),
) -> Expansion:
    """Return what wishlists want. The list of tags of a repository is asked for once, and only if a pattern needs it.

    Args:
        wishlists: those that could be read.
        tags: the registries.
        platform: of wishes that name none.
        offers: of wishes that name none.
        unread: what is wrong with other wishlists.
    """
    wishes = [(wishlist, wish) for wishlist in wishlists for wish in wishlist.wishes]
    lists = _lists((wish for _, wish in wishes), tags)
    wanted: dict[tuple[str, Platform], Wanted] = {}
    failures: list[Failure] = []
    unmatched: list[Wish] = []
    for wishlist, wish in wishes:
        listed = lists[_repository(wish.name)] if wish.needs_tags else None
        if isinstance(listed, str):
            failures.append(Failure(wish=wish, error=listed, is_ignored=wishlist.ignores(wish.name.public)))
            continue
        names = [wish.name] if listed is None else [wish.name.tagged(tag) for tag in wish.choose(listed)]
        if not names:
            unmatched.append(wish)
        for name in names:
            for one in wish.platforms or (platform,):
                image = Wanted(name=name, platform=one, offers=offers if wish.offers is None else wish.offers, wish=wish)
                key = (name.public, one)
                try:
                    wanted[key] = _united(wanted[key], image) if key in wanted else image
                except FormatError as error:
                    failures.append(Failure(wish=wish, error=str(error), is_ignored=wishlist.ignores(name.public)))
    ordered = sorted(wanted.values(), key=lambda image: (image.name.public, str(image.platform)))
    return Expansion(wanted=tuple(ordered), failures=tuple(failures), unmatched=tuple(unmatched), unread=tuple(unread))


def _repository(name: RemoteName) -> RemoteName:
    return name.tagged("latest")


def _lists(wishes: Iterable[Wish], tags: TagLister) -> dict[RemoteName, tuple[str, ...] | str]:
    """Return the tags of each repository of which a pattern is wished, or why they are unknown."""
    repositories = dict.fromkeys(_repository(wish.name) for wish in wishes if wish.needs_tags)
    answers = ask("listing tags of", "repositories", {repository: partial(_listed, repository, tags) for repository in repositories})
    return {repository: str(answer) if isinstance(answer, StoreError) else answer for repository, answer in answers.items()}


def _listed(repository: RemoteName, lister: TagLister) -> tuple[str, ...]:
    """Return the tags of a repository in order, each once; an empty list, or one with what is no tag, tells nothing."""
    tags = lister.tags(repository)
    at = f"docker://{repository.registry}/{repository.repository}"
    if not tags:
        raise SourceError(f"{at}: expected a list of tags, found no tags")
    for tag in tags:
        if not TagPattern.is_tag(tag):
            raise SourceError(f"{at}: expected a list of tags, found {found(tag)} in it")
    return tuple(sorted(set(tags)))


def _united(before: Wanted, more: Wanted) -> Wanted:
    """Return what two wishes for one name and platform want together: what either offers, and the image of the digest that one tells."""
    if before.name.digest and more.name.digest and before.name.digest != more.name.digest:
        raise FormatError(
            more.wish.place, f"expected {before.name.digest} for {more.name.public}, as at {before.wish.place}, found {more.name.digest}"
        )
    decisive = more if more.name.digest and not before.name.digest else before
    return evolve(decisive, offers=before.offers | more.offers)
