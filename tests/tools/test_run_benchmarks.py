from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tools.benches import ROOT, run
from tools.figures import Benchmark
from tools.page import BEGIN, END, main_figures, write_page

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = ROOT / "tools/benchmarks"


def test_benchmarks_are_gathered_one_after_the_other_and_others_stay(tmp_path: Path) -> None:
    into = tmp_path / "made"
    code, _, said = run("run_benchmarks.py", tmp_path, "add", "--small", "--into", str(into))
    assert code == 0, said
    first = json.loads((into / "benchmarks.json").read_bytes())
    assert [*first] == ["add"]
    assert "Python" in first["add"]["machine"]
    code, _, said = run("run_benchmarks.py", tmp_path, "stream", "--small", "--into", str(into))
    assert code == 0, said
    second = json.loads((into / "benchmarks.json").read_bytes())
    assert [*second] == ["add", "stream"]
    assert second["add"] == first["add"]
    page = (into / "README.md").read_text()
    for name in second:
        assert f"\n## {name}\n" in page
        assert f"![{name}]({name}.svg)" in page
        assert (into / f"{name}.svg").read_text().startswith("<?xml")
    assert sorted(path.name for path in into.iterdir()) == ["README.md", "add.svg", "benchmarks.json", "stream.svg"]


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    code, _, said = run("run_benchmarks.py", tmp_path, "speed")
    assert code == 2
    assert "expected names of change, readers, views, verify, add, stream, flat, publish, sync, found speed" in said


def test_every_benchmark_is_run(tmp_path: Path) -> None:
    there = {path.stem.removeprefix("bench_") for path in (ROOT / "tools").glob("bench_*.py")}
    _, printed, _ = run("run_benchmarks.py", tmp_path, "--help")
    assert all(f"{name}," in printed or f"{name};" in printed for name in there)


def test_the_page_follows_from_the_figures_byte_for_byte(tmp_path: Path) -> None:
    """What is committed was written by the tools that are committed, plots apart: another matplotlib draws them otherwise."""
    gathered = json.loads((OWN / "benchmarks.json").read_bytes())
    readme = tmp_path / "project.md"
    readme.write_text(f"before\n{BEGIN}old{END}after\n")
    for directory in (tmp_path / "one", tmp_path / "two"):
        directory.mkdir()
        write_page(gathered, directory, readme=readme)
    assert readme.read_text() == f"before\n{BEGIN}{main_figures(gathered)}{END}after\n"
    assert (tmp_path / "one/README.md").read_text() == (OWN / "README.md").read_text()
    assert f"{BEGIN}{main_figures(gathered)}{END}" in (ROOT / "README.md").read_text()
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")
    assert {*_contents(tmp_path / "one")} | {"benchmarks.json"} == {*_contents(OWN)}
    assert sum(map(len, _contents(OWN).values())) < 700_000
    assert all(Benchmark.from_dict(value).name == name for name, value in gathered.items())


def test_what_the_page_shows_is_not_of_one_machine() -> None:
    said = "".join(path.read_text() for path in OWN.iterdir())
    assert [word for word in ("/tmp", "/home", "/root", str(Path.home())) if word in said] == []  # noqa: S108 - looked for, not used


@pytest.mark.parametrize("names", [["change"], ["readers", "change"]])
def test_main_figures_are_those_at_the_largest_size(names: Sequence[str]) -> None:
    gathered = json.loads((OWN / "benchmarks.json").read_bytes())
    table = main_figures({name: gathered[name] for name in names})
    rows = {"change": 4, "readers": 2}
    for name in names:
        largest = max(figure["x"] for figure in gathered[name]["figures"])
        same = [other for other in names if max(figure["x"] for figure in gathered[other]["figures"]) == largest]
        assert table.count(f"| {largest:,} images |") == sum(rows[other] for other in same)


def _contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}
