"""The same images give the same store, whoever makes it, where, when, and with which umask."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.compat.programs import cstore, run
from tests.compat.trees import Row, differences, rows

if TYPE_CHECKING:
    from tests.compat.conftest import Images

NAMES = ("by_umoci", "layers", "sibling", "topless", "sparse")


def compared(store: Path) -> dict[str, Row]:
    """Return the rows of a store, with the times of what the images hold only."""
    return {path: row if {"diff"} & set(path.split("/")) else row.without_mtime() for path, row in rows(store).items()}


def test_two_stores_made_apart_are_equal_in_every_file(form: str, images: Images, tmp_path: Path) -> None:
    for place in ("first", "elsewhere/second"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        for image in NAMES:
            cstore("add", tmp_path / place, getattr(images, image).source, "--name", f"localhost/{image}:1", "--layout", form)
    first = compared(tmp_path / "first")
    assert len(first) > 500
    assert differences(first, compared(tmp_path / "elsewhere/second")) == []


def test_umask_changes_nothing(form: str, images: Images, tmp_path: Path) -> None:
    script = "import os, sys; os.umask(int(sys.argv.pop(1), 8)); from cstore.cli import main; main()"
    for umask in ("022", "077"):
        run(
            sys.executable, "-c", script, umask, "add", tmp_path / umask, images.sibling.source, "--name", "localhost/s:1", "--layout", form
        )
    assert differences(compared(tmp_path / "022"), compared(tmp_path / "077")) == []
    assert {row.mode for path, row in compared(tmp_path / "077").items() if "/diff/" not in path and row.kind == "-"} == {"0644"}


def test_adding_what_is_there_writes_nothing(form: str, images: Images, tmp_path: Path) -> None:
    command = ("add", tmp_path / "store", images.sibling.source, "--name", "localhost/sibling:1", "--layout", form)
    cstore(*command)
    before = rows(tmp_path / "store")
    assert cstore(*command) == "localhost/sibling:1: already there\n"
    assert differences(before, rows(tmp_path / "store")) == []


def test_removing_and_pruning_all_leaves_no_layer(form: str, images: Images, tmp_path: Path) -> None:
    store = tmp_path / "store"
    cstore("add", store, images.layers.source, "--name", "localhost/layers:1", "--layout", form)
    cstore("remove", store, "localhost/layers:1")
    cstore("prune", store, "--grace", "0d")
    left = {Path(path).name for path, row in rows(store).items() if row.kind != "d"}
    assert left - {".cvmfscatalog"} == {"cstore.json", "images.json", "images.lock", "layers.json", "layers.lock"}
