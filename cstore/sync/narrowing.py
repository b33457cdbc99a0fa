"""Rounds that look at a few names only (spec Z8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from cstore.errors import FormatError
from cstore.model.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Collection

    from cstore.model.remote import RemoteName
    from cstore.sync.wishlist import Wishlist

__all__ = ["asked_for", "is_among", "narrowed"]


def asked_for(text: str) -> tuple[str, str]:
    """Split a `registry/repository[:tag]` into the repository, as podman normalises it, and the tag; that is empty for all."""
    head, colon, tag = text.rpartition(":")
    return (_repository(head), tag) if colon and "/" not in tag else (_repository(text), "")


def narrowed(wishlist: Wishlist, asked: Collection[tuple[str, str]]) -> Wishlist:
    """Return a wishlist with the wishes of certain repositories alone, so that no other list of tags is asked for."""
    repositories = {repository for repository, _ in asked}
    return evolve(wishlist, wishes=tuple(wish for wish in wishlist.wishes if _repository_of(wish.name) in repositories))


def is_among(name: RemoteName, asked: Collection[tuple[str, str]]) -> bool:
    """Whether an image is one of those that are asked for."""
    repository = _repository_of(name)
    return (repository, "") in asked or (repository, name.tag) in asked


def _repository_of(name: RemoteName) -> str:
    return _repository(f"{name.registry}/{name.repository}")


def _repository(text: str) -> str:
    """Return a repository as podman normalises it; a notification may name what is none."""
    try:
        return Reference.parse(text).repository
    except FormatError:
        return text
