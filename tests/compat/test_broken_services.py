"""A podman that goes on running while the store changes: it looks at the locks to learn of that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cstore.verification.store import verify
from tests.compat.bench import Bench
from tests.compat.mounts import read_only
from tests.compat.podman import Podman, service
from tests.compat.programs import require, run
from tests.verification.target import BYSTANDER, VICTIM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    require("podman", "runc", "busybox")
    with Bench(tmp_path) as made:
        yield made


def listed(address: str) -> set[str]:
    images = json.loads(run("podman", "--remote", "--url", address, "images", "--format=json"))
    return {name for image in images for name in image["Names"]}


@pytest.mark.parametrize(
    ("lock", "found", "codes"),
    [
        ("that of the index", {VICTIM}, []),
        ("as it was", {VICTIM, BYSTANDER}, ["V75"]),
        # So it is with podman up to 4.3, at the price of reading the index at each look; later ones would see no change.
        ("empty", {VICTIM}, ["V74"]),
    ],
)
def test_service_learns_of_a_change_by_the_lock(bench: Bench, tmp_path: Path, lock: str, found: set[str], codes: list[str]) -> None:
    target = bench.prepare(None)
    if lock == "empty":
        target.lock("images").write_bytes(b"")
    before = target.lock("images").read_bytes()
    with (
        read_only(bench.store, tmp_path / "mounted") as mounted,
        Podman(mounted) as podman,
        service(podman) as address,
    ):
        assert listed(address) == {VICTIM, BYSTANDER}
        target.write_records("images", [target.image])
        if lock != "that of the index":
            target.lock("images").write_bytes(before)
        assert listed(address) == found
        assert [problem.code for problem in verify(bench.store, image=VICTIM)] == codes
