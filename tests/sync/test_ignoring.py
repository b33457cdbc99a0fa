from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cstore.sync.ignoring import is_name_pattern, name_matches

NAME = "registry.example.org/atlas/analysis:v1.2"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (NAME, True),
        ("registry.example.org/atlas/*", True),
        ("https://registry.example.org/atlas/*", True),
        ("registry.example.org/*/*:v1*", True),
        ("registry.example.org/*", False),
        ("*", False),
        ("*/*/*", True),
        ("registry.example.org/atlas/analysis:v?.?", True),
        ("registry.example.org/atlas/analysis:v[0-9].[^0-1]", True),
        ("registry.example.org/atlas/analysis:v[^0-9]*", False),
        ("registry.example.org/atlas/analysis:v1\\.2", True),
        ("registry.example.org/atlas/analysis:v1.2*", True),
        ("registry-example.org/atlas/*", False),
        ("registry.example.org/atlas/*[23]", True),
    ],
)
def test_patterns_are_those_of_go(pattern: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    """Spec U10."""
    assert is_name_pattern(pattern)
    assert name_matches(pattern, NAME) is expected


@pytest.mark.parametrize("pattern", ["", "[a", "[]", "[z-a]", "a\\", "a" * 501, "[a/b]"])
def test_a_malformed_pattern_is_none(pattern: str) -> None:
    assert not is_name_pattern(pattern)


def test_many_stars_take_no_longer_than_few() -> None:
    start = time.monotonic()
    assert not name_matches("*a" * 100 + "b", "a" * 250)
    assert time.monotonic() - start < 5


@given(st.text("a/*?[]^-\\b", max_size=12), st.text("ab/", max_size=8))
def test_whatever_it_is_nothing_is_raised(pattern: str, name: str) -> None:
    assert name_matches(pattern, name) in (True, False)
    assert is_name_pattern(pattern) in (True, False)


@given(st.text("ab*?", min_size=1, max_size=8), st.text("ab", max_size=8))
def test_between_slashes_it_matches_as_shells_do(pattern: str, name: str) -> None:
    assert name_matches(f"x/{pattern}", f"x/{name}") == fnmatchcase(name, pattern)
