from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from cstore.publish.directory import writing
from cstore.verification.quiet import Watch
from tests.publish.stores import DAY, NEW, OLD, sources

if TYPE_CHECKING:
    from pathlib import Path

WORK = ".cstore-work"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root, made = tmp_path / "store", sources(tmp_path / "images")
    with publishing(root, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
        batch.add(made["new"], name=NEW)
    return root


def remove(root: Path) -> None:
    with publishing(root, today=DAY) as batch:
        batch.remove(NEW)


def test_a_store_at_which_nobody_works_is_quiet(store: Path) -> None:
    watch = Watch.of(store)
    assert watch.is_quiet()
    assert watch.is_same()


def test_a_store_that_has_changed_is_another(store: Path) -> None:
    watch = Watch.of(store)
    remove(store)
    assert not watch.is_quiet()
    assert not watch.is_same()
    assert Watch.of(store).is_quiet()


def test_while_a_writer_is_at_work_no_store_is_quiet(store: Path) -> None:
    with writing(store):
        watch = Watch.of(store)
        assert not watch.is_quiet()
        assert watch.is_same()
    assert not watch.is_quiet(), "it was there"
    assert watch.is_same()


def test_what_an_interrupted_writer_left_stays_as_it_is(store: Path) -> None:
    (store / WORK).mkdir()
    watch = Watch.of(store)
    assert watch.is_quiet()
    (store / WORK / "lock").touch()
    assert watch.is_quiet()
    os.mkfifo(store / WORK / "lock-that-is-none")
    (store / WORK / "lock-that-is-none").rename(store / WORK / "lock")
    assert watch.is_quiet()


def test_where_nothing_is_nothing_changes(tmp_path: Path) -> None:
    assert Watch.of(tmp_path / "none").is_quiet()
