from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from cstore.errors import SourceError
from cstore.registry.helper import ask_helper
from cstore.registry.login import Login
from cstore.waiting import GivenUpError, Waiter

if TYPE_CHECKING:
    from pathlib import Path


def make(place: Path, script: str) -> dict[str, str]:
    """Make a helper `x`, and return an environment in which it is found."""
    program = place / "docker-credential-x"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{place}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("script", "login"),
    [
        (
            """test "$1" = get && echo "{\\"ServerURL\\":\\"x\\",\\"Username\\":\\"alice\\",\\"Secret\\":\\"$(cat)\\"}" """,
            Login("alice", "a.org"),
        ),
        ("""echo '{"Username":"<token>","Secret":"t"}'""", Login("", "", "t")),
        ("""echo '{"Username":"alice","Secret":""}'""", None),
        ("echo 'credentials not found in native keychain'; exit 1", None),
    ],
    ids=["a password", "an identity token", "nothing", "none"],
)
def test_what_a_helper_says(tmp_path: Path, script: str, login: Login | None) -> None:
    assert ask_helper("x", "a.org", make(tmp_path, script)) == login


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo locked; exit 3", 'docker-credential-x: expected credentials for a.org, found exit code 3, "locked"'),
        ("echo locked >&2; exit 3", 'docker-credential-x: expected credentials for a.org, found exit code 3, "locked"'),
        ("printf 'a\\033[2Jb'; exit 1", 'docker-credential-x: expected credentials for a.org, found exit code 1, "a?[2Jb"'),
        ("echo secret", "docker-credential-x: a.org: expected JSON with Username and Secret, found something else"),
        ("""echo '{"Secret":["secret"]}'""", "docker-credential-x: a.org: expected JSON with Username and Secret, found something else"),
    ],
)
def test_how_a_helper_fails(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(SourceError) as error:
        ask_helper("x", "a.org", make(tmp_path, script))
    assert str(error.value) == said


def test_one_that_says_nothing(tmp_path: Path) -> None:
    environment = make(tmp_path, "exec sleep 60")
    begin = time.monotonic()
    with pytest.raises(SourceError) as error:
        ask_helper("x", "a.org", environment, 0.2)
    assert str(error.value) == "docker-credential-x: expected credentials for a.org within 0.2 s, found no answer"
    assert time.monotonic() - begin < 30


def test_one_for_which_nobody_waits_any_more(tmp_path: Path) -> None:
    environment = make(tmp_path, f"echo > {tmp_path}/begun; exec sleep 60")
    ends: list[object] = []

    def run() -> None:
        try:
            ends.append(ask_helper("x", "a.org", environment))
        except GivenUpError as error:
            ends.append(type(error))

    waiter = Waiter(run, "of a test")
    waiter.start()
    end = time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < end:
        time.sleep(0.005)
    waiter.give_up()
    waiter.join(30)
    assert (waiter.is_alive(), ends) == (False, [GivenUpError])


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as error:
        ask_helper("x", "a.org", {"PATH": str(tmp_path)})
    assert str(error.value) == "docker-credential-x: expected a program that gives credentials, found: No such file or directory"


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", "a b"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(SourceError) as error:
        ask_helper(name, "a.org", None)
    assert str(error.value) == f'credential helper: expected a name such as secretservice, found "{name}"'
