"""Benchmarks as the tests run them: at tiny sizes, in a directory of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.figures import Benchmark

__all__ = ["ROOT", "bench", "run", "values"]

ROOT = Path(__file__).parent.parent.parent


def bench(name: str, tmp_path: Path, *arguments: str) -> Benchmark:
    """Run a benchmark, which must leave nothing; return what it told in JSON, of which its tables must have a row or more for each name."""
    code, printed, said = run(name, tmp_path, *arguments, "--json", str(tmp_path / "told.json"))
    assert code == 0, said
    made = Benchmark.from_dict(json.loads((tmp_path / "told.json").read_bytes()))
    assert f"bench_{made.name}.py" == name
    assert printed.startswith(made.about)
    assert all(f"| {figure.name}, {figure.unit}" in printed for figure in made.figures)
    return made


def values(made: Benchmark, group: str, unit: str) -> dict[str, list[float | None]]:
    """Return the values of a group by name, in the order of sizes."""
    found: dict[str, list[float | None]] = {}
    for figure in sorted(made.figures, key=lambda figure: figure.x):
        if (figure.group, figure.unit) == (group, unit):
            found.setdefault(figure.name, []).append(figure.value)
    return found


def run(name: str, tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a program of tools/; return its exit code, what it printed, and what it said on stderr."""
    # Where the name of its directory is long, podman waits 20 seconds for the end of every container.
    with tempfile.TemporaryDirectory(prefix="bench-") as work:
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / name, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": work},
        )
        assert not [*Path(work).iterdir()]
    return done.returncode, done.stdout, done.stderr
