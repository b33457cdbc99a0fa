from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cstore.sync.lint import Rule, covers, lint
from cstore.sync.wishlist import Wishlist, parse_wishlist

ONE, TWO = ("sha256:" + digit * 64 for digit in "12")


def wishlist(*entries: str, at: str = "w", more: str = "") -> Wishlist:
    return parse_wishlist(("version: 1\ninput:\n" + "".join(f"- {entry}\n" for entry in entries) + more).encode(), at)


def found(*wishlists: Wishlist) -> list[str]:
    return [str(finding) for finding in lint(wishlists)]


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ("a.org/b:1", "a.org/b:1", "w:4:3: duplicate: expected each entry once, found a.org/b:1 again, as at w:3:3"),
        ("https://a.org/b:1", "a.org/b:1", "w:4:3: duplicate: expected each entry once, found a.org/b:1 again, as at w:3:3"),
        ("a.org/b:v*", "a.org/b:v**", "w:4:3: duplicate: expected each entry once, found a.org/b:v** again, as at w:3:3"),
        (
            "a.org/b:1*",
            "a.org/b:12",
            "w:4:3: covered: expected an entry that adds something, found a.org/b:12, which a.org/b:1* at w:3:3 covers",
        ),
        (
            "a.org/b:12",
            "a.org/b:1*",
            "w:3:3: covered: expected an entry that adds something, found a.org/b:12, which a.org/b:1* at w:4:3 covers",
        ),
        (
            "a.org/b:12*",
            "a.org/b:1*",
            "w:3:3: covered: expected an entry that adds something, found a.org/b:12*, which a.org/b:1* at w:4:3 covers",
        ),
        (
            "registry.hub.docker.com/library/debian:12",
            "debian:12",
            (
                "w:4:3: same-image: expected one public name of an image, "
                "found debian:12 and registry.hub.docker.com/library/debian:12 at w:3:3"
            ),
        ),
        (
            f"docker.io/library/debian:12@{ONE}",
            f"debian:12@{TWO}",
            f"w:4:3: conflict: expected {ONE} for docker.io/library/debian:12, as at w:3:3, found {TWO}",
        ),
        (
            f"{{image: 'a.org/b:1@{ONE}', platforms: [linux/amd64, linux/arm64]}}",
            f"{{image: 'a.org/b:1@{TWO}', platform: linux/arm64}}",
            f"w:4:3: conflict: expected {ONE} for a.org/b:1, as at w:3:3, found {TWO}",
        ),
        (
            "docker.io/library/debian:12",
            "https://registry.hub.docker.com/library/debian:*",
            (
                "w:3:3: same-image: expected one public name of an image, found docker.io/library/debian:12 and "
                "https://registry.hub.docker.com/library/debian:* at w:4:3"
            ),
        ),
    ],
)
def test_entries_are_compared(one: str, two: str, said: str) -> None:
    """Spec U17."""
    assert found(wishlist(one, two)) == [said]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("a.org/b:1", "a.org/b:2"),
        ("a.org/b:1", "a.org/c:1"),
        ("a.org/b:1*", "a.org/b:*2"),
        ("{image: a.org/b:1, platform: linux/arm64}", "a.org/b:1"),
        ("{image: a.org/b:1, forms: flat}", "{image: a.org/b:1, forms: podman}"),
        (f"a.org/b:1@{ONE}", "a.org/b:1*"),
        (f"a.org/b:1@{ONE}", f"a.org/b:2@{ONE}"),
        (f"a.org/b@{ONE}", f"a.org/b@{TWO}"),
        (f"{{image: 'a.org/b:1@{ONE}', platform: linux/amd64}}", f"{{image: 'a.org/b:1@{TWO}', platform: linux/arm64}}"),
    ],
)
def test_what_adds_something_is_not_told(one: str, two: str) -> None:
    assert found(wishlist(one, two)) == found(wishlist(two, one)) == []


def test_each_entry_is_told_once() -> None:
    entries = ("a.org/b:1", "a.org/b:1", "a.org/b:1", "a.org/b:*")
    assert [finding.rule for finding in lint([wishlist(*entries)])] == [Rule.COVERED, Rule.DUPLICATE, Rule.DUPLICATE]
    assert [finding.place for finding in lint([wishlist(*entries)])] == ["w:3:3", "w:4:3", "w:5:3"]


def test_wishlists_for_one_repository_are_compared_too() -> None:
    """Spec U17."""
    one, two, three = (
        wishlist("a.org/b:1", at=at, more=f"cvmfs_repo: {repository}\n")
        for at, repository in (("x", "r.org"), ("y", "r.org"), ("z", "s.org"))
    )
    assert found(one, two, three) == ["y:3:3: duplicate: expected each entry once, found a.org/b:1 again, as at x:3:3"]


def test_unknown_keys_are_told() -> None:
    """Spec U17."""
    told = found(wishlist("a.org/b:1", "{image: a.org/b:1, also: 1}", more="owner: x\n"))
    assert [line.partition(": expected")[0] for line in told] == ["w:4:3: duplicate", "w:4:22: unknown-key", "w:5:1: unknown-key"]


def test_texts_of_others_tell_a_terminal_nothing() -> None:
    (line,) = found(wishlist("a.org/b:1", more='"own\\ner\\e[2J": x\n', at="w\n"))
    assert line == (
        r"w\n:4:1: unknown-key: expected one of the keys version, user, cvmfs_repo, output_format, input, ignoreErrors, "
        r'found "own\ner\x1b[2J"'
    )


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("{image: a.org/b, exclude: '*-rc*'}", "{image: a.org/b, exclude: '*-rc*'}", True),
        ("{image: a.org/b, exclude: '*-rc1'}", "{image: a.org/b, exclude: '*-rc*'}", True),
        ("{image: a.org/b, exclude: '*-rc*'}", "{image: a.org/b, exclude: '*-rc1'}", False),
        ("{image: a.org/b, exclude: 'v2*'}", "a.org/b:v1*", True),
        ("{image: a.org/b, exclude: 'v2*'}", "a.org/b:v*", False),
        ("{image: a.org/b, exclude: 'v2*'}", "a.org/b:v1", True),
        ("{image: a.org/b, exclude: 'v2*'}", "a.org/b:v2", False),
        ("{image: a.org/b, semver: '>=1'}", "a.org/b:1.2", True),
        ("{image: a.org/b, semver: '>=1'}", "a.org/b:0.9", False),
        ("{image: a.org/b, semver: '>=1'}", "a.org/b:1*", False),
        ("a.org/b:*", "{image: a.org/b, semver: '>=1', newest: 2, exclude: 'x*'}", True),
        ("{image: a.org/b, newest: 3}", "{image: a.org/b, newest: 2}", True),
        ("{image: a.org/b, newest: 2}", "{image: a.org/b, newest: 3}", False),
        ("{image: a.org/b, newest: 3}", "{image: 'a.org/b:1*', newest: 2}", False),
        ("{image: a.org/b, newest: 3}", "a.org/b:1", False),
        ("{image: a.org/b:1, platforms: 'linux/amd64,linux/arm64'}", "{image: a.org/b:1, platform: linux/arm64}", True),
        ("{image: a.org/b:1, platforms: 'linux/amd64,linux/arm64'}", "a.org/b:1", False),
        ("{image: a.org/b:1, forms: 'flat,podman,layers,metadata'}", "a.org/b:1", True),
        ("a.org/b:1", "{image: a.org/b:1, forms: flat}", False),
        ("{image: a.org/b:1, forms: 'flat,podman'}", "{image: a.org/b:1, forms: flat}", True),
        (f"a.org/b:1@{ONE}", f"a.org/b:1@{ONE}", True),
        (f"a.org/b:1@{ONE}", f"a.org/b:1@{TWO}", False),
        (f"a.org/b:1@{ONE}", "a.org/b:1", True),
        ("a.org/b:1", f"a.org/b:1@{ONE}", False),
    ],
)
def test_one_entry_covers_another(one: str, two: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    """Spec U18."""
    assert covers(*(wishlist(entry).wishes[0] for entry in (one, two))) is expected


ENTRIES = st.builds(
    lambda tag, exclude, semver, newest: f"{{image: 'a.org/b:{tag}*'{exclude}{semver}{newest}}}",
    st.text("12.*", max_size=3).filter(lambda text: not text.startswith(".")),
    st.sampled_from(["", ", exclude: '1*'", ", exclude: '*2'", ", exclude: ['1*', '*2']"]),
    st.sampled_from(["", ", semver: '>=1.2'", ", semver: '1.x'"]),
    st.sampled_from(["", ", newest: 1", ", newest: 2"]),
)


TAGS = st.sampled_from(["1", "12", "1.2", "2", f"1@{ONE}", f"1@{TWO}"]).map(lambda tag: f"'a.org/b:{tag}'")


@given(st.lists(ENTRIES | TAGS | st.just(f"a.org/b@{ONE}"), max_size=6))
def test_all_are_told_that_another_covers(entries: list[str]) -> None:
    """Spec U17: whichever entries are compared, those are told of which another one, or an earlier one that wants the same, wants all."""
    wishes = (wishlist(*entries) if entries else parse_wishlist(b"version: 1\ninput: []", "w")).wishes
    expected = [
        wish.place
        for number, wish in enumerate(wishes)
        if any(covers(other, wish) and (place < number or not covers(wish, other)) for place, other in enumerate(wishes) if place != number)
    ]
    conflicting = [
        wish.place
        for number, wish in enumerate(wishes)
        if any(
            wish.name.digest and wish.name.tag == other.name.tag != "" and other.name.digest not in (None, wish.name.digest)
            for other in wishes[:number]
        )
    ]
    findings = lint([Wishlist(path="w", wishes=wishes)])
    assert [finding.place for finding in findings if finding.rule is not Rule.CONFLICT] == expected
    assert [finding.place for finding in findings if finding.rule is Rule.CONFLICT] == conflicting


def test_many_entries_of_one_repository_are_compared_soon() -> None:
    entries = [f"a.org/b:{number}*" for number in range(500)] + [f"a.org/b:x{number}" for number in range(2500)]
    start = time.monotonic()
    assert len(lint([wishlist(*entries)])) == 490
    assert time.monotonic() - start < 10


@given(ENTRIES, ENTRIES, st.lists(st.text("12.-a", min_size=1, max_size=5), max_size=8))
def test_what_is_covered_adds_nothing_whatever_tags_there_are(one: str, two: str, tags: list[str]) -> None:
    """Spec U18."""
    first, second = (wishlist(entry).wishes[0] for entry in (one, two))
    if covers(first, second):
        assert {*second.choose(tags)} <= {*first.choose(tags)}
