from __future__ import annotations

import time

import pytest

from cstore.errors import FormatError
from cstore.model.view import matching, parse_patterns, parse_view_name

NAMES = ("registry.example.org/atlas/analysis:v1", "registry.example.org/atlas/deep/er:v2", "docker.io/library/debian:12")
DIGEST = f"registry.example.org/atlas/analysis@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("patterns", "shown"),
    [
        (("registry.example.org/atlas/*",), NAMES[:2]),
        (("*",), NAMES),
        (("*:v1",), NAMES[:1]),
        (("*:v?",), NAMES[:2]),
        (("*:v[2-9]", "docker.io/*"), NAMES[1:]),
        (("registry.example.org/atlas",), ()),
        (("Registry.example.org/*",), ()),
        (("atlas/*",), ()),
        ((), ()),
        ((NAMES[0],), NAMES[:1]),
    ],
    ids=str,
)
def test_patterns_match_whole_names(patterns: tuple[str, ...], shown: tuple[str, ...]) -> None:
    assert matching(patterns, NAMES) == shown


def test_a_name_with_a_digest_is_a_name() -> None:
    assert matching(("*/atlas/*",), (DIGEST,)) == (DIGEST,)


def test_many_stars_take_no_longer_than_few() -> None:
    start = time.monotonic()
    assert matching(("*a" * 100 + "b",), ("a" * 250,)) == ()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("name", ["atlas", "a", "CMS_2026", "a.b+c=d-e", "1"])
def test_a_name_of_a_view_is_a_part_of_a_path(name: str) -> None:
    assert parse_view_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", ".hidden", "-a", "a b", "a\n", "ä", "a" * 101, "$(x)", "a:b", None, 7])
def test_what_could_be_taken_for_something_else_is_none(name: object) -> None:
    with pytest.raises(FormatError, match=r"^view: expected a name of up to 100 letters, digits and _\.\+=-, found "):
        parse_view_name(name)


def test_patterns_are_kept_once_each_in_their_order() -> None:
    assert parse_patterns(["b*", "a*", "b*"]) == ("b*", "a*")


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ([], "patterns: expected at least one pattern of names, found none"),
        ([""], 'patterns[0]: expected a pattern of up to 500 printable characters without spaces, found ""'),
        (["a", "b c"], 'patterns[1]: expected a pattern of up to 500 printable characters without spaces, found "b c"'),
        ([None], "patterns[0]: expected a pattern of up to 500 printable characters without spaces, found nothing"),
    ],
    ids=str,
)
def test_a_wrong_pattern_is_named(patterns: list[object], said: str) -> None:
    with pytest.raises(FormatError) as error:
        parse_patterns(patterns)
    assert str(error.value) == said
