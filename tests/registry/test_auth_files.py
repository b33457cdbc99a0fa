from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from cstore.errors import FormatError, SourceError, StoreError
from cstore.registry.auth_files import AuthFile, usual_files
from cstore.registry.login import Login

if TYPE_CHECKING:
    from pathlib import Path


def auth(user: str, password: str = "secret") -> dict[str, str]:  # noqa: S107 - of no one
    return {"auth": b64encode(f"{user}:{password}".encode()).decode()}


def read(tmp_path: Path, value: object) -> AuthFile:
    (tmp_path / "auth.json").write_text(json.dumps(value))
    return AuthFile.read(tmp_path / "auth.json")


def user(file: AuthFile, registry: str, repository: str = "x") -> str | None:
    found = file.login(registry, repository)
    return found.user if found else None


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        pytest.param(auth("alice"), Login("alice", "secret"), id="both in one"),
        pytest.param(auth("alice", "a:b"), Login("alice", "a:b"), id="a colon in the password"),
        pytest.param(auth("alice", "x\0\0"), Login("alice", "x"), id="filled up"),
        pytest.param({"username": "alice", "password": "secret"}, Login("alice", "secret"), id="apart"),
        pytest.param({**auth("alice", ""), "identitytoken": "t"}, Login("alice", "", "t"), id="an identity token"),
        pytest.param({}, None, id="empty"),
        pytest.param(None, None, id="null"),
        pytest.param({"email": "a@b"}, None, id="something else"),
    ],
)
def test_an_entry(tmp_path: Path, entry: object, login: Login | None) -> None:
    found = read(tmp_path, {"auths": {"a.org": entry}}).login("a.org", "x")
    assert found == login
    assert "secret" not in repr(read(tmp_path, {"auths": {"a.org": entry}}))


@pytest.mark.parametrize(
    ("registry", "repository", "key"),
    [
        ("a.org", "b/c", "a.org/b/c"),
        ("a.org", "b/d", "a.org/b"),
        ("a.org", "bb", "a.org"),
        ("b.org:5000", "x", "https://b.org:5000"),
        ("b.org", "x", None),
        ("c.org", "x", "http://c.org/v2/"),
        ("d.org", "x", None),
        ("docker.io", "library/debian", "https://index.docker.io/v1/"),
    ],
)
def test_the_longest_key_counts(tmp_path: Path, registry: str, repository: str, key: str | None) -> None:
    """Spec Q3."""
    keys = [
        "a.org",
        "a.org/b",
        "a.org/b/c",
        "https://b.org:5000",
        "http://c.org/v2/",
        "https://d.org/some/where",
        "https://index.docker.io/v1/",
    ]
    file = read(tmp_path, {"auths": {key: auth(key.replace(":", "~")) for key in keys}})
    assert user(file, registry, repository) == (key and key.replace(":", "~"))


@pytest.mark.parametrize("key", ["docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"])
def test_docker_hub_has_many_names(tmp_path: Path, key: str) -> None:
    assert user(read(tmp_path, {"auths": {key: auth("alice")}}), "docker.io") == "alice"


def test_an_empty_entry_hides_none(tmp_path: Path) -> None:
    assert user(read(tmp_path, {"auths": {"a.org/b": {}, "a.org": auth("alice")}}), "a.org", "b") == "alice"


def test_helpers(tmp_path: Path) -> None:
    file = read(tmp_path, {"credHelpers": {"a.org": "one", "https://index.docker.io/v1/": "two", "n.org": ""}, "credsStore": "all"})
    assert file.helper("a.org") == ("one", "a.org")
    assert file.helper("docker.io") == ("two", "https://index.docker.io/v1/")
    assert (file.helper("b.org"), file.helper("n.org")) == (("all", "b.org"), ("all", "n.org"))
    assert read(tmp_path, {"credsStore": "all"}).helper("docker.io") == ("all", "https://index.docker.io/v1/")
    assert read(tmp_path, {}).helper("a.org") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"{secret", ": expected JSON, found something else", id="no JSON"),
        pytest.param(b'["secret"]', ": expected an object, found an array", id="no object"),
        pytest.param(
            b'{"auths":{"a.org":{"auth":"secret!"}}}',
            ".auths['a.org'].auth: expected a user and a password in base64, found something else",
            id="no base64",
        ),
        pytest.param(
            b'{"auths":{"a.org":{"auth":"c2VjcmV0"}}}',
            ".auths['a.org'].auth: expected a user and a password in base64, found something else",
            id="no colon",
        ),
        pytest.param(b'{"auths":{"a.org":{"auth":["secret"]}}}', ".auths['a.org'].auth: expected text, found something else", id="no text"),
        pytest.param(b'{"credHelpers":{"a.org":7}}', ".credHelpers['a.org']: expected text, found 7", id="no helper"),
    ],
)
def test_what_is_malformed_is_told_without_what_stands_there(tmp_path: Path, content: bytes, said: str) -> None:
    """Spec Q6."""
    (tmp_path / "auth.json").write_bytes(content)
    with pytest.raises(FormatError) as error:
        AuthFile.read(tmp_path / "auth.json")
    assert str(error.value) == f"{tmp_path}/auth.json{said}"
    assert "secret" not in str(error.value)


def put(place: Path, name: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"auths": {"a.org": auth(name)}}))


def test_the_usual_places(tmp_path: Path) -> None:
    home = tmp_path / "home"
    put(tmp_path / "run/containers/auth.json", "run")
    put(home / ".config/containers/auth.json", "config")
    put(home / ".docker/config.json", "docker")
    put(tmp_path / "moved/containers/auth.json", "moved config")
    put(tmp_path / "moved/config.json", "moved docker")
    put(tmp_path / "named.json", "named")

    def found(**environment: Path) -> list[str | None]:
        given = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), **{name: str(value) for name, value in environment.items()}}
        return [user(file, "a.org") for file in usual_files(given, home)]

    assert found() == ["run", "config", "docker"]
    assert found(XDG_RUNTIME_DIR=tmp_path) == ["config", "docker"]
    assert found(XDG_CONFIG_HOME=tmp_path / "moved", DOCKER_CONFIG=tmp_path / "moved") == ["run", "moved config", "moved docker"]
    assert found(REGISTRY_AUTH_FILE=tmp_path / "named.json") == ["named"]
    with pytest.raises(SourceError) as error:
        found(REGISTRY_AUTH_FILE=tmp_path / "none")
    assert str(error.value) == f"{tmp_path}/none: expected a file that can be read, found: No such file or directory"
    assert isinstance(error.value, StoreError)
