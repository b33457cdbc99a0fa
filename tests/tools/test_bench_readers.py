from __future__ import annotations

import json
import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.compat.programs import require
from tests.tools.benches import bench, values
from tools.bench_readers import write_kinds
from tools.figures import compared
from tools.make_store import make_store, name_of
from tools.measure import Took, figures_of
from tools.readings import not_tried

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ["as cstore writes", "empty locks", "DUCC's records", "DUCC's records, empty locks", "fewest members"]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@ROOT_ONLY
def test_three_commands_of_podman_read_each_kind_of_store(tmp_path: Path) -> None:
    require("podman", "runc", "skopeo")
    made = bench("bench_readers.py", tmp_path, "--images", "2", "--runs", "1")
    sizes = values(made, "both indexes", "MB")
    assert [*sizes] == KINDS
    for group in ("podman image exists", "podman images -q", "podman run"):
        seconds = values(made, group, "s")
        assert sorted(seconds) == sorted(KINDS)
        assert all(value and value > 0 for one in seconds.values() for value in one)
        assert {figure.peer for figure in made.figures if figure.group == group and figure.name != KINDS[0] and figure.unit == "s"} == {
            KINDS[0]
        }
    assert "podman" in made.about


def test_a_store_that_was_not_tried_is_a_peer_without_a_value() -> None:
    """A peer that takes too long does not keep the others from being told."""
    took = {
        "fewest members": Took(seconds=None, cpu_seconds=1.0, kilobytes=1),
        "empty locks": Took(seconds=1.0, cpu_seconds=1.0, kilobytes=1),
    }
    tried = figures_of(took, group="podman images -q", x=10_000, peers=dict.fromkeys(took, KINDS[0]))
    told = compared([*tried, *not_tried({KINDS[0]: ""}, "podman images -q", 10_000)])
    assert {(figure.name, figure.unit): (figure.value, figure.ratio) for figure in told if figure.unit != "MB"} == {
        **{("fewest members", unit): (None, None) for unit in ("s", "CPU s")},
        **{("empty locks", unit): (1.0, None) for unit in ("s", "CPU s")},
        **{(KINDS[0], unit): (None, None) for unit in ("s", "CPU s")},
    }


def test_kinds_differ_in_what_they_are_called_for(tmp_path: Path) -> None:
    make_store(tmp_path / "store", images=2, layers=2)
    sizes = write_kinds(tmp_path / "store", tmp_path / "kinds")
    read = {kind: _indexes(tmp_path / "kinds" / kind) for kind in KINDS}
    locks = {kind: {path.stat().st_size for path in (tmp_path / "kinds" / kind).glob("*.lock")} for kind in KINDS}
    assert locks == {kind: {0} if "empty" in kind else {64} for kind in KINDS}
    assert all([image["names"] for image in images] == [[name_of(0)], [name_of(1)]] for images, _ in read.values())
    counts = {kind: len(layers) for kind, (_, layers) in read.items()}
    # Two layers that both images have, and one of each.
    assert counts == dict.fromkeys(KINDS, 4) | dict.fromkeys(KINDS[2:4], 6)
    assert set(read["DUCC's records"][1][1]) == {
        *("id", "parent", "created"),
        *("compressed-diff-digest", "compressed-size", "diff-digest", "diff-size"),
    }
    for _, layers in read.values():
        assert all("parent" not in below or below["parent"] for below in layers)
        assert all(above.get("parent", below["id"]) in {layer["id"] for layer in layers} for below, above in pairwise(layers))
    assert sizes["fewest members"] < sizes[KINDS[0]] == sizes[KINDS[1]]
    assert (tmp_path / "kinds" / KINDS[1] / "overlay-images-images.json").read_bytes() == (
        tmp_path / "store/overlay-images/images.json"
    ).read_bytes()


def _indexes(kind: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    images, layers = (json.loads((kind / f"overlay-{name}-{name}.json").read_bytes()) for name in ("images", "layers"))
    return images, layers
