from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from cstore.registry.auth_files import AuthFile
from cstore.registry.credentials import Credentials, Login
from tests.compat.programs import require
from tools.registries.server import Registry

if TYPE_CHECKING:
    from pathlib import Path

LOGINS = {name: Login(name, "secret") for name in ("a.org", "a.org/b", "a.org/b/c/d", "c.org:5000")}


@pytest.mark.parametrize(
    ("registry", "repository", "user"),
    [
        ("a.org", "x", "a.org"),
        ("a.org", "b", "a.org/b"),
        ("a.org", "bc", "a.org"),
        ("a.org", "b/c", "a.org/b"),
        ("a.org", "b/c/d", "a.org/b/c/d"),
        ("c.org:5000", "x", "c.org:5000"),
        ("c.org", "x", None),
    ],
)
def test_the_longest_key_counts(registry: str, repository: str, user: str | None) -> None:
    """Spec Q3."""
    found = Credentials(LOGINS).find(registry, repository)
    assert (found.user if found else None) == user


def test_a_password_is_not_shown() -> None:
    assert repr(Login("alice", "secret", "identity")) == "Login(user='alice')"


def test_a_helper_comes_before_its_file_and_is_asked_once(tmp_path: Path) -> None:
    program = tmp_path / "docker-credential-x"
    program.write_text(f"""#!/bin/sh
cat >> {tmp_path}/asked
echo '{{"Username":"helped","Secret":"s"}}'
""")
    program.chmod(0o755)
    file = AuthFile(LOGINS, {"a.org": "x"})
    some = Credentials(files=[file], environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    for _ in range(2):
        found = some.find("a.org", "b")
        assert found == Login("helped", "s")
    assert some.find("c.org:5000", "x") == LOGINS["c.org:5000"]
    assert (tmp_path / "asked").read_text() == "a.org"


def test_the_first_file_that_has_any_counts() -> None:
    first, second = AuthFile({"a.org": Login("first", "s")}), AuthFile({"a.org/b": Login("second", "s"), "b.org": Login("second", "s")})
    some = Credentials({"own.org": Login("own", "s")}, [first, second])
    found = [some.find(registry, "b") for registry in ("own.org", "a.org", "b.org", "c.org")]
    assert [login and login.user for login in found] == ["own", "first", "second", None]


def test_a_users_own_files(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text('{"auths":{"a.org":{"auth":"YWxpY2U6c2VjcmV0"}}}')
    some = Credentials.usual({"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}, tmp_path)
    assert some.find("a.org", "x") == Login("alice", "secret")


def test_a_private_registry_with_the_file_that_podman_writes(tmp_path: Path, layout: Path) -> None:
    require("docker-registry", "skopeo")
    with Registry(tmp_path / "registry", users={"alice": "s3cret: word"}) as registry:
        registry.put("atlas/app", layout)
        file = tmp_path / "auth.json"
        command = ["skopeo", "login", "--tls-verify=false", "--authfile", str(file), "-u", "alice", "-p", "s3cret: word", registry.address]
        subprocess.run(command, check=True, capture_output=True)
        credentials = Credentials.usual({"REGISTRY_AUTH_FILE": str(file)}, tmp_path)
        with registry.registries(credentials=credentials) as registries:
            assert set(registries.tags(registry.name("atlas/app"))) == {"many", "v1"}
