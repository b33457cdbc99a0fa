"""Rounds that look at a few names only (spec Z8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from cstore.errors import FormatError
from cstore.model.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cstore.model.remote import RemoteName
    from cstore.sync.wish import Wish
    from cstore.sync.wishlist import Wishlist

__all__ = ["asked_for", "is_among", "narrowed", "strangers"]


def asked_for(text: str) -> tuple[str, str]:
    """Split a `registry/repository[:tag]` into the repository, as podman normalises it, and the tag; that is empty for all."""
    head, colon, tag = text.rpartition(":")
    return (_repository(head), tag) if colon and "/" not in tag else (_repository(text), "")


def narrowed(wishlist: Wishlist, asked: Collection[tuple[str, str]]) -> Wishlist:
    """Return a wishlist with the wishes of certain repositories alone, so that no other list of tags is asked for."""
    repositories = {repository for repository, _ in asked}
    return evolve(wishlist, wishes=tuple(wish for wish in wishlist.wishes if _repository_of(wish.name) in repositories))


def strangers(wishlists: Iterable[Wishlist], only: Iterable[str]) -> tuple[str, ...]:
    """Return which of the `registry/repository[:tag]` names no wish stands for, in order."""
    wishes: dict[str, list[Wish]] = {}
    for wishlist in wishlists:
        for wish in wishlist.wishes:
            wishes.setdefault(_repository_of(wish.name), []).append(wish)

    def is_strange(name: str) -> bool:
        repository, tag = asked_for(name)
        return not any(not tag or wish.takes(tag) for wish in wishes.get(repository, ()))

    return tuple(sorted(filter(is_strange, only)))


def is_among(name: RemoteName, asked: Collection[tuple[str, str]]) -> bool:
    """Whether an image is one of those that are asked for."""
    repository = _repository_of(name)
    return (repository, "") in asked or (repository, name.tag) in asked


def _repository_of(name: RemoteName) -> str:
    return _repository(name.home)


def _repository(text: str) -> str:
    """Return a repository as podman normalises it; a notification may name what is none."""
    try:
        return Reference.parse(text).repository
    except FormatError:
        return text
