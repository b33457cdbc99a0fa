from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import cstore
from cstore.publish.locks import exclusive
from tests.cli.program import call
from tests.publish.stores import NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path

VERBS = {
    "add": 2,
    "remove": 2,
    "tag": 3,
    "list": 1,
    "inspect": 2,
    "prune": 1,
    "verify": 1,
    "repair": 1,
    "adopt": 1,
    "diff": 2,
    "config": 1,
    "expand": 1,
    "lint": 1,
    "watch": 1,
    "completion": 1,
}
"""How many arguments each verb needs."""
WITHOUT_END = ("add", "remove", "expand", "lint", "watch")
"""Verbs that take any number more."""
PROGRAM = [sys.executable, "-m", "cstore"]


@pytest.mark.parametrize(("verb", "needed"), VERBS.items())
def test_missing_arguments_are_a_wrong_usage(verb: str, needed: int) -> None:
    for count in range(needed):
        done = call(verb, *["argument"] * count)
        assert done.code == 2
        assert f"Usage: cstore {verb} " in done.err
        assert "Error: Missing argument" in done.err


@pytest.mark.parametrize(("verb", "needed"), [(verb, needed) for verb, needed in VERBS.items() if verb not in WITHOUT_END])
def test_too_many_arguments_are_a_wrong_usage(verb: str, needed: int) -> None:
    done = call(verb, *["bash"] * needed, "more")
    assert done.code == 2
    assert "Error: Got unexpected extra argument (more)" in done.err


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_a_wrong_usage(verb: str) -> None:
    done = call(verb, "--no-such-option")
    assert done.code == 2
    assert "No such option" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "store", "oci:x", "--layout", "round"),
        ("add", "store", "oci:x", "--name"),
        ("no-such-verb",),
        ("list", "store", "--json=yes"),
    ],
)
def test_a_wrong_option_is_a_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert call(*arguments).code == 2


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_each_verb_tells_of_itself(verb: str, option: str) -> None:
    done = call(verb, option)
    assert done.code == 0
    assert done.out.startswith(f"Usage: cstore {verb} ")


def test_without_a_verb_it_tells_of_all() -> None:
    done = call()
    assert done.code == 2
    assert all(f"\n  {verb} " in done.err for verb in VERBS)
    assert call("--help").code == 0


def test_it_tells_its_version() -> None:
    assert call("--version").out == f"cstore, version {cstore.__version__}\n"


@pytest.mark.parametrize("arguments", [("list",), ("inspect", "x"), ("tag", "x", "y"), ("remove", "x"), ("prune",), ("config",)])
@pytest.mark.parametrize("place", ["none", "below/none", "empty", "file", "full", "loop", "n" * 300, ""])
def test_where_no_store_is_each_verb_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").write_text("thing")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path / "empty")
    before = exact(tmp_path)
    done = call(arguments[0], tmp_path / place if place else "", *arguments[1:])
    assert done.code == 3
    assert done.sentence.startswith("cstore: ")
    assert exact(tmp_path) == before


@pytest.mark.parametrize("location", ["cvmfs://unpacked.example.org", "s3://bucket/store"])
def test_a_location_of_another_kind_is_told(location: str) -> None:
    done = call("list", location)
    assert (done.code, done.sentence[: len(location) + 8]) == (3, f"cstore: {location}")


def test_it_runs_as_a_program(store: Path) -> None:
    done = subprocess.run([*PROGRAM, "inspect", store, "nothing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f'cstore: {store}: expected an image "nothing", found none\n'


def test_a_location_that_is_no_text_is_told_without_traceback(tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, "list", os.fsencode(tmp_path) + b"/\xff"], capture_output=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith(b"cstore: ")
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_goes_away_ends_it_without_traceback(store: Path) -> None:
    output, into = os.pipe()
    os.close(output)
    done = subprocess.run([*PROGRAM, "list", store], stdout=into, stderr=subprocess.PIPE, check=False)
    os.close(into)
    assert (done.returncode, done.stderr) == (3, b"")


def test_full_output_is_told_without_traceback(store: Path) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run([*PROGRAM, "list", store], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("cstore: ")
    assert done.stderr.count("\n") == 1


def test_an_interrupted_change_leaves_the_store_as_it_was(store: Path) -> None:
    before = exact(store)
    with (
        exclusive(store / "overlay-images/images.lock", 1),
        subprocess.Popen(["env", "--default-signal=INT", *PROGRAM, "tag", store, OLD, NEW], stderr=subprocess.PIPE) as run,
    ):
        time.sleep(1)
        run.send_signal(signal.SIGINT)
        said = run.communicate()[1]
    assert (run.returncode, said.lstrip()) == (130, b"cstore: interrupted\n")
    assert exact(store).keys() == before.keys()


def test_without_stderr_it_works_in_silence(tmp_path: Path, store: Path, made: dict[str, str]) -> None:
    script = 'exec 2>&-; "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *PROGRAM, "add", tmp_path / "new", made["new"], "--name", NEW],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"added {NEW}")
    for arguments, code in ((("list", tmp_path / "none"), 3), (("list",), 2), (("add", store, made["new"], "--name", ""), 3)):
        assert subprocess.run(["sh", "-c", script, "sh", *PROGRAM, *arguments], capture_output=True, check=False).returncode == code
