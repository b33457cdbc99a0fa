"""Where an index is lost, whatever it may have named stays; where members are written in another case, nothing is lost."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from cstore.publish.repair import repair
from cstore.verification.store import verify
from tests.publish.stores import exact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.verification.target import Target

LATER = dt.date(2100, 1, 1)
INDEXES = ("layers", "images")


def written(data: bytes) -> Callable[[Path], object]:
    return lambda index: index.write_bytes(data)


def another_kind(index: Path) -> None:
    index.unlink()
    index.mkdir()


def without_room(index: Path) -> None:
    index.parent.rename(index.parent.with_name("away"))


def dangling_room(index: Path) -> None:
    without_room(index)
    index.parent.symlink_to("nowhere")


def dangling(index: Path) -> None:
    index.unlink()
    index.symlink_to("nowhere")


LOSSES: dict[str, Callable[[Path], object]] = {
    "missing": lambda index: index.unlink(),
    "empty": written(b""),
    "null": written(b"null"),
    "an object": written(b"{}"),
    "garbage": written(b"[{"),
    "marked": lambda index: index.write_bytes(b"\xef\xbb\xbf" + index.read_bytes()),
    "a directory": another_kind,
    "dangling": dangling,
    "without its room": without_room,
    "in a room that is dangling": dangling_room,
}


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_removed_nor_changed_where_an_index_is_lost(target: Target, name: str, loss: str) -> None:
    target.edit_image(lambda record: record["names"].append(target.bystander["names"][0]))
    (target.layer(target.top) / "work").mkdir()
    (target.root / "overlay/l/NOBODY").symlink_to("../nowhere/diff")
    LOSSES[loss](target.index(name))
    before = exact(target.root)
    repair(target.root, dt.timedelta(0), LATER)
    assert exact(target.root) == before


@pytest.mark.parametrize("name", INDEXES)
def test_the_lock_of_the_other_index_is_mended(target: Target, name: str) -> None:
    for lock in INDEXES:
        target.lock(lock).write_bytes(b"")
    target.index(name).write_bytes(b"")
    (other,) = set(INDEXES) - {name}
    assert [step.path for step in repair(target.root, dt.timedelta(0), LATER).delta] == [f"overlay-{other}/{other}.json"]


def test_an_empty_array_is_no_loss(target: Target) -> None:
    target.write("images", b"[]")
    assert {step.path.partition("/")[0] for step in repair(target.root, dt.timedelta(0), LATER).delta} == {"cstore.json", "overlay-images"}


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("member", ["Id", "ID"])
def test_a_record_whose_id_is_written_otherwise_stays(target: Target, name: str, member: str) -> None:
    data = target.index(name).read_bytes().replace(b'"id":', f'"{member}":'.encode())
    target.write(name, data)
    before = exact(target.root)
    assert not repair(target.root, dt.timedelta(0), LATER).delta
    assert exact(target.root) == before


def test_members_written_otherwise_are_mended_where_they_stand(target: Target) -> None:
    records = [{member.upper(): value for member, value in record.items()} for record in target.records("images")]
    records[0]["NAMES"], records[0]["unknown"] = ["victim"], {"a": 1}
    target.index("images").write_bytes(json.dumps(records).encode())
    repair(target.root, dt.timedelta(0), LATER)
    found = target.records("images")
    assert found == [{**records[0], "NAMES": ["docker.io/library/victim:latest"]}, *records[1:]]
    assert list(verify(target.root, deep=True)) == []
