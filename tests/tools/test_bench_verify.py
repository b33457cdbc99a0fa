from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


def test_each_program_is_timed_for_each_size(tmp_path: Path) -> None:
    lines, rows = _bench(tmp_path, "--images", "2", "8", "--runs", "1")
    programs = {row["program"] for row in rows}
    assert {"cstore verify", "find and cat", "json of both indexes"} <= programs
    assert programs <= {"cstore verify", "find and cat", "json of both indexes", "podman images -q"}
    assert [(row["images"], row["layers"]) for row in rows if row["program"] == "cstore verify"] == [(2, 22), (8, 64)]
    assert all(row["seconds"] > 0 and row["kilobytes"] > 0 and row["linear"] > 0 for row in rows)
    assert all(row["linear"] == 1 for row in rows if row["images"] == 2)
    assert len(lines) == 2 + len(rows)
    assert {line.count("|") for line in lines} == {8}
    assert not list((tmp_path / "work").iterdir())


def test_sizes_that_make_no_store_are_refused(tmp_path: Path) -> None:
    assert _run(tmp_path, "--images", "0").returncode == 2


def _bench(tmp_path: Path, *arguments: str) -> tuple[list[str], list[dict[str, Any]]]:
    done = _run(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    *lines, told = done.stdout.splitlines()
    return lines, json.loads(told)


def _run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "work").mkdir(exist_ok=True)
    command = [sys.executable, str(ROOT / "tools/bench_verify.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "work")}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
