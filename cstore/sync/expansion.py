"""What wishlists come to: single images, by the tags that registries have (spec U12 to U15)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from attrs import define, evolve, field, frozen

from cstore.errors import FormatError, SourceError, StoreError
from cstore.model.digest import found
from cstore.model.tag_pattern import TagPattern
from cstore.progress import Progress, silent
from cstore.sync.asking import ask

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

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
    patterns: Mapping[str, Sequence[Wish]] = field(factory=dict, repr=False)
    """Wishes that choose among tags and were expanded, by `REGISTRY/REPOSITORY`."""
    listed: Mapping[str, Collection[str]] = field(factory=dict, repr=False)
    """All tags of these repositories."""
    is_empty: bool = False
    """Whether nothing at all is wished."""

    def protects(self, public_name: str) -> bool:
        """Whether what is published under a name must stay, since it may be of a wish that could not be expanded, or matched nothing.

        Where a whole wishlist could not be read, or wishlists want nothing at all, that is so for every name.
        """
        repository, _, tag = public_name.rpartition(":")
        wishes = (*(failure.wish for failure in self.failures), *self.unmatched)
        return (
            bool(self.unread)
            or self.is_empty
            or any(wish.name.public == public_name or (wish.name.home == repository and wish.takes(tag)) for wish in wishes)
        )

    def unlisted(self, public_name: str) -> RemoteName | None:
        """Return the name under which a registry would have what is published, if a pattern takes its tag and the list of tags lacks it."""
        repository, _, tag = public_name.rpartition(":")
        taking = (wish for wish in self.patterns.get(repository, ()) if wish.takes(tag) and tag not in self.listed[repository])
        return next((wish.name.tagged(tag) for wish in taking), None)


def expand(  # noqa: PLR0913 - keywords, each of them one thing to choose
    wishlists: Sequence[Wishlist],
    tags: TagLister,
    *,
    platform: Platform,
    offers: frozenset[Offer],
    unread: Iterable[str] = (),
    progress: Progress = silent,
) -> Expansion:
    """Return what wishlists want. The list of tags of a repository is asked for once, and only if a pattern needs it.

    Args:
        wishlists: those that could be read.
        tags: the registries.
        platform: of wishes that name none.
        offers: of wishes that name none.
        unread: what is wrong with other wishlists.
        progress: is told of the lists of tags.
    """
    lists = _lists((wish for wishlist in wishlists for wish in wishlist.wishes), tags, progress)
    gathered = _Gathered(platform=platform, offers=offers)
    for wishlist in wishlists:
        for wish in wishlist.wishes:
            gathered.take(wishlist, wish, lists[_repository(wish.name)] if wish.needs_tags else None)
    wanted, disagreeing = _agreed([*gathered.wanted.values()])
    for image, said in disagreeing.items():
        is_ignored = any(wishlist.ignores(image.name.public) for wishlist in wishlists)
        gathered.failures.append(Failure(wish=image.wish, error=said, is_ignored=is_ignored))
    return Expansion(
        wanted=tuple(sorted(wanted, key=lambda image: (image.name.public, str(image.platform)))),
        failures=tuple(gathered.failures),
        unmatched=tuple(gathered.unmatched),
        unread=tuple(unread),
        patterns=gathered.patterns,
        listed={repository.home: frozenset(listed) for repository, listed in lists.items() if not isinstance(listed, str)},
        is_empty=not any(wishlist.wishes for wishlist in wishlists),
    )


@define
class _Gathered:
    """What single wishes come to, until all are known."""

    _platform: Platform
    _offers: frozenset[Offer]
    wanted: dict[tuple[str, Platform], Wanted] = field(factory=dict)
    failures: list[Failure] = field(factory=list)
    unmatched: list[Wish] = field(factory=list)
    patterns: dict[str, list[Wish]] = field(factory=dict)

    def take(self, wishlist: Wishlist, wish: Wish, listed: tuple[str, ...] | str | None) -> None:
        """Expand a wish.

        Args:
            wishlist: where it stands.
            wish: it.
            listed: the tags of its repository, or why they are unknown; None where it needs none.
        """
        if isinstance(listed, str):
            self.failures.append(Failure(wish=wish, error=listed, is_ignored=wishlist.ignores(wish.name.public)))
            return
        names = [wish.name] if listed is None else [wish.name.tagged(tag) for tag in wish.choose(listed)]
        if not names:
            self.unmatched.append(wish)
        elif listed is not None:
            self.patterns.setdefault(wish.name.home, []).append(wish)
        offers = self._offers if wish.offers is None else wish.offers
        for name in names:
            for platform in wish.platforms or (self._platform,):
                image = Wanted(name=name, platform=platform, offers=offers, wish=wish)
                key = (name.public, platform)
                try:
                    self.wanted[key] = _united(self.wanted[key], image) if key in self.wanted else image
                except FormatError as error:
                    self.failures.append(Failure(wish=wish, error=str(error), is_ignored=wishlist.ignores(name.public)))


def _repository(name: RemoteName) -> RemoteName:
    return name.tagged("latest")


def _lists(wishes: Iterable[Wish], tags: TagLister, progress: Progress) -> dict[RemoteName, tuple[str, ...] | str]:
    """Return the tags of each repository of which a pattern is wished, or why they are unknown."""
    repositories = dict.fromkeys(_repository(wish.name) for wish in wishes if wish.needs_tags)
    questions = {repository: partial(_listed, repository, tags) for repository in repositories}
    answers = ask("listing tags of", "repositories", questions, progress)
    return {repository: str(answer) if isinstance(answer, StoreError) else answer for repository, answer in answers.items()}


def _listed(repository: RemoteName, lister: TagLister) -> tuple[str, ...]:
    """Return the tags of a repository in order, each once; an empty list, or one with what is no tag, tells nothing."""
    tags = lister.tags(repository)
    at = f"docker://{repository.home}"
    if not tags:
        raise SourceError(f"{at}: expected a list of tags, found no tags")
    for tag in tags:
        if not TagPattern.is_tag(tag):
            raise SourceError(f"{at}: expected a list of tags, found {found(tag)} in it")
    return tuple(sorted(set(tags)))


def _united(before: Wanted, more: Wanted) -> Wanted:
    """Return what two wishes for one name and platform want together: what either offers, and the image of the digest that one tells."""
    if before.name.digest and more.name.digest and before.name.digest != more.name.digest:
        raise _disagreement(before, more)
    decisive = more if more.name.digest and not before.name.digest else before
    return evolve(decisive, offers=before.offers | more.offers)


def _agreed(images: Sequence[Wanted]) -> tuple[list[Wanted], dict[Wanted, str]]:
    """Have all public names of one name in a store stand for one image; return those that do, and what is wrong with the others.

    A registry may be written in several ways, and a store has one name for all of them.
    """
    decided: dict[tuple[str, Platform], Wanted] = {}
    for image in images:
        if image.name.digest:
            decided.setdefault(_stored(image), image)
    agreed: list[Wanted] = []
    others: dict[Wanted, str] = {}
    for image in images:
        first = decided.get(_stored(image), image)
        if image.name.digest in (None, first.name.digest):
            agreed.append(evolve(image, name=evolve(image.name, digest=first.name.digest)))
        else:
            others[image] = str(_disagreement(first, image))
    return agreed, others


def _stored(image: Wanted) -> tuple[str, Platform]:
    return str(image.name.reference), image.platform


def _disagreement(first: Wanted, image: Wanted) -> FormatError:
    said = f"expected {first.name.digest} for {image.name.public}, as at {first.wish.place}, found {image.name.digest}"
    return FormatError(image.wish.place, said)
