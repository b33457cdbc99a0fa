from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.images import Image, directory, file, tar, whiteout, write_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def image(tmp_path: Path) -> str:
    """A tiny image in an OCI layout, as the benchmarks take it."""
    base = tar(directory("etc"), file("etc/motd", b"hello\n" * 1000), file("etc/gone", b"x"))
    write_layout(tmp_path / "image", {"v1": Image(layers=(base, tar(directory("etc"), whiteout("etc/gone"))))})
    return f"{tmp_path / 'image'}:v1"


def test_bench_add_times_cstore_and_whatever_else_is_there(tmp_path: Path, image: str) -> None:
    lines, told = bench("bench_add.py", tmp_path, image, "--runs", "1")
    assert {"cstore add", "gunzip alone (isal)"} <= set(told)
    assert ("umoci unpack" in told) == (shutil.which("umoci") is not None)
    assert all(rival["seconds"] > 0 and rival["kilobytes"] > 0 for rival in told.values())
    assert [line[:32].strip() for line in lines[1:]] == list(told)
    assert lines[1].split()[-2] == "1.00"


def test_bench_stream_measures_both_readings_beside_their_limits(tmp_path: Path, image: str) -> None:
    lines, told = bench("bench_stream.py", tmp_path, image, "--runs", "2")
    assert told["bytes"] % 512 == 0
    assert told["bytes"] > 6000
    assert told["entries"] > 20
    times = told["times"]
    assert list(times) == [
        "first reading: verify",
        "second reading: stream",
        "both readings",
        "unpacking alone",
        "unpacking and SHA-256",
        "tar -x",
        "tar -c of the tree",
    ]
    assert all(time["seconds"] > 0 for time in times.values())
    assert times["both readings"]["seconds"] >= times["second reading: stream"]["seconds"]
    assert [name for name, time in times.items() if time["kilobytes"] is None] == ["tar -x", "tar -c of the tree"]
    assert len(lines) == 2 + len(times)


@pytest.mark.skipif(os.geteuid() != 0, reason="the stand-in mounts and makes devices, which needs root")
def test_bench_publish_counts_one_revision_for_each_change_and_none_for_nothing(tmp_path: Path) -> None:
    lines, rows = bench("bench_publish.py", tmp_path, "--layers", "12", "--images", "2")
    changes = ["add 2 images", "add one image", "add it again", "tag", "remove"]
    assert [(row["layers"], row["form"], row["change"]) for row in rows] == [
        (12, form, change) for form in ("direct", "sharded") for change in changes
    ]
    assert [row["revisions"] for row in rows] == [1, 1, 0, 1, 1] * 2
    for row in rows:
        if row["change"] == "add it again":
            assert row["entries"] == row["bytes"] == row["catalogs"] == row["catalog_entries"] == 0
        else:
            assert row["catalog_entries"] >= row["catalogs"] >= (1 if row["form"] == "direct" else 2)
            assert row["bytes"] > 0
    by_name = {(row["form"], row["change"]): row for row in rows}
    for form, catalogs in (("direct", 1), ("sharded", 2)):
        # images.json and its lock; where an image goes, cstore.json notes the retired layers
        assert by_name[form, "tag"]["entries"] == 2
        assert by_name[form, "remove"]["entries"] == 3
        assert by_name[form, "tag"]["catalogs"] == catalogs
    assert by_name["sharded", "tag"]["catalog_entries"] < by_name["direct", "tag"]["catalog_entries"]
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(rows)
    assert {line.count("|") for line in table} == {10}
    assert "117 revisions" in "\n".join(lines)
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is told so first")
@pytest.mark.parametrize("options", [["--images", "0"], ["--layers", "-1"]])
def test_bench_publish_refuses_what_it_cannot_make(tmp_path: Path, options: Sequence[str]) -> None:
    code, _, said = run("bench_publish.py", tmp_path, *options)
    assert code == 2
    assert "expected at least one image" in said


def bench(name: str, tmp_path: Path, *arguments: str) -> tuple[list[str], Any]:
    """Run a benchmark; return the lines of its table and what its last line, JSON, says."""
    code, printed, said = run(name, tmp_path, *arguments)
    assert code == 0, said
    *lines, told = printed.splitlines()
    return lines, json.loads(told)


def run(name: str, tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / name, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(work)},
    )
    return done.returncode, done.stdout, done.stderr
