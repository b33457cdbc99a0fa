from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.errors import FormatError, SourceError, StoreError
from cstore.registry.conf_files import read_rules
from cstore.registry.configured import read_configured
from cstore.registry.rule import Mirror, Rule

if TYPE_CHECKING:
    from pathlib import Path

ALL = """
unqualified-search-registries = ["example.com"]
short-name-mode = "enforcing"

[aliases]
"debian" = "docker.io/library/debian"

[[registry]]
prefix = "example.com/foo/"
insecure = false
blocked = true
location = "internal.example.net/bar"
mirror-by-digest-only = true

[[registry.mirror]]
location = "mirror-0.local/foo"

[[registry.mirror]]
location = "mirror-1.local:5000"
insecure = true

[[registry]]
location = "registry.com"
insecure = true

[[registry.mirror]]
location = "m.registry.com"
pull-from-mirror = "tag-only"

[[registry]]
prefix = "*.example.org"
"""


def rules(tmp_path: Path, text: str) -> tuple[Rule, ...]:
    (tmp_path / "registries.conf").write_text(text)
    return read_rules(tmp_path / "registries.conf", [])


def test_all_that_a_file_may_say(tmp_path: Path) -> None:
    assert rules(tmp_path, ALL) == (
        Rule(
            prefix="example.com/foo",
            location="internal.example.net/bar",
            is_blocked=True,
            mirrors=(Mirror(location="mirror-0.local/foo"), Mirror(location="mirror-1.local:5000", is_insecure=True)),
            mirrors_have_digests_only=True,
        ),
        Rule(prefix="registry.com", is_insecure=True, mirrors=(Mirror(location="m.registry.com", pulls="tag-only"),)),
        Rule(prefix="*.example.org"),
    )


def test_later_files_override_the_same_prefix(tmp_path: Path) -> None:
    """Spec Q1."""
    for place, location in (("registries.conf", "0"), ("d/10.conf", "1"), ("d/20.conf", "2"), ("e/05.conf", "3"), ("d/99.conf.off", "9")):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(f'[[registry]]\nprefix = "{"a" if location in "023" else "b"}.org"\nlocation = "m{location}.org"\n')
    directories = [tmp_path / "d", tmp_path / "none", tmp_path / "e"]
    assert {rule.prefix: rule.location for rule in read_rules(tmp_path / "registries.conf", directories)} == {
        "a.org": "m3.org",
        "b.org": "m1.org",
    }


def test_no_files(tmp_path: Path) -> None:
    assert read_rules(None, []) == read_rules(tmp_path / "none", [tmp_path / "none"]) == ()
    with pytest.raises(SourceError) as error:
        read_rules(tmp_path / "none", [], must_exist=True)
    assert str(error.value) == f"{tmp_path}/none: expected a file that can be read, found: No such file or directory"


def test_a_file_of_version_1_that_says_nothing(tmp_path: Path) -> None:
    assert rules(tmp_path, "[registries.search]\nregistries = []\n[registries.insecure]\n") == ()


TABLE = "[[registry]]\n"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        pytest.param(
            "[registries.search]\nregistries = ['a.org']\n",
            "",
            "expected version 2, with [[registry]], found version 1, with [registries.search] and the like",
            id="version 1",
        ),
        pytest.param(
            "[registries.block]\nregistries = ['a.org']\n" + TABLE + "location='b'",
            "",
            "expected version 2, with [[registry]], found version 1, with [registries.search] and the like",
            id="both versions",
        ),
        pytest.param("registry = 7", ".registry", "expected an array, found 7", id="no tables"),
        pytest.param(TABLE, ".registry[0].location", "expected a registry, found nothing", id="nothing"),
        pytest.param(TABLE + "prefix='a.org'", ".registry[0].location", "expected a registry, found nothing", id="only a prefix"),
        pytest.param(TABLE + "location=''", ".registry[0].location", 'expected a registry, found ""', id="empty"),
        pytest.param(
            TABLE + "location='https://a.org'",
            ".registry[0].location",
            'expected a registry without a scheme, found "https://a.org"',
            id="a scheme",
        ),
        pytest.param(
            TABLE + "location='a.*.org'",
            ".registry[0].prefix",
            'expected a registry or a part of it, or "*." and a domain, found "a.*.org"',
            id="a wildcard inside",
        ),
        pytest.param(
            TABLE + "prefix='*.a.org/b'",
            ".registry[0].prefix",
            'expected a registry or a part of it, or "*." and a domain, found "*.a.org/b"',
            id="a wildcard and a path",
        ),
        pytest.param(
            TABLE + "location='a.org'\ninsecure='yes'", ".registry[0].insecure", 'expected true or false, found "yes"', id="no flag"
        ),
        pytest.param(
            TABLE + "location='a.org'\n[[registry.mirror]]",
            ".registry[0].mirror[0].location",
            "expected a registry, found nothing",
            id="a mirror of nothing",
        ),
        pytest.param(
            TABLE + "location='a.org'\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='some'",
            ".registry[0].mirror[0].pull-from-mirror",
            'expected one of all, digest-only, tag-only, found "some"',
            id="another pull",
        ),
        pytest.param(
            TABLE + "location='a.org'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='tag-only'",
            ".registry[0].mirror",
            "expected no pull-from-mirror beside mirror-by-digest-only, found both",
            id="two ways at once",
        ),
        pytest.param(
            TABLE + "location='a.org'\n" + TABLE + "location='a.org'\ninsecure=true",
            ".registry[1]",
            "expected one rule for a.org, found several that do not agree",
            id="two that do not agree",
        ),
        pytest.param(
            TABLE + "prefix='a.org/b:1'\nlocation='m.org/b'",
            ".registry[0].prefix",
            'expected no tag and no digest where there is another location, found "a.org/b:1"',
            id="a tag that is moved",
        ),
    ],
)
def test_what_is_malformed(tmp_path: Path, text: str, place: str, said: str) -> None:
    with pytest.raises(FormatError) as error:
        rules(tmp_path, text)
    assert str(error.value) == f"{tmp_path}/registries.conf{place}: {said}"


@pytest.mark.parametrize("data", [b"[[registry", b"\xff", b"a = 1\na = 2"])
def test_no_toml(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "registries.conf").write_bytes(data)
    with pytest.raises(StoreError, match=r"registries.conf: expected TOML, found something else \("):
        read_rules(tmp_path / "registries.conf", [])


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes((8 << 20) + 1))
    with pytest.raises(SourceError) as error:
        read_configured(tmp_path / "x")
    assert str(error.value) == f"{tmp_path}/x: expected up to 8388608 bytes, found more"
