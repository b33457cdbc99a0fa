from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from attrs import define, field

from cstore.errors import SourceError
from cstore.model.offer import ALL_OFFERS, Offer
from cstore.model.platform import Platform
from cstore.sync.asking import AT_ONCE
from cstore.sync.expansion import Expansion, expand
from cstore.sync.wishlist import parse_wishlist

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cstore.model.remote import RemoteName

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
ONE, TWO = ("sha256:" + digit * 64 for digit in "12")


@define
class Lists:
    """Lists of tags by repository; others cannot be read."""

    lists: Mapping[str, tuple[str, ...]]
    asked: list[str] = field(factory=list)

    def tags(self, name: RemoteName) -> tuple[str, ...]:
        repository = f"{name.registry}/{name.repository}"
        assert name.reference.repository == repository
        self.asked.append(repository)
        found = self.lists.get(repository)
        if found is None:
            raise SourceError(f"docker://{repository}: expected a list of tags, found status 503")
        return found


LISTS = {
    "a.org/b": ("1.0", "1.1", "1.2-rc1", "latest", "1.0"),
    "a.org/empty": (),
    "a.org/odd": ("1.0", "../up"),
}


def expanded(*entries: str, lists: Lists | None = None, unread: tuple[str, ...] = ()) -> Expansion:
    data = "version: 1\ninput:\n" + "".join(f"- {entry}\n" for entry in entries)
    return expand([parse_wishlist(data.encode(), "w")], lists or Lists(LISTS), platform=AMD64, offers=ALL_OFFERS, unread=unread)


def names(expansion: Expansion) -> list[str]:
    return [image.name.public for image in expansion.wanted]


def test_a_pattern_stands_for_the_tags_that_there_are() -> None:
    """Spec U12."""
    found = expanded("a.org/b:1*", "a.org/c:2")
    assert names(found) == ["a.org/b:1.0", "a.org/b:1.1", "a.org/b:1.2-rc1", "a.org/c:2"]
    assert {(image.platform, image.offers) for image in found.wanted} == {(AMD64, ALL_OFFERS)}
    assert [image.wish.place for image in found.wanted] == ["w:3:3", "w:3:3", "w:3:3", "w:4:3"]
    assert (found.failures, found.unmatched, found.unread) == ((), (), ())


def test_filters_choose() -> None:
    assert names(expanded("{image: a.org/b, newest: 1}")) == ["a.org/b:1.2-rc1"]
    assert names(expanded("{image: a.org/b, newest: 1, exclude: '*-rc*'}")) == ["a.org/b:1.1"]
    assert names(expanded("{image: a.org/b, semver: '>=1'}")) == ["a.org/b:1.0", "a.org/b:1.1"]


def test_each_repository_is_asked_once_and_only_for_patterns() -> None:
    """Spec U12."""
    lists = Lists(LISTS)
    expanded("a.org/b:1*", "a.org/b:l*", "a.org/b:x", f"a.org/c@{ONE}", "{image: a.org/b, newest: 1}", lists=lists)
    assert lists.asked == ["a.org/b"]


def test_each_platform_is_an_image_of_its_own() -> None:
    found = expanded("{image: a.org/c:1, platforms: 'linux/arm64,linux/amd64', forms: flat}", "a.org/c:2")
    assert [(image.name.public, image.platform, image.offers) for image in found.wanted] == [
        ("a.org/c:1", AMD64, frozenset({Offer.FLAT})),
        ("a.org/c:1", ARM64, frozenset({Offer.FLAT})),
        ("a.org/c:2", AMD64, ALL_OFFERS),
    ]


def test_what_two_wishes_offer_of_one_image_is_united() -> None:
    """Spec U13."""
    found = expanded("{image: a.org/b:1.0, forms: flat}", "{image: 'a.org/b:1*', forms: podman}")
    assert [(image.name.public, image.offers, image.wish.place) for image in found.wanted] == [
        ("a.org/b:1.0", frozenset({Offer.FLAT, Offer.PODMAN}), "w:3:3"),
        ("a.org/b:1.1", frozenset({Offer.PODMAN}), "w:4:3"),
        ("a.org/b:1.2-rc1", frozenset({Offer.PODMAN}), "w:4:3"),
    ]


@pytest.mark.parametrize("entries", [("a.org/b:1*", f"a.org/b:1.0@{ONE}"), (f"a.org/b:1.0@{ONE}", "a.org/b:1*")])
def test_a_digest_decides_over_the_tag_alone(entries: tuple[str, str]) -> None:
    """Spec U13."""
    found = expanded(*entries)
    assert names(found) == ["a.org/b:1.0", "a.org/b:1.1", "a.org/b:1.2-rc1"]
    assert [str(image.name.digest) for image in found.wanted if image.name.digest] == [ONE]
    assert found.failures == ()


def test_two_digests_of_one_name_are_a_failure() -> None:
    """Spec U13."""
    found = expanded(f"a.org/c:1@{ONE}", f"a.org/c:1@{TWO}")
    assert [(image.name.public, str(image.name.digest)) for image in found.wanted] == [("a.org/c:1", ONE)]
    assert [failure.error for failure in found.failures] == [f"w:4:3: expected {ONE} for a.org/c:1, as at w:3:3, found {TWO}"]


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ("a.org/down:1*", "docker://a.org/down: expected a list of tags, found status 503"),
        ("a.org/empty:1*", "docker://a.org/empty: expected a list of tags, found no tags"),
        ("a.org/odd:1*", 'docker://a.org/odd: expected a list of tags, found "../up" in it'),
    ],
)
def test_a_list_that_tells_nothing_is_a_failure_and_protects(entry: str, error: str) -> None:
    """Spec U14."""
    repository = entry.partition(":")[0]
    found = expanded(entry, "a.org/b:l*")
    assert names(found) == ["a.org/b:latest"]
    assert [(failure.wish.text, failure.error) for failure in found.failures] == [(entry, error)]
    assert found.protects(f"{repository}:1.0")
    assert not found.protects(f"{repository}:2.0")
    assert not found.protects(f"{repository}/c:1.0")
    assert not found.protects("a.org/b:1.0")


def test_filters_that_need_no_list_count_for_what_is_protected() -> None:
    """Spec U14."""
    found = expanded("{image: a.org/down, exclude: '*-rc*', semver: '>=1', newest: 1}")
    tags = ("0.9", "1.0", "1.1-rc1", "1.1", "latest")
    assert [tag for tag in tags if found.protects(f"a.org/down:{tag}")] == ["1.0", "1.1"]


def test_a_pattern_that_matches_nothing_is_told_and_protects() -> None:
    """Spec U14."""
    found = expanded("a.org/b:3*", "a.org/b:l*")
    assert [wish.text for wish in found.unmatched] == ["a.org/b:3*"]
    assert found.failures == ()
    assert found.protects("a.org/b:3.1")
    assert not found.protects("a.org/b:2.1")


def test_a_wishlist_that_could_not_be_read_protects_all() -> None:
    """Spec U15."""
    found = expanded("a.org/b:1*", unread=("other.yaml: expected a wishlist, found: No such file or directory",))
    assert found.protects("any.org/name:1")
    assert names(found)[:1] == ["a.org/b:1.0"]


def test_where_nothing_is_wished_all_is_protected() -> None:
    """Spec U15."""
    assert expand([], Lists(LISTS), platform=AMD64, offers=ALL_OFFERS).protects("any.org/name:1")
    assert not expanded("a.org/b:1*").protects("any.org/name:1")


def test_a_tag_that_a_pattern_takes_and_no_list_has() -> None:
    """Spec Z5."""
    found = expanded("{image: a.org/b, exclude: '*-rc*', newest: 1}", "a.org/down:*", "a.org/c:1")
    assert [str(found.unlisted(f"a.org/b:{tag}")) for tag in ("1.3", "1.0", "1.3-rc1")] == ["docker://a.org/b:1.3", "None", "None"]
    assert [found.unlisted(name) for name in ("a.org/down:1", "a.org/c:2", "a.org/other:1")] == [None, None, None]


@pytest.mark.parametrize("swapped", [False, True])
def test_all_names_of_one_name_in_a_store_stand_for_one_image(swapped: bool) -> None:  # noqa: FBT001 - a case
    """Spec U13."""
    one, two = "docker.io/library/a:1", f"registry.hub.docker.com/library/a:1@{ONE}"
    found = expanded(*((two, one) if swapped else (one, two)))
    assert [str(image.name) for image in found.wanted] == [f"docker://docker.io/library/a:1@{ONE}", f"docker://{two}"]
    assert found.failures == ()


def test_two_digests_of_one_name_in_a_store() -> None:
    """Spec U13."""
    found = expanded(f"docker.io/library/a:1@{ONE}", f"registry.hub.docker.com/library/a:1@{TWO}", "a.org/b:1.0")
    assert names(found) == ["a.org/b:1.0", "docker.io/library/a:1"]
    assert [failure.error for failure in found.failures] == [
        f"w:4:3: expected {ONE} for registry.hub.docker.com/library/a:1, as at w:3:3, found {TWO}"
    ]
    assert found.protects("registry.hub.docker.com/library/a:1")


def test_several_lists_are_asked_for_at_once() -> None:
    together = threading.Barrier(AT_ONCE, timeout=20)

    class Slow:
        def tags(self, name: RemoteName) -> tuple[str, ...]:
            together.wait()
            return (name.repository,)

    found = expanded(*(f"a{number}.org/r{number}:*" for number in range(AT_ONCE * 2)), lists=Slow())  # type: ignore[arg-type]
    assert names(found) == sorted(f"a{number}.org/r{number}:r{number}" for number in range(AT_ONCE * 2))


def test_an_error_is_ignored_where_the_wishlist_says_so() -> None:
    """Spec U10."""
    data = b"version: 1\ninput: ['a.org/down:*', 'a.org/empty:*']\nignoreErrors: ['a.org/d*']"
    found = expand([parse_wishlist(data, "w")], Lists(LISTS), platform=AMD64, offers=ALL_OFFERS)
    assert [(failure.wish.text, failure.is_ignored) for failure in found.failures] == [("a.org/down:*", True), ("a.org/empty:*", False)]
    assert found.protects("a.org/down:1")


def test_another_error_is_raised() -> None:
    class Broken:
        def tags(self, _name: RemoteName) -> tuple[str, ...]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        expanded("a.org/b:*", lists=Broken())  # type: ignore[arg-type]
