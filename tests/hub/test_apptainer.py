"""Apptainer's scripts, run by the shells that run them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cstore.hub.apptainer import MOUNT_POINTS, apptainer_part, environment, labels, runscript
from cstore.layer.entry import Kind
from cstore.model.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

SHELLS = [shell for shell in ("/bin/sh", "/bin/dash", "/bin/bash", "/bin/busybox") if Path(shell).exists()]
DETERMINISTIC = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
HOSTILE = st.text(
    st.sampled_from("ab \n\t\r'\"$`\\!*?[]{}()<>|&;#~=%-/é\u2028\U0001f600\x01\x7f")
    | st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    max_size=12,
)
WORST = [
    "",
    " ",
    "\n",
    "a\n",
    "'",
    '"',
    "\\",
    "\\\n",
    "$(touch hit)",
    "`touch hit`",
    "${HOME}",
    "$HOME",
    "'; touch hit; '",
    '"; touch hit; "',
    "-n",
    "é\U0001f600",
    "!!",
    "*",
]
ARGUMENTS = "import os, sys; [sys.stdout.buffer.write(os.fsencode(word) + bytes(1)) for word in sys.argv[1:]]"
FAST = ("/usr/bin/printf", r"%s\0", "first")
"""The same from the second word on, and faster."""


def call(shell: str, *arguments: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> bytes:
    command = [shell, *(["sh"] if shell.endswith("busybox") else []), *arguments]
    done = subprocess.run(command, capture_output=True, check=True, env={"PATH": os.environ["PATH"], **(env or {})}, cwd=cwd)
    assert done.stderr == b""
    return done.stdout


def run(shell: str, what: Settings, place: Path, *given_arguments: str, **env: str) -> list[str]:
    """Return the words that the script of an image runs; its first word must be PROGRAM, which tells them."""
    place.mkdir(exist_ok=True)
    (place / "runscript").write_bytes(runscript(what))
    out = call(shell, place / "runscript", *given_arguments, env=env, cwd=place)
    assert not (place / "hit").exists()
    return [os.fsdecode(word) for word in out.split(b"\0")[:-1]]


PROGRAM = (sys.executable, "-c", ARGUMENTS)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_shells_that_matter_are_here() -> None:
    assert shutil.which("dash")
    assert shutil.which("bash")


@pytest.mark.parametrize(
    ("what", "arguments", "expected"),
    [
        (Settings(entrypoint=PROGRAM), (), []),
        (Settings(entrypoint=PROGRAM), ("x", "y z"), ["x", "y z"]),
        (Settings(entrypoint=PROGRAM, cmd=("c", "d e")), (), ["c", "d e"]),
        (Settings(entrypoint=PROGRAM, cmd=("c", "d e")), ("x",), ["x"]),
        (Settings(entrypoint=(*PROGRAM, "e"), cmd=("c",)), ("x", ""), ["e", "x", ""]),
        (Settings(entrypoint=(*PROGRAM, ""), cmd=("",)), (), ["", ""]),
        (Settings(cmd=(*PROGRAM, "c")), (), ["c"]),
        (Settings(cmd=("/none",)), (*PROGRAM, "x"), ["x"]),
    ],
)
def test_entrypoint_and_cmd(shell: str, what: Settings, arguments: Sequence[str], expected: list[str], tmp_path: Path) -> None:
    assert run(shell, what, tmp_path, *arguments, SINGULARITY_NO_EVAL="1") == expected
    assert run(shell, what, tmp_path, *arguments, APPTAINER_NO_EVAL="1") == expected
    assert run(shell, what, tmp_path, *arguments) == expected


def test_neither_runs_nothing(shell: str, tmp_path: Path) -> None:
    assert run(shell, Settings(), tmp_path) == []


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("$NAME", "value"), ("`echo 1`", "1"), ("$(echo 'a  b')", "a  b"), ('\\"x\\"', '"x"'), ("a  b", "a  b"), ("*", "*")],
)
def test_what_the_caller_gives_is_evaluated_unless_he_says_no(shell: str, argument: str, expected: str, tmp_path: Path) -> None:
    what = Settings(entrypoint=PROGRAM)
    assert run(shell, what, tmp_path, argument, NAME="value") == [expected]
    assert run(shell, what, tmp_path, argument, NAME="value", SINGULARITY_NO_EVAL="1") == [argument]


@DETERMINISTIC
@example(words=WORST, given_words=WORST)
@given(words=st.lists(HOSTILE, max_size=5), given_words=st.lists(HOSTILE, max_size=3))
def test_words_arrive_as_they_are(words: list[str], given_words: list[str], tmp_path: Path) -> None:
    """Spec E9: the words of the config are never evaluated, and with NO_EVAL nothing is."""
    for shell in SHELLS:
        assert run(shell, Settings(entrypoint=(*FAST, *words), cmd=tuple(words)), tmp_path / "r") == ["first", *words, *words]
        what = Settings(entrypoint=(*FAST, *words), cmd=("c",))
        assert run(shell, what, tmp_path / "r", *given_words, SINGULARITY_NO_EVAL="1") == ["first", *words, *(given_words or ["c"])]


def environ(shell: str, what: Settings, place: Path, **env: str) -> dict[str, str]:
    place.mkdir(exist_ok=True)
    (place / "env.sh").write_bytes(environment(what))
    out = call(shell, "-c", ". ./env.sh && exec /usr/bin/env -0", env=env, cwd=place)
    assert not (place / "hit").exists()
    return dict(os.fsdecode(line).split("=", 1) for line in out.split(b"\0")[:-1])


@DETERMINISTIC
@example(values=WORST)
@given(values=st.lists(HOSTILE, max_size=6))
def test_values_arrive_as_they_are(values: list[str], tmp_path: Path) -> None:
    """Spec E10: the values of the config are never evaluated."""
    wanted = {f"V{number}": value for number, value in enumerate(values)}
    what = Settings(env=tuple(f"{name}={value}" for name, value in wanted.items()))
    for shell in SHELLS:
        found = environ(shell, what, tmp_path / "r")
        assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("env", "before", "expected"),
    [
        (("A=image",), {"A": "caller"}, {"A": "caller"}),
        (("A=image",), {"A": ""}, {"A": "image"}),
        (("A=", "B"), {}, {"A": "", "B": ""}),
        (("A=", "B"), {"A": "1", "B": "2"}, {"A": "1", "B": "2"}),
        (("A=b=c",), {}, {"A": "b=c"}),
        (("PATH=/image:/bin:/usr/bin",), {"PATH": "/bin:/usr/bin"}, {"PATH": "/image:/bin:/usr/bin"}),
        (("A=1", "A=2"), {}, {"A": "1"}),
        (("1A=x", "A-B=x", "A B=x", "=x", "", "é=x", "A;touch hit;=x", "UID=x", "EUID=x", "PPID=x", "C=ok"), {}, {"C": "ok"}),
    ],
)
def test_the_environment(shell: str, env: tuple[str, ...], before: dict[str, str], expected: dict[str, str], tmp_path: Path) -> None:
    found = environ(shell, Settings(env=env), tmp_path, **before)
    told = {"PATH", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"} - expected.keys()
    assert {name: value for name, value in found.items() if name not in told} == expected


def test_what_is_no_name_or_has_a_nul_is_left_out() -> None:
    assert environment(Settings(env=("A\0=1", "B=1\x002", "C=3"))) == b"#!/bin/sh\nif [ -z \"${C:-}\" ]; then C='3'; fi\nexport C\n"
    assert runscript(Settings(cmd=("a\0b",))).endswith(b"    set -- 'a'\nfi\nexec \"$@\"\n")


def test_labels_are_one_object_in_order() -> None:
    assert labels(Settings()) == b"{}\n"
    assert labels(Settings(labels={"b": '"\n', "a": "é"})) == '{"a":"é","b":"\\"\\n"}\n'.encode()
    assert json.loads(labels(Settings(labels={"b": '"\n', "a": "é"}))) == {"a": "é", "b": '"\n'}


def test_the_files_and_where_they_lie() -> None:
    part = apptainer_part(Settings(cmd=("x",)))
    found = {entry.path: (entry.kind, entry.mode, entry.size, b"".join(content)) for entry, content in part.walk()}
    assert {path: mode for path, (_, mode, _, _) in found.items()} == {
        b".singularity.d": 0o755,
        b".singularity.d/env": 0o755,
        b".singularity.d/env/10-docker2singularity.sh": 0o755,
        b".singularity.d/labels.json": 0o644,
        b".singularity.d/runscript": 0o755,
    }
    assert all(size == len(content) for _, _, size, content in found.values())
    assert [entry.path for entry in part.headers()] == [*found]
    assert {entry.kind for entry in MOUNT_POINTS} == {Kind.DIRECTORY}
