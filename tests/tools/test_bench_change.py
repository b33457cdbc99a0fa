from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.tools.benches import bench, run, values

if TYPE_CHECKING:
    from pathlib import Path

CP = ["cp of both indexes", "cp and sync of both indexes"]
PEERS = {"add an image whose layers are there": "skopeo copy", "tag": "podman tag", "remove": "podman rmi"}


def test_each_change_is_timed_beside_cp_and_podman_in_both_forms(tmp_path: Path) -> None:
    has_peers = os.geteuid() == 0 and all(map(shutil.which, ("podman", "skopeo", "runc")))
    made = bench("bench_change.py", tmp_path, "--images", "2", "--runs", "1")
    for form in ("direct", "sharded"):
        for change, peer in {**PEERS, "list": ""}.items():
            group = f"{change}, {form} store"
            own = f"cstore {change.split()[0]}"
            seconds = values(made, group, "s")
            assert [*seconds] == [own, *CP, *([peer] if peer and has_peers else [])]
            assert all(value and value > 0 for one in seconds.values() for value in one)
            assert {len(one) for one in seconds.values()} == {1}
            assert own in values(made, group, "MB")
        assert values(made, "both indexes", "MB")[f"{form} store"][0]
    assert [*values(made, "start", "s")] == ["import cstore", "cstore --version", "python -c pass"]
    ratios = {(figure.name, figure.peer) for figure in made.figures if figure.ratio}
    assert ("cstore tag", CP[0]) in ratios
    assert (("podman tag", "cstore tag") in ratios) == has_peers


@pytest.mark.parametrize("options", [["--images", "0"], ["--runs", "-1"], ["--images", "many"], ["--forms", "round"]])
def test_what_makes_no_store_is_refused(tmp_path: Path, options: list[str]) -> None:
    code, _, said = run("bench_change.py", tmp_path, *options)
    assert code == 2
    assert "invalid" in said
