from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from tools.measure import Program, best_of, figures_of, measure

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 300_000_000


def test_a_run_tells_its_time_and_memory() -> None:
    took = measure(Program(command=[sys.executable, "-c", f"import time; x = b'x' * {LARGE}; time.sleep(0.2)"]))
    assert took.seconds is not None
    assert took.seconds > 0.2
    assert took.kilobytes > LARGE // 1024
    assert took.cpu_seconds > 0


def test_what_takes_too_long_is_killed_with_all_that_it_started_and_not_run_again(tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    slow = Program(command=["sh", "-c", f"echo run >>{noted}; sleep 30 & wait"], limit=0.3)
    start = time.monotonic()
    took = best_of({"slow": slow}, runs=3)
    assert took["slow"].seconds is None
    assert time.monotonic() - start < 10
    assert noted.read_text() == "run\n"


def test_all_are_run_in_turn_and_the_best_counts(tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    note = f'echo "$WHO" >>{noted}; test "$(wc -l <{noted})" -lt 3 || sleep 0.3'
    programs = {who: Program(command=["sh", "-c", note], env={"WHO": who}, runs=runs) for who, runs in (("a", None), ("b", None), ("c", 1))}
    took = best_of(programs, runs=2)
    assert noted.read_text().split() == ["a", "b", "c", "a", "b"]
    assert [run.seconds is not None and run.seconds < 0.3 for run in took.values()] == [True, True, False]


def test_a_failure_ends_the_benchmark_with_what_was_said(tmp_path: Path) -> None:
    after = tmp_path / "after"
    with pytest.raises(SystemExit, match="sh -c echo wrong >&2; exit 5: exit 5\nwrong"):
        measure(Program(command=["sh", "-c", "echo wrong >&2; exit 5"], after=after.touch))
    assert after.exists()


def test_figures_hold_the_seconds_and_the_memory_of_each() -> None:
    took = best_of({name: Program(command=["true"]) for name in ("cstore", "cp")}, runs=1)
    figures = figures_of(took, group="tag", x=10, peers={"cstore": "cp"})
    assert [(figure.name, figure.unit, figure.peer) for figure in figures] == [
        ("cstore", "s", "cp"),
        ("cp", "s", ""),
        ("cstore", "CPU s", "cp"),
        ("cp", "CPU s", ""),
        ("cstore", "MB", ""),
        ("cp", "MB", ""),
    ]
