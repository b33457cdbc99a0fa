from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cstore.errors import FormatError
from cstore.model.version_range import VersionRange

SIZE = 4
TAGS = [f"{major}.{minor}.{patch}{release}" for major, minor, patch in product(range(SIZE), repeat=3) for release in ("", "-a", "-b")]
NUMBERS = st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=3)
SIGNS = st.sampled_from(["", "=", "<", "<=", ">", ">=", "~", "^"])


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=1.2 <2", "1.2 1.2.0 v1.9.9 1.20", "1.1.9 2 2.0.0 2.0.0-rc1 1.3.0-rc1 latest"),
        (">=1.2, <2", "1.2 1.9.9", "1.1 2.0"),
        (">= 1.2 < 2", "1.2 1.9.9", "1.1 2.0"),
        (">=1.2<2", "1.2 1.9.9", "1.1 2.0"),
        ("^1.4", "1.4 1.4.1 1.99", "1.3.9 2.0 0.4"),
        ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.0 0.9", "1.0"),
        ("^1.x", "1.0 1.9", "2.0"),
        ("~1.4.2", "1.4.2 1.4.9", "1.4.1 1.5.0"),
        ("~1.4", "1.4.0 1.4.9", "1.5.0"),
        ("~1", "1.0 1.9", "2.0"),
        ("~>1.4.2", "1.4.2 1.4.9", "1.5.0"),
        ("1.x", "1.0 1.9.9", "2.0 0.9"),
        ("1.2.*", "1.2.0 1.2.9", "1.3.0"),
        ("1.2", "1.2.0 1.2.9", "1.3.0"),
        ("1.2.3", "1.2.3 v1.2.3", "1.2.4 1.2.3-rc1"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        ("*", "0.0.0 99", "1.0-rc1 latest"),
        ("x", "1", "edge"),
        (">1.2", "1.3.0 2", "1.2.9 1.3.0-rc1"),
        (">1.2.3", "1.2.4", "1.2.3"),
        ("<=1.2", "1.2.9 0", "1.3.0"),
        ("<1.2", "1.1.9", "1.2.0"),
        (">*", "", "0.0.0 1.0"),
        ("1.2 - 1.4", "1.2.0 1.4.9", "1.1.9 1.5.0"),
        ("1.2.3 - 2.3.4", "1.2.3 2.3.4", "1.2.2 2.3.5"),
        ("1 || 3.1", "1.9 3.1.5", "2.0 3.2"),
        ("1||3", "1.9 3.1.5", "2.0"),
        (">=22.04 <24", "22.04 22.10 23.04", "20.04 24.04"),
        (">=1.2.3-rc2", "1.2.3-rc2 1.2.3-rc3 1.2.3 1.3.0", "1.2.3-rc1 1.3.0-rc1"),
        ("^1.2.3-rc2 || 2.0.0-a", "1.2.3-rc9 2.0.0-a 1.5.0", "2.0.0-b 1.5.0-a"),
        ("1.2-rc1", "1.2.0-rc1 1.2-rc1", "1.2.0 1.2.1"),
    ],
)
def test_ranges_as_people_write_them(text: str, inside: str, outside: str) -> None:
    """Spec U7."""
    found = VersionRange.parse(text)
    assert [tag for tag in f"{inside} {outside}".split() if found.takes(tag)] == inside.split()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no version"),
        ("1.2 ||", "no version"),
        ("|| 1", "no version"),
        ("latest", '"latest" is no version with an operator before it'),
        (">=1.2 <", '" <" is no version with an operator before it'),
        ("1.2.3.4", '"1.2.3.4" is no version with an operator before it'),
        ("==1.2", '"==1.2" is no version with an operator before it'),
        ("!=1.2", '"!=1.2" is no version with an operator before it'),
        ("1 | 2", '" | 2" is no version with an operator before it'),
        ("1 - 2 - 3", '" - 2 - 3" is no version with an operator before it'),
        ("1," * 251, "longer than 500 characters"),
    ],
)
def test_what_is_no_range_is_told(text: str, why: str) -> None:
    with pytest.raises(FormatError) as error:
        VersionRange.parse(text, "x.yaml:3:5")
    shown = text if len(text) <= 100 else text[:100] + "…"
    expected = 'expected a range of versions such as ">=1.2 <2", "^1.4" or "1.x"'
    assert str(error.value) == f'x.yaml:3:5: {expected}, found "{shown}": {why}'


def within(sign: str, numbers: list[int], version: tuple[int, ...]) -> bool:
    """Say what an operator means, by the numbers that are given alone."""
    given_ones, whole = version[: len(numbers)], tuple(numbers)
    if sign in ("", "="):
        return given_ones == whole
    if sign in ("<", ">", "<=", ">="):
        return {"<": given_ones < whole, ">": given_ones > whole, "<=": given_ones <= whole, ">=": given_ones >= whole}[sign]
    if given_ones < whole:
        return False
    if sign == "~":
        return version[: min(len(numbers), 2)] == whole[:2]
    fixed = next((place + 1 for place, number in enumerate(numbers) if number), len(numbers))
    return version[:fixed] == whole[:fixed]


@given(st.lists(st.lists(st.tuples(SIGNS, NUMBERS), min_size=1, max_size=2), min_size=1, max_size=2))
def test_ranges_are_what_their_parts_are(alternatives: list[list[tuple[str, list[int]]]]) -> None:
    """Spec U7, against what each operator means for plain numbers; no pre-release is taken where none is named."""
    text = " || ".join(" ".join(sign + ".".join(map(str, numbers)) for sign, numbers in bounds) for bounds in alternatives)
    found = VersionRange.parse(text)
    for tag in TAGS:
        version = tuple(map(int, tag.partition("-")[0].split(".")))
        expected = any(all(within(sign, numbers, version) for sign, numbers in bounds) for bounds in alternatives)
        assert found.takes(tag) == (expected and "-" not in tag), (text, tag)


@given(st.text("0123.-<>=~^|x* ,va", max_size=20))
def test_any_text_is_a_range_or_told_to_be_none(text: str) -> None:
    try:
        found = VersionRange.parse(text)
    except FormatError:
        return
    assert found == VersionRange.parse(found.text)
    assert [tag for tag in ("latest", "edge_1", "1.2.3.4") if found.takes(tag)] == []
