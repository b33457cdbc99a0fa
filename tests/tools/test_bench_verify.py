from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tools.benches import bench, run, values

if TYPE_CHECKING:
    from pathlib import Path

OWN = ["cstore verify", "find and cat", "json of both indexes"]
PODMAN = "podman images -q"


def test_each_program_is_timed_for_each_size(tmp_path: Path) -> None:
    made = bench("bench_verify.py", tmp_path, "--images", "8", "2", "--runs", "1")
    seconds = values(made, "quick", "s")
    assert [*seconds] in (OWN, [*OWN, PODMAN])
    assert [*values(made, "quick", "MB")] == [*seconds]
    assert all(len(both) == 2 and all(value and value > 0 for value in both) for both in seconds.values())
    assert [figure.x for figure in made.figures if figure.group == "quick, for each image"] == [2, 8]
    assert all(figure.ratio for figure in made.figures if (figure.name, figure.unit) == ("cstore verify", "s"))


def test_sizes_that_make_no_store_are_refused(tmp_path: Path) -> None:
    assert run("bench_verify.py", tmp_path, "--images", "0")[0] == 2
