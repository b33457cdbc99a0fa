from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cstore.store import Store
from tests.compat.programs import require
from tests.publish.stores import listing
from tests.tools.benches import bench, values
from tools.bench_views import viewed
from tools.make_store import make_store, name_of

if TYPE_CHECKING:
    from pathlib import Path

VIEW = "a view of ten images"
KINDS = [VIEW, "its store", "a store of ten images"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_three_commands_of_podman_read_a_view_its_store_and_a_small_store(tmp_path: Path) -> None:
    require("podman", "runc", "skopeo")
    made = bench("bench_views.py", tmp_path, "--images", "20", "--runs", "1")
    sizes = values(made, "both indexes", "MB")
    assert [*sizes] == KINDS
    assert sizes[VIEW] == sizes["a store of ten images"]
    for group in ("podman image exists", "podman images -q", "podman run"):
        seconds = values(made, group, "s")
        assert sorted(seconds) == sorted(KINDS)
        assert all(value and value > 0 for one in seconds.values() for value in one)
        assert {figure.peer for figure in made.figures if figure.group == group and figure.name != VIEW and figure.unit == "s"} == {VIEW}


def test_the_store_has_the_view_meanwhile_and_is_as_before_afterwards(tmp_path: Path) -> None:
    make_store(tmp_path / "store", images=12, layers=2)
    before = listing(tmp_path / "store")
    with viewed(tmp_path / "store") as view:
        assert [image.names for image in Store.open(view).all_images()] == [(name_of(number),) for number in range(9)]
    assert listing(tmp_path / "store") == before
