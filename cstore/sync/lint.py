"""What is hardly meant in wishlists, as far as they tell it themselves (spec U17, U18)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.model.offer import ALL_OFFERS
from cstore.sync.wish import place_parts
from cstore.verification.problem import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cstore.model.platform import Platform
    from cstore.sync.wish import Wish
    from cstore.sync.wishlist import Wishlist

__all__ = ["Finding", "Rule", "covers", "in_order", "lint"]


_WHOLE = "/"
"""A sign that no tag has."""


class Rule(Enum):
    """What may be found; each has a short name."""

    MALFORMED = "malformed"
    """The wishlist cannot be read."""
    UNKNOWN_KEY = "unknown-key"
    DUPLICATE = "duplicate"
    COVERED = "covered"
    """Another entry stands for all that this one stands for."""
    SAME_IMAGE = "same-image"
    """Another entry stands for the same image under another public name."""
    CONFLICT = "conflict"
    """Another entry gives the same tag another digest."""
    UNREACHABLE_REGISTRY = "unreachable-registry"
    MOVED_REGISTRY = "moved-registry"
    UNMATCHED = "unmatched"
    """No tag is taken."""
    UNAVAILABLE = "unavailable"
    """The registry does not give it: there is no such image, or none for this user."""


@frozen
class Finding:
    """One thing that is hardly meant."""

    rule: Rule
    place: str = field(converter=printable)
    """`FILE:LINE:COLUMN`; of a file that cannot be opened `FILE`."""
    said: str = field(converter=printable)

    def to_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        file, line, column = place_parts(self.place)
        return {"rule": self.rule.value, "file": file, "line": line, "column": column, "said": self.said}

    def __str__(self) -> str:
        return f"{self.place}: {self.rule.value}: {self.said}"


def lint(wishlists: Sequence[Wishlist]) -> tuple[Finding, ...]:
    """Return what is found without asking a registry, ordered by place.

    Entries are compared within all wishlists for one repository.
    """
    found = [Finding(Rule.UNKNOWN_KEY, remark.place, remark.said) for wishlist in wishlists for remark in wishlist.remarks]
    groups: dict[tuple[str, str], list[Wish]] = {}
    for wishlist in wishlists:
        for wish in wishlist.wishes:
            groups.setdefault((wishlist.repository, wish.name.tagged("latest").reference.repository), []).append(wish)
    for group in groups.values():
        found += _compared(group)
        found += _conflicting(group)
    return in_order(found)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Order findings by their places."""
    return tuple(sorted(findings, key=lambda finding: place_parts(finding.place)))


def _compared(wishes: Sequence[Wish]) -> Iterator[Finding]:
    """Compare wishes of one repository of one registry; each is told once."""
    beginnings: dict[str, list[int]] = {}
    for number, wish in enumerate(wishes):
        beginnings.setdefault(_beginning(wish), []).append(number)
    for number, wish in enumerate(wishes):
        # What covers it begins as it does, up to its own first star.
        shared = _beginning(wish).removesuffix(_WHOLE)
        ways = {_beginning(wish), *(shared[:length] for length in range(len(shared) + 1))}
        others = sorted(other for way in ways for other in beginnings.get(way, ()) if other != number)
        # Of two that cover each other the second is told.
        covering = (other for other in others if covers(wishes[other], wish) and (other < number or not covers(wish, wishes[other])))
        first = next(covering, None)
        if first is not None:
            same = (other for other in (first, *covering) if _is_public_same(wishes[other], wish))
            yield _told(wish, wishes[next(same, first)])


def _conflicting(wishes: Sequence[Wish]) -> Iterator[Finding]:
    """Find tags of one repository with two digests for one platform."""
    decided: dict[str, list[Wish]] = {}
    for wish in wishes:
        if not (wish.name.tag and wish.name.digest):
            continue
        before = decided.setdefault(wish.name.tag, [])
        for other in before:
            if other.name.digest != wish.name.digest and _may_share(other.platforms, wish.platforms):
                said = f"expected {other.name.digest} for {wish.name.public}, as at {other.place}, found {wish.name.digest}"
                yield Finding(Rule.CONFLICT, wish.place, said)
                break
        before.append(wish)


def _may_share(one: Sequence[Platform], two: Sequence[Platform]) -> bool:
    return not one or not two or not {*one}.isdisjoint(two)


def _beginning(wish: Wish) -> str:
    """Return what a tag begins with that is wished; one tag is told from patterns by a sign at its end."""
    return wish.name.tag.partition("*")[0] if wish.needs_tags else (wish.name.tag or str(wish.name.digest)) + _WHOLE


def _told(wish: Wish, other: Wish) -> Finding:
    if not _is_public_same(wish, other):
        return Finding(
            Rule.SAME_IMAGE, wish.place, f"expected one public name of an image, found {wish.text} and {other.text} at {other.place}"
        )
    if covers(wish, other):
        return Finding(Rule.DUPLICATE, wish.place, f"expected each entry once, found {wish.text} again, as at {other.place}")
    return Finding(
        Rule.COVERED, wish.place, f"expected an entry that adds something, found {wish.text}, which {other.text} at {other.place} covers"
    )


def _is_public_same(one: Wish, two: Wish) -> bool:
    return (one.name.registry, one.name.repository) == (two.name.registry, two.name.repository)


def covers(one: Wish, two: Wish) -> bool:
    """Whether a wish wants whatever another one of the same repository wants, whatever tags there are (spec U18).

    Where that depends on the tags it says no.
    """
    if not (_is_within(two.platforms, one.platforms) and _offers_all(one, two)):
        return False
    if two.name.digest:
        return (one.name.tag, one.name.digest) == (two.name.tag, two.name.digest)
    if one.name.digest:
        # A digest decides over the tag alone.
        return one.name.tag == two.name.tag and not two.needs_tags
    if one.newest is not None and not (_is_like(one, two) and two.newest is not None and two.newest <= one.newest):
        return False
    if not two.needs_tags:
        return one.takes(two.name.tag)
    return _pattern_covers(one, two) and (one.semver is None or one.semver == two.semver) and _excludes_no_more(one, two)


def _is_within(some: Iterable[object], more: Iterable[object]) -> bool:
    """Whether platforms are among others; none means the usual one."""
    return {*some} <= {*more} if some and more else not some and not more


def _offers_all(one: Wish, two: Wish) -> bool:
    if one.offers is None or two.offers is None:
        return one.offers in (two.offers, ALL_OFFERS)
    return two.offers <= one.offers


def _pattern_covers(one: Wish, two: Wish) -> bool:
    return one.pattern is not None and two.pattern is not None and one.pattern.covers(two.pattern)


def _is_like(one: Wish, two: Wish) -> bool:
    """Whether two take the same tags but for how many."""
    filters = [(wish.semver, {*wish.exclude}) for wish in (one, two)]
    return filters[0] == filters[1] and _pattern_covers(one, two) and _pattern_covers(two, one)


def _excludes_no_more(one: Wish, two: Wish) -> bool:
    """Whether what one excludes the other does not take anyway."""
    return all(
        any(pattern.covers(excluded) for pattern in two.exclude) or (two.pattern is not None and not excluded.meets(two.pattern))
        for excluded in one.exclude
    )
