from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cstore.errors import FormatError, StoreError
from cstore.model.offer import Offer
from cstore.model.platform import Platform
from cstore.model.tag_pattern import TagPattern
from cstore.model.version_range import VersionRange
from cstore.sync.document import MOST_VALUES
from cstore.sync.wishlist import Remark, WishlistError, parse_wishlist, read_wishlist, read_wishlists

SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[2] / "spec/wishlist.schema.json").read_bytes()))
RECIPE = rb"""# What is unpacked
version: 1
user: unpacker
cvmfs_repo: 'unpacked.example.org'
output_format: '$(scheme)://registry.example.org/thin/$(image)'
input:
    - 'https://registry.hub.docker.com/library/centos:centos7'
    - "https://registry.hub.docker.com/library/centos:centos7"   # once more
    - https://gitlab.example.org:5005/a/b:latest
    - 'https://ghcr.io/a/runner:* '

    - quay.io/stimela/aegean:v1.1.3
ignoreErrors:
    - 'ghcr.io/a/*'
"""
OWN = """version: 1
cvmfs_repo: unpacked.example.org/images
input:
- image: https://quay.io/a/b
  newest: 3
  semver: 1.2
  exclude: ['*-rc*', "*-dev"]
  platforms: linux/amd64, linux/arm64/v8
  forms: [podman, flat]
- &usual
  image: quay.io/a/c:v*
  exclude: "*-rc*,*-dev"
  platform: linux/arm64
- <<: *usual
  image: quay.io/a/d:v*
  forms: layers
"""


def test_recipes_of_the_present_converter_are_read() -> None:
    """Spec U1, U3."""
    found = parse_wishlist(RECIPE, "recipe.yaml")
    assert (found.path, found.repository, found.user) == ("recipe.yaml", "unpacked.example.org", "unpacker")
    assert found.output_format == "$(scheme)://registry.example.org/thin/$(image)"
    assert [(wish.name.public, wish.place) for wish in found.wishes] == [
        ("registry.hub.docker.com/library/centos:centos7", "recipe.yaml:7:7"),
        ("registry.hub.docker.com/library/centos:centos7", "recipe.yaml:8:7"),
        ("gitlab.example.org:5005/a/b:latest", "recipe.yaml:9:7"),
        ("ghcr.io/a/runner:*", "recipe.yaml:10:7"),
        ("quay.io/stimela/aegean:v1.1.3", "recipe.yaml:12:7"),
    ]
    assert found.wishes[3].text == "https://ghcr.io/a/runner:*"
    assert {(wish.exclude, wish.semver, wish.newest, wish.platforms, wish.offers) for wish in found.wishes} == {((), None, None, (), None)}
    assert found.remarks == ()
    assert found.ignores("ghcr.io/a/runner:v1")
    assert not found.ignores("ghcr.io/a/b/runner:v1")


def test_entries_may_have_filters_platforms_and_forms() -> None:
    """Spec U5 to U9."""
    found = parse_wishlist(OWN.encode(), "w")
    one, two, three = found.wishes
    assert found.repository == "unpacked.example.org/images"
    assert (one.name.public, one.newest, one.semver) == ("quay.io/a/b:*", 3, VersionRange.parse("1.2"))
    assert one.exclude == two.exclude == three.exclude == (TagPattern("*-rc*"), TagPattern("*-dev"))
    assert one.platforms == (Platform("linux", "amd64"), Platform("linux", "arm64", "v8"))
    assert (one.offers, two.offers, three.offers) == (frozenset({Offer.PODMAN, Offer.FLAT}), None, frozenset({Offer.LAYERS}))
    assert (two.platforms, three.platforms) == ((Platform("linux", "arm64"),),) * 2
    assert [wish.place for wish in found.wishes] == ["w:4:3", "w:10:3", "w:14:3"]


def problems(data: str) -> list[str]:
    with pytest.raises(WishlistError) as error:
        parse_wishlist(data.encode(), "w")
    assert str(error.value) == "\n".join(map(str, error.value.problems))
    return [*map(str, error.value.problems)]


HEAD = "version: 1\ninput:\n"


@pytest.mark.parametrize("data", [RECIPE, OWN.encode(), b"version: 1\ninput: []\nignoreErrors:\nother: 1"])
def test_the_schema_knows_what_is_read(data: bytes) -> None:
    parse_wishlist(data, "w")
    assert [error.message for error in SCHEMA.iter_errors(yaml.safe_load(data))] == []


@pytest.mark.parametrize(
    "data",
    [
        "version: 2\ninput: []",
        "version: 1",
        "version: 1\ninput: {}",
        f"{HEAD}- {{newest: 1}}",
        f"{HEAD}- {{image: a.org/b, newest: 0}}",
        f"{HEAD}- {{image: a.org/b, forms: [all]}}",
        f"{HEAD}- {{image: a.org/b, platform: arm64}}",
        f"{HEAD}- {{image: a.org/b, exclude: ['a b']}}",
        f"{HEAD}- {{image: a.org/b, platform: linux/amd64, platforms: [linux/arm64]}}",
    ],
)
def test_the_schema_knows_what_is_refused(data: str) -> None:
    assert problems(data)
    assert [*SCHEMA.iter_errors(yaml.safe_load(data))]


@pytest.mark.parametrize("more", ["ignoreErrors:", "ignoreErrors: []", "user:", "output_format: ''", "cvmfs_repo:"])
def test_what_says_nothing_is_no_problem(more: str) -> None:
    found = parse_wishlist(f"version: 1\ninput: []\n{more}\n".encode(), "w")
    assert (found.wishes, found.ignore_errors, found.repository) == ((), (), "")


def test_unknown_keys_are_remarks() -> None:
    """Spec U11."""
    found = parse_wishlist(b"version: 1\nowner: x\ninput:\n- image: a.org/b:*\n  exlude: '*-rc*'\n", "w")
    assert [wish.exclude for wish in found.wishes] == [()]
    assert found.remarks == (
        Remark("w:2:1", 'expected one of the keys version, user, cvmfs_repo, output_format, input, ignoreErrors, found "owner"'),
        Remark("w:5:3", 'expected one of the keys image, exclude, semver, newest, platform, platforms, forms, found "exlude"'),
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("a", ['w:1:1: expected a mapping with version and input, found "a"']),
        ("- a", ["w:1:1: expected a mapping with version and input, found a list"]),
        ("{}", ["w:1:1: expected input, a list of images, found none", "w:1:1: expected version 1, found none"]),
        ("version: 2\ninput: []", ['w:1:10: expected version 1, found "2"']),
        ("version: 1.0\ninput: []", ['w:1:10: expected version 1, found "1.0"']),
        ("version: [1]\ninput: []", ["w:1:10: expected version 1, found a list"]),
        ("version: 1\ninput:", ["w:2:7: expected input, a list of images, found nothing"]),
        ("version: 1\ninput: a.org/b:1", ['w:2:8: expected input, a list of images, found "a.org/b:1"']),
        ("version: 1\ninput: {a: b}", ["w:2:8: expected input, a list of images, found a mapping"]),
        (
            "version: 1\ninput: []\nuser: [a]\ncvmfs_repo: a/../b\noutput_format: {}",
            [
                "w:3:7: expected the name of a user, found a list",
                'w:4:13: expected a repository of CernVM-FS, as in repository.example.org/directory, found "a/../b"',
                "w:5:16: expected a text, found a mapping",
            ],
        ),
        (
            f"{HEAD}-\n- ''\n- [a]",
            [f"w:{at}: expected the name of an image, found {what}" for at, what in (("3:2", "nothing"), ("4:3", '""'), ("5:3", "a list"))],
        ),
        (f"{HEAD}- newest: 1", ["w:3:3: expected the name of an image, found a mapping without image"]),
        (f"{HEAD}- image: [a]", ["w:3:10: expected the name of an image, found a list"]),
        (f"{HEAD}- a.org/b*", ['w:3:3: expected * in the tag only, found "a.org/b*"']),
        (
            f"{HEAD}- image: a.org/b:*\n  newest: 0\n  semver: latest\n  exclude: ['a b', [c]]\n  platform: arm64\n  forms: all",
            [
                'w:4:11: expected how many tags, from 1, found "0"',
                (
                    'w:5:11: expected a range of versions such as ">=1.2 <2", "^1.4" or "1.x", found "latest": '
                    '"latest" is no version with an operator before it'
                ),
                'w:6:13: expected a tag of up to 128 letters, digits and _.-, with * for any of them, found "a b"',
                "w:6:20: expected a text, found a list",
                'w:7:13: expected OS/ARCH or OS/ARCH/VARIANT, found "arm64"',
                'w:8:10: expected some of podman, layers, flat, metadata, found "all"',
            ],
        ),
        (
            f"{HEAD}- image: a.org/b:*\n  newest:\n  semver: [1]\n  platforms: []\n  forms:",
            [
                "w:4:10: expected a text, found nothing",
                "w:5:11: expected a text, found a list",
                "w:6:14: expected a list of texts, found an empty one",
                "w:7:9: expected a list of texts, found nothing",
            ],
        ),
        (
            f"{HEAD}- image: a.org/b:1\n  platform: linux/amd64\n  platforms: [linux/arm64]",
            ["w:5:14: expected either platform or platforms, found both"],
        ),
        (
            f"{HEAD}- image: a.org/b:1\n  newest: 1",
            ['w:3:10: expected a tag with * or none where exclude, semver or newest choose among tags, found "a.org/b:1"'],
        ),
        (
            f"{HEAD}- a.org/b:1\nignoreErrors: ['[a']",
            ['w:4:16: expected a pattern of names such as registry.example.org/atlas/*:v1*, found "[a"'],
        ),
        (
            f"{HEAD}- a.org/b:1\n- !x a.org/b:2\nversion: 1",
            ['w:4:3: expected no tag, found "!x"', 'w:5:1: expected each key once, found "version" again, as in line 1'],
        ),
    ],
    ids=str,
)
def test_all_that_is_wrong_is_told_with_its_place(data: str, said: list[str]) -> None:
    """Spec U2."""
    assert problems(data) == said


def test_what_is_said_once_is_not_read_without_end() -> None:
    """Spec U2: an alias stands for a long list in each of many entries."""
    entries = "".join("- {image: 'a.org/b:*', exclude: *x}\n" for _ in range(2000))
    (said,) = {problem.partition(" ")[2] for problem in problems(f"{HEAD}- {{image: 'a.org/b:*', exclude: &x [{'a,' * 900}]}}\n{entries}")}
    assert said == f"expected at most {MOST_VALUES} values in all, found more"


@given(st.binary(max_size=200) | st.text("version: 1input-a.org/b*@[]{}&!'\"\n ", max_size=80).map(lambda text: (HEAD + text).encode()))
def test_any_bytes_are_a_wishlist_or_told_to_be_none(data: bytes) -> None:
    """Spec U2."""
    try:
        found = parse_wishlist(data, "w")
    except FormatError as error:
        assert all(line.startswith("w:") for line in str(error).split("\n"))  # noqa: PT017 - most inputs are none
    else:
        assert all(wish.place.startswith("w:") for wish in found.wishes)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(RECIPE)
    assert read_wishlist(path) == parse_wishlist(RECIPE, str(path))


def test_of_several_those_are_read_that_can_be(tmp_path: Path) -> None:
    """Spec U15."""
    (tmp_path / "good").write_bytes(RECIPE)
    (tmp_path / "bad").write_text("version: 2\ninput:\n")
    (tmp_path / "directory").mkdir()
    paths = [tmp_path / name for name in ("bad", "good", "none", "directory", "a\0b")]
    wishlists, unread = read_wishlists(paths)
    assert [wishlist.path for wishlist in wishlists] == [str(tmp_path / "good")]
    assert unread == (
        f'{tmp_path}/bad:1:10: expected version 1, found "2"',
        f"{tmp_path}/bad:2:7: expected input, a list of images, found nothing",
        f"{tmp_path}/none: expected a wishlist, found: No such file or directory",
        f"{tmp_path}/directory: expected a wishlist, found: Is a directory",
        f"{tmp_path}/a\0b: expected a wishlist, found: embedded null byte",
    )
    with pytest.raises(StoreError):
        read_wishlist(tmp_path / "none")
