"""Stores are repaired wherever they are, with one revision in CernVM-FS and none where nothing is to be mended."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from cstore.delta import Delta, Remove
from cstore.errors import StoreError
from cstore.publish.batch import publishing
from cstore.publish.repair import repair
from cstore.verification.store import verify
from tests.publish.cvmfs import STORE
from tests.publish.stores import DAY, NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path

    from tests.publish.cvmfs import Publisher

GRACE = dt.timedelta(days=14)


def codes(root: Path) -> list[str]:
    return sorted({problem.code for problem in verify(root)})


def test_a_sound_store_stays_as_it_is(tmp_path: Path, made: dict[str, str]) -> None:
    with publishing(tmp_path / "store", today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    before = exact(tmp_path / "store")
    assert not repair(tmp_path / "store", GRACE, DAY).delta
    assert exact(tmp_path / "store") == before


def test_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="expected an image store"):
        repair(tmp_path / "nothing", GRACE, DAY)


def test_what_belongs_to_nothing_stays_for_the_grace_period(tmp_path: Path, made: dict[str, str]) -> None:
    root = tmp_path / "store"
    with publishing(root, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    (root / "overlay/l/NOBODY").symlink_to("../nowhere/diff")
    today = dt.datetime.now(tz=dt.UTC).date()
    assert not repair(root, GRACE, today + dt.timedelta(days=13)).delta
    assert [step.path for step in repair(root, GRACE, today + dt.timedelta(days=14)).delta] == ["overlay/l/NOBODY"]


def test_a_store_in_a_repository_is_mended_in_one_revision(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"], NEW: made["new"]})
    layer = next(publisher.store.glob("pool/*/*/lower")).parent
    place = str(layer.resolve().relative_to(publisher.newest.resolve()))
    publisher.publish_something(f"{place}/lower", b"l/nobody")
    publisher.publish_something(f"{STORE}/overlay-images/images.lock", b"")
    publisher.publish_something(f"{STORE}/overlay-layers/{'f' * 64}.tar-split.gz", b"")
    assert codes(publisher.store) == ["V55", "V74", "V83"]
    before = publisher.revision
    done = repair(publisher.place(), GRACE, dt.date(2100, 1, 1))
    assert (done.revision, publisher.revision) == (before + 1, before + 1)
    assert codes(publisher.store) == []
    assert repair(publisher.place(), GRACE, dt.date(2100, 1, 1)).revision is None
    assert publisher.check() == ""


def test_a_base_in_a_repository_gets_its_empty_directory(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({NEW: made["new"]})
    empty = str(next(publisher.store.glob("pool/*/*/empty")).relative_to(publisher.store))
    publisher.place().publish(lambda: Delta((Remove(path=empty),)))
    assert codes(publisher.store) == ["V66"]
    assert [step.path for step in repair(publisher.place(), GRACE, DAY).delta] == [empty]
    assert codes(publisher.store) == []
