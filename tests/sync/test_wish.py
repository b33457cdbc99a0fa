from __future__ import annotations

import pytest

from cstore.errors import FormatError
from cstore.model.tag_pattern import TagPattern
from cstore.model.version_range import VersionRange
from cstore.sync.wish import Wish, parse_wished, place_parts

SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("https://registry.hub.docker.com/library/centos:centos7", "registry.hub.docker.com/library/centos:centos7"),
        ("http://gitlab.example.org:5005/a/b/c:latest", "gitlab.example.org:5005/a/b/c:latest"),
        ("docker://quay.io/a/b:v1.1.3", "quay.io/a/b:v1.1.3"),
        ("quay.io/a/b", "quay.io/a/b:latest"),
        ("debian:12", "docker.io/library/debian:12"),
        ("https://localhost/a:1", "localhost/a:1"),
        ("https://ghcr.io/a/runner:*", "ghcr.io/a/runner:*"),
        ("atlas.example.org/analysisbase:21.2.1*", "atlas.example.org/analysisbase:21.2.1*"),
        ("example.org:5000/a:*-gpu", "example.org:5000/a:*-gpu"),
        (f"quay.io/a/b@{SHA}", f"quay.io/a/b:{SHA}"),
        (f"quay.io/a/b:v1@{SHA}", "quay.io/a/b:v1"),
    ],
)
def test_names_are_read_as_recipes_have_them(text: str, public: str) -> None:
    """Spec U3."""
    assert parse_wished(text, is_filtered=False).public == public


def test_with_filters_no_tag_means_all() -> None:
    """Spec U5."""
    assert parse_wished("quay.io/a/b", is_filtered=True).tag == "*"
    assert parse_wished("quay.io/a/b:v*", is_filtered=True).tag == "v*"


@pytest.mark.parametrize(
    ("text", "is_filtered", "said"),
    [
        ("quay.io/*/b:1", False, 'expected * in the tag only, found "quay.io/*/b:1"'),
        ("quay.io/a*", False, 'expected * in the tag only, found "quay.io/a*"'),
        ("quay.io/a@sha256:*", False, 'expected * in the tag only, found "quay.io/a@sha256:*"'),
        (f"quay.io/a:v*@{SHA}", False, f'expected a tag with * or a digest, found both in "quay.io/a:v*@{SHA}"'),
        ("quay.io/a:v*+", False, 'expected a tag of up to 128 letters, digits and _.-, with * for any of them, found "v*+"'),
        ("https://host/a:1", False, 'expected a host with a dot or a port after https://, found "https://host/a:1"'),
        ("https://debian:12", False, 'expected a host with a dot or a port after https://, found "https://debian:12"'),
        (
            "quay.io/a:v1",
            True,
            'expected a tag with * or none where exclude, semver or newest choose among tags, found "quay.io/a:v1"',
        ),
        ("quay.io/a@sha256:12", False, 'expected a digest, found "sha256:12"'),
        (
            "ftp://a.org/b:1",
            False,
            (
                'expected [docker://]REGISTRY/REPOSITORY[:TAG][@DIGEST], found "ftp://a.org/b:1": expected an image name such as '
                'registry.example.org/path:tag, found "ftp://a.org/b:1": no domain name before the first slash'
            ),
        ),
    ],
)
def test_what_is_no_name_is_told(text: str, is_filtered: bool, said: str) -> None:  # noqa: FBT001 - a column of the table
    with pytest.raises(FormatError) as error:
        parse_wished(text, is_filtered=is_filtered)
    assert error.value.said == said


TAGS = ("21.2.1", "21.2.10", "21.2.100-20191127", "21.3.10", "latest", "v21.2.2", "21.2.9")


def wish(tag: str, **filters: object) -> Wish:
    name = parse_wished(f"example.org/a:{tag}", is_filtered=False)
    return Wish(name=name, place="x.yaml:1:1", text=f"example.org/a:{tag}", **filters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wished", "chosen"),
    [
        (wish("21.2.1*"), ("21.2.1", "21.2.10", "21.2.100-20191127")),
        (wish("21.2.1*", exclude=(TagPattern("*-*"),)), ("21.2.1", "21.2.10")),
        (wish("*", semver=VersionRange.parse("<21.3")), ("21.2.1", "21.2.10", "v21.2.2", "21.2.9")),
        (wish("*", newest=3), ("21.3.10", "21.2.100-20191127", "21.2.10")),
        (wish("*", newest=2, exclude=(TagPattern("21.3.*"),), semver=VersionRange.parse("21")), ("21.2.10", "21.2.9")),
        (wish("*", newest=99), ("21.3.10", "21.2.100-20191127", "21.2.10", "21.2.9", "v21.2.2", "21.2.1", "latest")),
        (wish("none*"), ()),
    ],
)
def test_filters_choose_among_tags(wished: Wish, chosen: tuple[str, ...]) -> None:
    """Spec U4 to U8: the newest are taken of what the other filters leave."""
    assert wished.needs_tags
    assert wished.choose(TAGS) == chosen


def test_one_tag_or_digest_needs_no_list() -> None:
    assert not wish("v1").needs_tags
    pinned = Wish(name=parse_wished(f"example.org/a:v1@{SHA}", is_filtered=False), place="", text="")
    assert pinned.pattern is None
    assert not pinned.needs_tags
    assert pinned.takes("v1")
    assert not pinned.takes("v2")


@pytest.mark.parametrize(
    ("place", "parts"), [("w:1:2", ("w", 1, 2)), ("a:b:10:20", ("a:b", 10, 20)), ("w", ("w", 0, 0)), ("a\nb:1:2", ("a\nb", 1, 2))]
)
def test_a_place_has_parts(place: str, parts: tuple[str, int, int]) -> None:
    assert place_parts(place) == parts
