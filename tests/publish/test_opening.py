"""Whose a transaction is that is open."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cstore.publish.opening import Opening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    return tmp_path / "in_transaction.lock"


@contextmanager
def reading(flag: Path, script: str) -> Iterator[Opening]:
    """Run a script that may read a line, wait for that, and yield what is known when it has ended."""
    reader, writer = os.pipe()
    opening = Opening(flag)
    os.write(writer, b"\n")
    with subprocess.Popen(["sh", "-c", script, "sh", str(flag)], stdin=reader) as process:
        os.close(reader)
        opening.wait(writer, process)
        os.close(writer)
    yield opening


def unseen(flag: Path, script: str) -> Opening:
    opening = Opening(flag)
    with subprocess.Popen(["sh", "-c", script, "sh", str(flag)]) as process:
        opening.wait_unseen(process)
    return opening


def test_who_has_read_has_opened(flag: Path) -> None:
    with reading(flag, 'touch "$1"; read x; sleep 0.2; kill -9 $$') as opening:
        assert (opening.is_ours, opening.is_left_open()) == (True, True)


def test_who_was_killed_before_has_not(flag: Path) -> None:
    flag.touch()
    with reading(flag, "kill -9 $$") as opening:
        assert (opening.is_ours, opening.is_left_open()) == (False, False)


@pytest.mark.parametrize("end", ['rm "$1"', 'rm "$1"; sleep 0.02; touch "$1"'], ids=["none", "another"])
def test_what_is_open_by_now_is_not_the_same(flag: Path, end: str) -> None:
    with reading(flag, f'touch "$1"; read x; sleep 0.3; {end}; kill -9 $$') as opening:
        assert (opening.is_ours, opening.is_left_open()) == (True, False)


def test_who_ends_by_itself_leaves_nothing(flag: Path) -> None:
    with reading(flag, 'touch "$1"; read x; exit 1') as opening:
        assert (opening.is_ours, opening.is_left_open()) == (True, False)


def test_what_was_not_open_before_is_of_the_program_that_was_killed(flag: Path) -> None:
    assert unseen(flag, 'touch "$1"; kill -9 $$').is_left_open()
    assert not unseen(flag, 'touch "$1"; kill -9 $$').is_left_open(), "it is there already"
    flag.unlink()
    assert not unseen(flag, 'touch "$1"; exit 1').is_ours
    flag.unlink()
    assert not unseen(flag, "exit 0").is_ours
