"""A store in which podman keeps containers is neither repaired nor pruned."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import pytest

from cstore.errors import StoreError
from cstore.mend.containers import refuse_containers
from cstore.publish.prune import prune
from cstore.publish.repair import repair
from tests.cli.program import call
from tests.publish.stores import exact

if TYPE_CHECKING:
    from pathlib import Path

    from tests.verification.target import Target

LISTS = ("overlay-containers/containers.json", "overlay-containers/volatile-containers.json", "overlay-layers/volatile-layers.json")
NOW = dt.timedelta(0)
TODAY = dt.date(2100, 1, 1)


def write(root: Path, path: str, data: bytes) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_bytes(data)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"[ ]\n"])
def test_empty_lists_are_no_containers(tmp_path: Path, path: str, data: bytes) -> None:
    refuse_containers(tmp_path)
    write(tmp_path, path, data)
    refuse_containers(tmp_path)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("data", [b'[{"id":"a","layer":"b"}]', b"garbage"])
def test_nothing_is_done_where_there_are_some(target: Target, path: str, data: bytes) -> None:
    write(target.root, path, data)
    (target.layer(target.top) / "work").mkdir()
    (target.root / ".cstore-work").mkdir()
    before = exact(target.root)
    said = rf"{target.root / path}: expected an additional store, in which podman keeps no containers, found {len(data)} bytes about some$"
    for change in (repair, prune):
        with pytest.raises(StoreError, match=said):
            change(target.root, NOW, TODAY)
    for arguments in (("repair", "--dry-run"), ("prune", "--dry-run"), ("repair",), ("prune",)):
        assert call(arguments[0], target.root, *arguments[1:]).code == 3
    assert exact(target.root) == before


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "overlay-containers").mkdir()
    os.mkfifo(tmp_path / LISTS[0])
    with pytest.raises(StoreError, match="found a fifo"):
        refuse_containers(tmp_path)


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "overlay-containers").mkdir()
    (tmp_path / LISTS[0]).symlink_to("containers.json")
    with pytest.raises(StoreError, match=r"found a symlink$"):
        refuse_containers(tmp_path)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../../etc/passwd"])
def test_no_symlink_is_followed_out_of_the_store(tmp_path: Path, target: str) -> None:
    (tmp_path / "overlay-containers").mkdir()
    (tmp_path / LISTS[0]).symlink_to(target)
    with pytest.raises(StoreError, match=r"found a symlink$"):
        refuse_containers(tmp_path)


def test_a_directory_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "overlay-containers").symlink_to("/etc")
    with pytest.raises(StoreError, match=r"found a symlink that cannot be entered at overlay-containers$"):
        refuse_containers(tmp_path)
