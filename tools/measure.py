"""Runs programs as whole processes and tells what they took: seconds, CPU seconds and memory.

    took = best_of({"cstore list": Program(command=["cstore", "list", store])}, runs=3)

All programs are run in turn, each `runs` times. The best time of each counts, since other work on the machine only ever adds to it; seconds
of the processor depend less on it. The memory is the largest resident size of the program, or of one that it waited for; it is never
below that of who starts it, so a benchmark leaves large work to processes of its own.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from attrs import field, frozen

from tools.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Program", "Took", "best_of", "figures_of", "measure"]


def _nothing() -> None:
    """Do nothing."""


@frozen(kw_only=True)
class Program:
    """A program that is to be measured."""

    command: Sequence[str | Path]
    env: Mapping[str, str] = field(factory=dict)
    """Beside the environment that is there."""
    before: Callable[[], object] = _nothing
    """What goes before each run, and is not measured."""
    after: Callable[[], object] = _nothing
    """What comes after each run, even one that failed."""
    limit: float | None = None
    """Seconds after which it is killed, and not run again; None for none."""
    runs: int | None = None
    """How often it is run at most; None for as often as all others."""


@frozen(kw_only=True)
class Took:
    """What a program took."""

    seconds: float | None
    """None where it did not end within its limit."""
    cpu_seconds: float
    """In user mode and in the kernel."""
    kilobytes: int
    """Its largest resident size."""


def best_of(programs: Mapping[str, Program], runs: int) -> dict[str, Took]:
    """Run programs in turn, and return for each its best time, its best CPU seconds, and its largest memory."""
    best: dict[str, Took] = {}
    for number in range(runs):
        for name, program in programs.items():
            before = best.get(name)
            if number >= (program.runs or runs) or (before and before.seconds is None):
                continue
            took = measure(program)
            best[name] = took if before is None else _better(before, took)
    return best


def _better(one: Took, other: Took) -> Took:
    """Return the best of two runs in each respect, but for the memory, of which the larger counts."""
    ended = [run for run in (one, other) if run.seconds is not None]
    return Took(
        seconds=min((run.seconds for run in ended if run.seconds is not None), default=None),
        cpu_seconds=min(run.cpu_seconds for run in ended or [one, other]),
        kilobytes=max(one.kilobytes, other.kilobytes),
    )


def measure(program: Program) -> Took:
    """Run a program once; one that fails ends the benchmark with what it said.

    Raises:
        SystemExit: it ended with another exit code than 0.
    """
    program.before()
    try:
        with tempfile.TemporaryFile() as said:
            start = time.perf_counter()
            process = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**os.environ, **program.env},
                start_new_session=True,
            )
            ended = _await(process.pid, program.limit)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if ended and process.returncode:
                said.seek(0)
                words = " ".join(map(str, program.command))
                sys.exit(f"{words}: exit {process.returncode}\n{said.read().decode(errors='replace')}")
    finally:
        program.after()
    return Took(
        seconds=seconds if ended else None,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        kilobytes=usage.ru_maxrss,
    )


def figures_of(took: Mapping[str, Took], *, group: str, x: float, peers: Mapping[str, str]) -> list[Figure]:
    """Return the seconds, the CPU seconds and the memory of each program, the first two with the name of its peer."""
    made: list[Figure] = []

    def add(unit: str, name: str, value: float | None) -> None:
        peer = peers.get(name, "") if unit != "MB" else ""
        made.append(Figure(group=group, name=name, unit=unit, x=x, value=value, peer=peer))

    for name, run in took.items():
        add("s", name, run.seconds if run.seconds is None else round(run.seconds, 4))
    for name, run in took.items():
        add("CPU s", name, run.seconds if run.seconds is None else round(run.cpu_seconds, 4))
    for name, run in took.items():
        add("MB", name, round(run.kilobytes / 1000, 1))
    return made


def _await(pid: int, limit: float | None) -> bool:
    """Wait for the end of a process, and kill it with all that it started where that takes too long; return whether it ended by itself."""
    descriptor = os.pidfd_open(pid)
    try:
        ended = bool(select.select([descriptor], [], [], limit)[0])
    finally:
        os.close(descriptor)
    if not ended:
        os.killpg(pid, signal.SIGKILL)
    return ended
