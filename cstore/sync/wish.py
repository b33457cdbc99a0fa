"""Wishes: one entry of a wishlist, and which tags it takes (spec U3 to U9)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.errors import FormatError
from cstore.model.digest import found
from cstore.model.remote import RemoteName
from cstore.model.tag_pattern import TagPattern
from cstore.model.version import newest_first

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cstore.model.offer import Offer
    from cstore.model.platform import Platform
    from cstore.model.version_range import VersionRange

__all__ = ["ALL_TAGS", "Wish", "parse_wished", "place_parts"]

ALL_TAGS = "*"
_WEB = re.compile(r"https?://")
_HOST = re.compile(r"[.:]|^localhost$")
_PLACE = re.compile(r"(.*):([0-9]+):([0-9]+)", re.DOTALL)


@frozen(kw_only=True)
class Wish:
    """One entry of a wishlist."""

    name: RemoteName
    """What is wished; its tag may hold `*`."""
    exclude: tuple[TagPattern, ...] = ()
    semver: VersionRange | None = None
    newest: int | None = None
    """How many of the tags that are left, those that `newest_first` says; None for all."""
    platforms: tuple[Platform, ...] = ()
    """Empty for the one that is usual where the wishlist is read."""
    offers: frozenset[Offer] | None = None
    """None for what is usual where the wishlist is read."""
    place: str
    """`FILE:LINE:COLUMN`."""
    text: str
    """The name as it was written."""

    @property
    def pattern(self) -> TagPattern | None:
        """Its tag as a pattern; None where there is a digest, which decides."""
        return None if self.name.digest else TagPattern(self.name.tag)

    @property
    def needs_tags(self) -> bool:
        """Whether only the registry's list of tags tells what is wished."""
        return self.pattern is not None and not self.pattern.is_literal

    def takes(self, tag: str) -> bool:
        """Whether a tag passes all filters but `newest`, which depends on the others."""
        return (
            (self.pattern.matches(tag) if self.pattern else tag == self.name.tag)
            and not any(pattern.matches(tag) for pattern in self.exclude)
            and (self.semver is None or self.semver.takes(tag))
        )

    def choose(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return which of a repository's tags are wished."""
        taken = [tag for tag in tags if self.takes(tag)]
        return tuple(taken if self.newest is None else newest_first(taken)[: self.newest])


def parse_wished(text: str, *, is_filtered: bool) -> RemoteName:
    """Read the name of a wish: `[SCHEME://][REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, with `*` anywhere in the tag.

    Args:
        text: as it is written.
        is_filtered: whether the entry has filters of tags; then a name without a tag stands for all tags.

    Raises:
        FormatError: it is no such name.
    """
    rest, at, digest = text.partition("@")
    head, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        head, tag = rest, ""
    if "*" in head or "*" in digest:
        raise FormatError("", f"expected * in the tag only, found {found(text)}")
    if web := _WEB.match(head):
        host, slash, _ = head[web.end() :].partition("/")
        if not slash or not _HOST.search(host):
            raise FormatError("", f"expected a host with a dot or a port after {web[0]}, found {found(text)}")
    if not tag and not at and is_filtered:
        tag = ALL_TAGS
    if "*" not in tag:
        if is_filtered:
            raise FormatError("", f"expected a tag with * or none where exclude, semver or newest choose among tags, found {found(text)}")
        return RemoteName.parse(text, "")
    if at:
        raise FormatError("", f"expected a tag with * or a digest, found both in {found(text)}")
    pattern = TagPattern.parse(tag, "")
    return RemoteName.parse(head, "").tagged(pattern.text)


def place_parts(place: str) -> tuple[str, int, int]:
    """Return file, line and column of `FILE:LINE:COLUMN`; both numbers are 0 where it is only a file."""
    match = _PLACE.fullmatch(place)
    return (match[1], int(match[2]), int(match[3])) if match else (place, 0, 0)
