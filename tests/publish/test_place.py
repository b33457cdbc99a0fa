"""What places of each kind say of themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cstore.delta import Delta, file_of
from cstore.model.layout import Form
from cstore.publish.place import DirectoryPlace, Published
from cstore.publish.within import within
from tests.publish.cvmfs import STORE, Publisher
from tests.publish.stores import NEW, exact

if TYPE_CHECKING:
    import pytest

    from cstore.publish.place import Place


def test_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place: Place = DirectoryPlace(Path("store"))
    assert (place.root, place.readers_root) == (Path("store"), tmp_path / "store")
    assert (place.form, place.keeps_xattrs, place.is_vacant()) == (Form.DIRECT, True, True)
    Path("store").mkdir()
    assert place.is_vacant()
    Path("store/x").touch()
    assert not place.is_vacant()
    assert str(place.owners) == str(DirectoryPlace(tmp_path).owners)


def test_a_directory_is_written_only_if_there_is_something_to_do(tmp_path: Path) -> None:
    place = DirectoryPlace(tmp_path / "store")
    assert place.publish(Delta) == Published(delta=Delta())
    assert not place.root.exists()
    plans: list[int] = []

    def plan() -> Delta:
        plans.append(len(plans))
        return Delta((file_of("a", b"1"),))

    done = place.publish(plan)
    assert (done.revision, done.root_hash, done.streamed, plans) == (None, None, 0, [0, 1])
    assert (place.root / "a").read_bytes() == b"1"
    before = exact(place.root)
    place.publish(Delta)
    assert exact(place.root) == before


def test_a_repository(publisher: Publisher, made: dict[str, str]) -> None:
    place: Place = publisher.place()
    assert (place.form, place.keeps_xattrs, place.is_vacant(), place.owners.as_in_image) == (Form.SHARDED, False, True, True)
    publisher.publish_something(f"{STORE}/.cvmfscatalog", b"")
    assert place.is_vacant()
    publisher.publish_something(f"{STORE}/file")
    assert not place.is_vacant()
    publisher.publish_something("a-file")
    assert not publisher.place(path="a-file").is_vacant()
    publisher.add({NEW: made["new"]}, path="other")
    assert not publisher.place(path="other").is_vacant()


def test_a_transaction(tmp_path: Path) -> None:
    place: Place = within(tmp_path / "store")
    assert (place.root, place.form, place.keeps_xattrs, place.is_vacant()) == (tmp_path / "store", Form.SHARDED, True, True)
    assert place.owners.as_in_image == (os.geteuid() == 0)
