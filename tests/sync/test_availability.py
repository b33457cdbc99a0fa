from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from cstore.errors import SourceError
from cstore.model.digest import Digest
from cstore.sync.availability import availability
from cstore.sync.wishlist import Wishlist, parse_wishlist

if TYPE_CHECKING:
    from cstore.model.remote import RemoteName

TAGS = {"a.org/b": ("1.0", "1.1"), "moved.org/b": ("1",)}


@define
class Registries:
    """Registries with some tags, of which one has moved and one is silent."""

    asked: list[str] = field(factory=list)

    def moved_to(self, name: RemoteName) -> str | None:
        assert name.reference.tag == name.tag
        self.asked.append(name.registry)
        if name.registry == "silent.org":
            raise SourceError("silent.org: expected an answer, found none")
        return "new.org" if name.registry == "moved.org" else None

    def tags(self, name: RemoteName) -> tuple[str, ...]:
        assert name.registry != "silent.org"
        found = TAGS.get(f"{name.registry}/{name.repository}")
        if found is None:
            raise SourceError(f"docker://{name.registry}/{name.repository}: expected a list of tags, found status 404")
        return found

    def digest(self, name: RemoteName) -> Digest:
        if name.tag in self.tags(name):
            return Digest.of(name.tag.encode())
        raise SourceError(f"{name}: expected a manifest, found status 404")


def wishlist(*entries: str, more: str = "") -> Wishlist:
    return parse_wishlist(("version: 1\ninput:\n" + "".join(f"- {entry}\n" for entry in entries) + more).encode(), "w")


def test_all_is_told_that_registries_do_not_give() -> None:
    """Spec U17."""
    registries = Registries()
    entries = ("a.org/b:1.0", "a.org/b:2.0", "a.org/b:2*", "a.org/c:*", "silent.org/b:1", "silent.org/b:*", "moved.org/b:1", "a.org/b:1*")
    assert [str(finding) for finding in availability([wishlist(*entries)], registries)] == [
        "w:4:3: unavailable: docker://a.org/b:2.0: expected a manifest, found status 404",
        "w:5:3: unmatched: expected tags for a.org/b:2*, found none",
        "w:6:3: unavailable: docker://a.org/c: expected a list of tags, found status 404",
        "w:7:3: unreachable-registry: silent.org: expected an answer, found none",
        "w:9:3: moved-registry: expected an answer from moved.org, found that it leads to new.org",
    ]
    assert sorted(registries.asked) == ["a.org", "moved.org", "silent.org"]


def test_what_a_wishlist_ignores_is_not_told() -> None:
    lists = [wishlist("a.org/b:2.0", "a.org/c:*", "a.org/b:3.0", more="ignoreErrors: ['a.org/b:2*', 'a.org/c:*']\n")]
    assert [finding.place for finding in availability(lists, Registries())] == ["w:5:3"]


def test_nothing_is_told_of_what_is_there() -> None:
    assert availability([wishlist("a.org/b:1.0", "a.org/b:1*")], Registries()) == ()
