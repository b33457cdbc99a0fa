"""A store is read as it is: whatever cannot be read of it is told, and the rest is there."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from cstore.errors import StoreError
from cstore.model.layout import Form
from cstore.verification.reading import Reading, read_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.verification.target import Target


def read(root: Path) -> Reading:
    with ExitStack() as opened:
        return read_store(root, str(root), opened)


def told(reading: Reading) -> list[str]:
    return [str(problem) for problem in reading.problems]


def test_a_sound_store(target: Target) -> None:
    reading = read(target.root)
    assert told(reading) == []
    assert [len(reading.images), len(reading.layers), len(reading.survey.layers)] == [2, 4, 4]
    assert reading.survey.form is Form.DIRECT
    assert reading.files["images"].data == target.index("images").read_bytes()


def absent_index(target: Target) -> None:
    target.index("images").unlink()


def empty_index(target: Target) -> None:
    target.index("images").write_bytes(b"")


def index_of_null(target: Target) -> None:
    target.index("images").write_bytes(b"null")


@pytest.mark.parametrize("plant", [absent_index, empty_index, index_of_null])
def test_indexes_without_records_are_no_mistake(target: Target, plant: Callable[[Target], None]) -> None:
    plant(target)
    reading = read(target.root)
    assert [problem for problem in reading.problems if problem.code != "V75"] == []
    assert reading.images == []
    assert len(reading.layers) == 4


def index_is_a_fifo(target: Target) -> None:
    target.index("images").unlink()
    os.mkfifo(target.index("images"))


def index_is_a_symlink(target: Target) -> None:
    target.index("images").unlink()
    target.index("images").symlink_to("/etc/hostname")


def index_is_text(target: Target) -> None:
    target.write("images", b'"text"')


CASES = (
    (index_is_a_fifo, "V1 overlay-images/images.json: expected a file with an array, found a fifo"),
    (index_is_a_symlink, "V1 overlay-images/images.json: expected a file with an array, found a symlink"),
    (index_is_text, 'V1 overlay-images/images.json: expected an array, found "text"'),
)


@pytest.mark.parametrize(("plant", "problem"), CASES, ids=[case[0].__name__ for case in CASES])
def test_an_index_that_cannot_be_read_hides_nothing_else(target: Target, plant: Callable[[Target], None], problem: str) -> None:
    plant(target)
    reading = read(target.root)
    assert problem in told(reading)
    assert reading.images == []
    assert len(reading.layers) == 4


def test_without_a_room_its_lock_is_missing(target: Target) -> None:
    (target.root / "overlay-images").rename(target.root / "away")
    assert told(read(target.root)) == ["V5 overlay-images/images.lock: expected a lock file, found no directory overlay-images"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _root: None, "expected an image store, found: No such file or directory"),
        (lambda root: root.write_bytes(b""), "expected an image store, found: Not a directory"),
        (lambda root: root.mkdir(), "expected an image store, found a directory without overlay-images and overlay-layers"),
    ],
    ids=["nothing", "file", "directory"],
)
def test_what_is_no_store_is_an_error(tmp_path: Path, make: Callable[[Path], object], said: str) -> None:
    root = tmp_path / "store"
    make(root)
    with pytest.raises(StoreError) as raised:
        read(root)
    assert str(raised.value) == f"{root}: {said}"
