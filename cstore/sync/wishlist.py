"""Wishlists: the recipes of CernVM-FS's present converter, version 1, with cstore's own keys (spec U1 to U11)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from attrs import define, field, frozen

from cstore.errors import FormatError, StoreError
from cstore.model.digest import found
from cstore.model.offer import parse_offers
from cstore.model.platform import Platform
from cstore.model.tag_pattern import TagPattern
from cstore.model.version_range import VersionRange
from cstore.sync.document import LARGEST, MOST_VALUES, Items, Members, Place, Problem, Text, parse_document, told
from cstore.sync.ignoring import is_name_pattern, name_matches
from cstore.sync.wish import Wish, parse_wished
from cstore.verification.problem import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cstore.sync.document import Value

__all__ = ["Remark", "Wishlist", "WishlistError", "parse_wishlist", "read_wishlist", "read_wishlists"]

_VERSION = "1"
_KEYS = ("version", "user", "cvmfs_repo", "output_format", "input", "ignoreErrors")
_ENTRY_KEYS = ("image", "exclude", "semver", "newest", "platform", "platforms", "forms")
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_COUNT = re.compile(r"0*[1-9][0-9]{0,8}")

T = TypeVar("T")


@frozen
class Remark:
    """Something to say of a place in a wishlist: what was expected there, and what was found."""

    place: str = field(converter=printable)
    """`FILE:LINE:COLUMN`."""
    said: str = field(converter=printable)

    def __str__(self) -> str:
        return f"{self.place}: {self.said}"


class WishlistError(FormatError):
    """What is wrong with a wishlist: all of it that can be told at once, a line each.

    Args:
        problems: in the order of their places.
    """

    def __init__(self, *problems: Remark) -> None:
        super().__init__("", "\n".join(map(str, problems)))
        self.problems = problems


@frozen(kw_only=True)
class Wishlist:
    """What somebody wants published, and where."""

    path: str
    repository: str = ""
    """`REPOSITORY[/SUBDIRECTORY]` in CernVM-FS; empty where the wishlist names none."""
    user: str = ""
    output_format: str = ""
    """Names for another kind of images, which cstore does not make."""
    wishes: tuple[Wish, ...] = ()
    ignore_errors: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    """Of unknown keys."""

    def ignores(self, public_name: str) -> bool:
        """Whether an error with a name is told, but is no reason to say that all failed."""
        return any(name_matches(pattern, public_name) for pattern in self.ignore_errors)


def read_wishlist(path: Path) -> Wishlist:
    """Read the wishlist in a file.

    Raises:
        WishlistError: it is malformed; the message has a line for each problem.
        StoreError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise StoreError(f"{path}: expected a wishlist, found: {error.strerror}") from None
    except ValueError as error:
        raise StoreError(f"{path}: expected a wishlist, found: {error}") from None
    return parse_wishlist(data, str(path))


def read_wishlists(paths: Iterable[Path]) -> tuple[tuple[Wishlist, ...], tuple[str, ...]]:
    """Read several; return those that can be read, and what is wrong with the others."""
    wishlists: list[Wishlist] = []
    problems: list[str] = []
    for path in paths:
        try:
            wishlists.append(read_wishlist(path))
        except WishlistError as error:
            problems += map(str, error.problems)
        except StoreError as error:
            problems.append(str(error))
    return tuple(wishlists), tuple(problems)


def parse_wishlist(data: bytes, at: str) -> Wishlist:
    """Read a wishlist from bytes.

    Args:
        data: its bytes, which may be anything.
        at: what places call its file.

    Raises:
        WishlistError: it is malformed; the message has a line for each problem.
    """
    document = parse_document(data)
    reading = _Reading(at, list(document.problems))
    wishlist = reading.wishlist(document.value) if document.value is not None else None
    if wishlist is None or reading.problems:
        raise WishlistError(*(Remark(reading.at(problem.place), problem.said) for problem in sorted(reading.problems)))
    return wishlist


@define
class _Reading:
    """Reads one wishlist, and notes all that is wrong with it."""

    _at: str
    problems: list[Problem]
    _remarks: list[Remark] = field(factory=list)
    _count: int = 0

    def at(self, place: Place) -> str:
        return f"{self._at}:{place.line}:{place.column}"

    def wishlist(self, value: Value) -> Wishlist | None:
        if not isinstance(value, Members):
            self._told(value, f"expected a mapping with version and input, found {told(value)}")
            return None
        members = self._members(value, _KEYS)
        version = members.get("version")
        if not isinstance(version, Text) or version.text != _VERSION:
            self._told(version or value, f"expected version {_VERSION}, found {told(version) if version else 'none'}")
        repository = self._text(members, "cvmfs_repo", "a repository of CernVM-FS, as in repository.example.org/directory")
        if repository and not _REPOSITORY.fullmatch(repository):
            said = f"expected a repository of CernVM-FS, as in repository.example.org/directory, found {found(repository)}"
            self._told(members["cvmfs_repo"], said)
        entries = members.get("input")
        if not isinstance(entries, Items):
            self._told(entries or value, f"expected input, a list of images, found {told(entries) if entries else 'none'}")
            entries = Items(value.place, ())
        return Wishlist(
            path=self._at,
            repository=repository,
            user=self._text(members, "user", "the name of a user"),
            output_format=self._text(members, "output_format", "a text"),
            wishes=tuple(wish for entry in entries.items if (wish := self._wish(entry))),
            ignore_errors=self._each(members.get("ignoreErrors"), _name_pattern, is_parted=False, may_be_none=True),
            remarks=tuple(self._remarks),
        )

    def _wish(self, entry: Value) -> Wish | None:
        members = self._members(entry, _ENTRY_KEYS) if isinstance(entry, Members) else {"image": entry}
        image = members.get("image")
        if not isinstance(image, Text) or not image.text.strip():
            self._told(image or entry, f"expected the name of an image, found {told(image) if image else 'a mapping without image'}")
            image = None
        exclude = self._each(members.get("exclude"), lambda text: TagPattern.parse(text, ""), may_be_none=True)
        (semver,) = self._one(members.get("semver"), lambda text: VersionRange.parse(text, "")) or (None,)
        (newest,) = self._one(members.get("newest"), _newest) or (None,)
        if "platform" in members and "platforms" in members:
            self._told(members["platforms"], "expected either platform or platforms, found both")
        platforms = self._each(members.get("platforms", members.get("platform")), Platform.parse)
        offers = self._each(members.get("forms"), lambda text: parse_offers(text, ""))
        text = image.text.strip() if image else ""
        is_filtered = any(name in members for name in ("exclude", "semver", "newest"))
        name = self._read(image, text, lambda text: parse_wished(text, is_filtered=is_filtered)) if image else None
        if name is None:
            return None
        return Wish(
            name=name,
            exclude=exclude,
            semver=semver,
            newest=newest,
            platforms=platforms,
            offers=frozenset().union(*offers) if offers else None,
            place=self.at(entry.place),
            text=text,
        )

    def _members(self, value: Members, known: tuple[str, ...]) -> dict[str, Value]:
        """Return the members with known keys; the others get a remark."""
        for key, _ in value.members:
            if key.text not in known:
                self._remarks.append(Remark(self.at(key.place), f"expected one of the keys {', '.join(known)}, found {found(key.text)}"))
        return {key.text: member for key, member in value.members if key.text in known}

    def _text(self, members: dict[str, Value], key: str, expected: str) -> str:
        value = members.get(key)
        if value is not None and not isinstance(value, Text):
            self._told(value, f"expected {expected}, found {told(value)}")
        return value.text.strip() if isinstance(value, Text) else ""

    def _one(self, value: Value | None, parse: Callable[[str], T]) -> tuple[T, ...]:
        """Read a text that may be missing; nothing is returned of one that is malformed."""
        if value is None:
            return ()
        if not isinstance(value, Text) or value.is_null:
            self._told(value, f"expected a text, found {told(value)}")
            return ()
        result = self._read(value, value.text.strip(), parse)
        return () if result is None else (result,)

    def _each(self, value: Value | None, parse: Callable[[str], T], *, is_parted: bool = True, may_be_none: bool = False) -> tuple[T, ...]:
        """Read a list of texts, or one text, in which commas may part them; each result once, in their order."""
        if value is None or (may_be_none and (value == Items(value.place, ()) or (isinstance(value, Text) and value.is_null))):
            return ()
        if isinstance(value, Text) and not value.is_null:
            texts = [(value, part) for part in (value.text.split(",") if is_parted else (value.text,))]
        elif isinstance(value, Items) and value.items:
            texts = [(item, item.text) for item in value.items if isinstance(item, Text)]
            for item in value.items:
                if not isinstance(item, Text):
                    self._told(item, f"expected a text, found {told(item)}")
        else:
            self._told(value, f"expected a list of texts, found {'an empty one' if isinstance(value, Items) else told(value)}")
            return ()
        self._count += len(texts)
        if self._count > MOST_VALUES:
            self._told(value, f"expected at most {MOST_VALUES} values in all, found more")
            return ()
        results = (self._read(item, text.strip(), parse) for item, text in texts)
        return tuple(dict.fromkeys(result for result in results if result is not None))

    def _read(self, value: Value, text: str, parse: Callable[[str], T]) -> T | None:
        try:
            return parse(text)
        except FormatError as error:
            self._told(value, error.said)
            return None

    def _told(self, value: Value, said: str) -> None:
        self.problems.append(Problem(value.place, said))


def _newest(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise FormatError("", f"expected how many tags, from 1, found {found(text)}")
    return int(text)


def _name_pattern(text: str) -> str:
    if not is_name_pattern(text):
        raise FormatError("", f"expected a pattern of names such as registry.example.org/atlas/*:v1*, found {found(text)}")
    return text
