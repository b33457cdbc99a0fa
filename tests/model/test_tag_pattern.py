from __future__ import annotations

import time
from fnmatch import fnmatchcase
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cstore.errors import FormatError
from cstore.model.tag_pattern import TagPattern

PATTERNS = st.text("ab*", min_size=1, max_size=7).map(TagPattern)
TEXTS = st.text("abc", max_size=9)
SHORT = ["".join(signs) for length in range(6) for signs in product("abc", repeat=length)]
"""All texts of up to five signs, one of which is in no pattern."""


@pytest.mark.parametrize(
    ("pattern", "tag", "expected"),
    [
        ("21.2.1*", "21.2.1", True),
        ("21.2.1*", "21.2.10", True),
        ("21.2.1*", "21.2.100-20191127", True),
        ("21.2.1*", "21.3.10", False),
        ("21.2.1*", "21x2.10", False),
        ("*", "latest", True),
        ("*-gpu", "1.0-gpu", True),
        ("*-gpu", "1.0-gpu2", False),
        ("v*.*-rc*", "v1.2-rc3", True),
        ("v*.*-rc*", "v1-rc3", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("latest", "latest", True),
        ("latest", "latest2", False),
    ],
)
def test_only_a_star_is_not_itself(pattern: str, tag: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert TagPattern.parse(pattern).matches(tag) is expected


@given(PATTERNS, TEXTS)
def test_patterns_match_as_those_of_shells_do(pattern: TagPattern, text: str) -> None:
    """Spec U4."""
    assert pattern.matches(text) == fnmatchcase(text, pattern.text)


@given(PATTERNS, PATTERNS)
def test_one_covers_another_if_it_matches_all_that_the_other_does(one: TagPattern, two: TagPattern) -> None:
    """Spec U18, for all texts of up to five signs; where it covers none, a text with a sign that is in neither pattern shows it."""
    if one.covers(two):
        assert [text for text in SHORT if two.matches(text) and not one.matches(text)] == []
    else:
        shown = two.text.replace("*", "c")
        assert two.matches(shown)
        assert not one.matches(shown)


@given(PATTERNS, PATTERNS)
def test_two_meet_if_a_text_is_of_both(one: TagPattern, two: TagPattern) -> None:
    assert one.meets(two) == two.meets(one)
    if not one.meets(two):
        assert [text for text in SHORT if one.matches(text) and two.matches(text)] == []


@given(TEXTS, st.lists(st.booleans(), min_size=9, max_size=9), st.lists(st.booleans(), min_size=9, max_size=9))
def test_what_two_match_they_meet_in(text: str, first: list[bool], second: list[bool]) -> None:
    one, two = (TagPattern("".join("*" if hidden else sign for sign, hidden in zip(text, each, strict=False))) for each in (first, second))
    assert one.matches(text)
    assert two.matches(text)
    assert one.meets(two)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("21.2.*", "21.2.1*", True),
        ("21.2.1*", "21.2.*", False),
        ("*", "latest", True),
        ("v**", "v*", True),
        ("*a*b*", "a*b", True),
        ("a*b", "*a*b*", False),
        ("a*a", "aa*", False),
        ("*1*1*", "*1*", False),
        ("latest", "latest", True),
    ],
)
def test_some_cover_others(one: str, two: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert TagPattern(one).covers(TagPattern(two)) is expected


@pytest.mark.parametrize("text", ["", "-a", ".a", "a b", "a/b", "a+b", "a:b", "ä*", "a" * 129, "*\n", "a[1]"])
def test_what_no_tag_could_match_is_refused(text: str) -> None:
    with pytest.raises(FormatError) as error:
        TagPattern.parse(text, "x.yaml:1:2")
    shown = text if len(text) <= 100 else text[:100] + "…"
    assert str(error.value) == f'x.yaml:1:2: expected a tag of up to 128 letters, digits and _.-, with * for any of them, found "{shown}"'


def test_what_registries_could_have_is_a_tag() -> None:
    assert [text for text in ("1.0", "_a", "A-b", "", ".a", "-a", "a*", "a/b", "a\n", "a" * 129) if TagPattern.is_tag(text)] == [
        "1.0",
        "_a",
        "A-b",
    ]


def test_a_tag_is_a_pattern_without_stars() -> None:
    assert TagPattern.parse("1.0").is_literal
    assert not TagPattern.parse("1.*").is_literal
    assert str(TagPattern.parse("1.*")) == "1.*"


def test_many_stars_take_no_longer_than_few() -> None:
    start = time.monotonic()
    assert not TagPattern("*a" * 60 + "b").matches("a" * 128)
    assert not TagPattern("*a" * 60 + "b").meets(TagPattern("*a" * 60 + "c"))
    assert time.monotonic() - start < 5
