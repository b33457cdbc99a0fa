from __future__ import annotations

import pytest

from cstore.errors import FormatError
from cstore.model.digest import Digest
from cstore.model.reference import Reference

SHA = "sha256:" + "ab" * 32
SHA512 = "sha512:" + "ab" * 64


@pytest.mark.parametrize(
    ("given", "full"),
    [
        pytest.param("debian", "docker.io/library/debian:latest", id="one word"),
        pytest.param("debian:12", "docker.io/library/debian:12", id="one word and tag"),
        pytest.param("user/app", "docker.io/user/app:latest", id="two words"),
        pytest.param("docker.io/debian", "docker.io/library/debian:latest", id="Docker Hub without library"),
        pytest.param("docker.io/library/debian:12", "docker.io/library/debian:12", id="full"),
        pytest.param("docker.io/a/b/c:1", "docker.io/a/b/c:1", id="deep"),
        pytest.param("index.docker.io/debian:12", "docker.io/library/debian:12", id="alias index.docker.io"),
        pytest.param("registry.hub.docker.com/library/debian:12", "docker.io/library/debian:12", id="alias registry.hub.docker.com"),
        pytest.param("registry.hub.docker.com/debian", "docker.io/library/debian:latest", id="alias without library"),
        pytest.param("localhost/app", "localhost/app:latest", id="localhost"),
        pytest.param("localhost:5000/app:1", "localhost:5000/app:1", id="localhost with port"),
        pytest.param("registry:5000/app", "registry:5000/app:latest", id="a port makes a domain"),
        pytest.param("registry:5000", "docker.io/library/registry:5000", id="a port without path is a tag"),
        pytest.param("a.b/app", "a.b/app:latest", id="a dot makes a domain"),
        pytest.param("127.0.0.1:80/app:v1.2_3-x", "127.0.0.1:80/app:v1.2_3-x", id="address"),
        pytest.param("example.org/a__b/c--d.e_f", "example.org/a__b/c--d.e_f:latest", id="all separators"),
        pytest.param(f"debian@{SHA}", f"docker.io/library/debian@{SHA}", id="digest"),
        pytest.param(f"example.org:1/app@{SHA512}", f"example.org:1/app@{SHA512}", id="port and digest"),
        pytest.param("example.org/app:" + "t" * 128, "example.org/app:" + "t" * 128, id="longest tag"),
        pytest.param("example.org/" + "a" * 243, "example.org/" + "a" * 243 + ":latest", id="longest path"),
    ],
)
def test_a_name_is_completed_as_podman_does_it(given: str, full: str) -> None:
    reference = Reference.parse(given)
    assert str(reference) == full
    assert str(Reference.parse(full)) == full
    assert full.startswith(reference.repository)


def test_the_parts_of_a_name() -> None:
    assert Reference.parse("example.org:1/a/b:c") == Reference("example.org:1", "a/b", "c")
    assert Reference.parse(f"a/b@{SHA}") == Reference("docker.io", "a/b", "", Digest.parse(SHA))
    assert Reference.parse("example.org/a/b:c").repository == "example.org/a/b"


TAG = "a tag is up to 128 letters, digits, underscores, dots and dashes"
PATH = "a path is of lower-case letters and digits, parted by single dots, dashes, underscores and slashes"
DOMAIN = "no domain name before the first slash"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param("Registry/app", PATH, id="capitals make no domain"),
        pytest.param("[::1]:80/app", DOMAIN, id="IPv6 address"),
        pytest.param("", PATH, id="empty"),
        pytest.param("Debian", PATH, id="capitals"),
        pytest.param("example.org/", PATH, id="no path"),
        pytest.param("example.org/a//b", PATH, id="empty part"),
        pytest.param("example.org/a/", PATH, id="slash at the end"),
        pytest.param("/a", PATH, id="slash at the beginning"),
        pytest.param("example.org/a..b", PATH, id="two dots"),
        pytest.param("example.org/a___b", PATH, id="three underscores"),
        pytest.param("example.org/-a", PATH, id="dash at the beginning"),
        pytest.param("example.org/..", PATH, id="dots alone"),
        pytest.param("example.org/a b", PATH, id="space"),
        pytest.param("example.org/a\n", PATH, id="newline"),
        pytest.param("example.org/é", PATH, id="not ASCII"),
        pytest.param("example.org/a:", TAG, id="empty tag"),
        pytest.param("example.org/a:.b", TAG, id="tag begins with a dot"),
        pytest.param("example.org/a:b c", TAG, id="tag with a space"),
        pytest.param("example.org/a:b\n", TAG, id="tag with a newline"),
        pytest.param("-x.org/a", DOMAIN, id="domain begins with a dash"),
        pytest.param("a..b/c", DOMAIN, id="domain with two dots"),
        pytest.param("a.b:x/c", DOMAIN, id="port is no number"),
        pytest.param("a_b.c/d", DOMAIN, id="underscore in a domain"),
        pytest.param(".b/c", DOMAIN, id="domain begins with a dot"),
    ],
)
def test_a_bad_name_is_refused(given: str, why: str) -> None:
    with pytest.raises(FormatError) as error:
        Reference.parse(given)
    assert str(error.value) == f'name: expected an image name such as registry.example.org/path:tag, found "{given}": {why}'


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param(
            "example.org/" + "a" * 244,
            'name: expected an image name such as registry.example.org/path:tag, found "example.org/'
            + "a" * 88
            + '…": longer than 255 characters before the tag',
            id="too long",
        ),
        pytest.param(
            f"a:1@{SHA}",
            f'name: expected an image name such as registry.example.org/path:tag, found "a:1@{SHA}": either a tag or a digest, not both',
            id="tag and digest",
        ),
        pytest.param("a@sha256:12", 'name "a@sha256:12": expected a digest, found "sha256:12"', id="short digest"),
        pytest.param("a@", 'name "a@": expected a digest, found ""', id="empty digest"),
        pytest.param(f"a@{SHA}@{SHA}", f'name "a@{SHA}@{SHA[:26]}…": expected a digest, found "{SHA}@{SHA[:28]}…"', id="two digests"),
    ],
)
def test_other_errors_of_names(given: str, sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        Reference.parse(given)
    assert str(error.value) == sentence


def test_a_tag_of_129_characters_is_refused() -> None:
    with pytest.raises(FormatError, match=f": {TAG}$"):
        Reference.parse("example.org/app:" + "t" * 129)
