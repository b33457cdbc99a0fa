from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cstore.model.version import newest_first, parse_version

TAGS = st.lists(st.text("v012.-ab", min_size=1, max_size=8), max_size=8)


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("1.2.3", "1.2.3"),
        ("v1.2", "1.2.0"),
        ("V7", "7.0.0"),
        ("22.04", "22.4.0"),
        ("2024.01.05", "2024.1.5"),
        ("21.2.100-20191127", "21.2.100-20191127"),
        ("1.0-rc.1", "1.0.0-rc.1"),
        ("1.0-rc.01", "1.0.0-rc.1"),
        ("1.0-00", "1.0.0-0"),
        ("12-slim", "12.0.0-slim"),
        ("1.7.1-dev-2", "1.7.1-dev-2"),
        ("latest", None),
        ("1.2.3.4", None),
        ("rhel8.9_v4", None),
        ("1.0-a_b", None),
        ("1.0-a..b", None),
        ("1.", None),
        ("v", None),
        ("", None),
        ("1.2\n", None),
        ("٣.1", None),
        ("9" * 101, None),
    ],
)
def test_some_tags_are_versions(tag: str, version: str | None) -> None:
    """Spec U6."""
    found = parse_version(tag)
    assert (str(found) if found else None) == version


def test_versions_come_before_others_and_the_newest_first() -> None:
    """Spec U8."""
    tags = ["latest", "1.9", "v1.10", "1.10-rc2", "1.10-rc10", "r9", "r10", "edge", "2-slim", "2", "1.2.3.4", "1.2.3.10"]
    assert newest_first(tags) == [
        "2",
        "2-slim",
        "v1.10",
        "1.10-rc2",
        "1.10-rc10",
        "1.9",
        "r10",
        "r9",
        "latest",
        "edge",
        "1.2.3.10",
        "1.2.3.4",
    ]


def test_of_one_version_the_later_text_comes_first() -> None:
    assert newest_first(["1.2.0", "v1.2", "1.2"]) == ["v1.2", "1.2.0", "1.2"]


@given(TAGS, st.randoms(use_true_random=False))
def test_the_order_depends_on_the_tags_alone(tags: list[str], random: object) -> None:
    """Spec U8."""
    mixed = list(tags)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    ordered = newest_first(mixed)
    assert ordered == newest_first(tags)
    assert sorted(ordered) == sorted(tags)
    versions = [parse_version(tag) for tag in ordered]
    for before, after in pairwise(versions):
        assert after is None or (before is not None and before >= after)
