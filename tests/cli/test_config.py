from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from tests.cli.program import call
from tests.publish.stores import OLD

if TYPE_CHECKING:
    from pathlib import Path


def test_it_names_the_store(store: Path) -> None:
    told = tomllib.loads(call("config", store).out)["storage"]
    assert told["driver"] == "overlay"
    assert told["options"] == {"additionalimagestores": [str(store)]}
    assert ("graphroot" in told) == (os.geteuid() == 0)


def test_a_relative_location_becomes_absolute(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.parent)
    assert str(store) in call("config", store.name).out


def test_with_fuse_overlayfs(store: Path) -> None:
    told = tomllib.loads(call("config", store, "--fuse-overlayfs").out)["storage"]
    assert told["options"]["overlay"] == {"mount_program": "/usr/bin/fuse-overlayfs"}


@pytest.mark.parametrize("name", ["a,b", 'a"b', "a\\b", "a\nb", "a\udcffb"])
def test_a_path_that_podman_cannot_use_is_told(tmp_path: Path, made: dict[str, str], name: str) -> None:
    root = tmp_path / name
    with publishing(root) as batch:
        batch.add(made["tool"], name=OLD)
    done = call("config", root)
    assert done.code == 3
    assert "expected a path without commas, quotes, backslashes and control characters" in done.err


def test_a_view(store: Path) -> None:
    call("view", "create", store, "team", "--match", "*/team/*")
    told = tomllib.loads(call("config", store, "--view", "team").out)["storage"]
    assert told["options"] == {"additionalimagestores": [f"{store}/views/team"]}
    assert call("config", store / "views/team").out == call("config", store, "--view", "team").out


def test_a_view_that_is_none_or_goes_is_not_told(store: Path) -> None:
    said = f'cstore: {store}: expected a view "team", found none\n'
    assert (call("config", store, "--view", "team").code, call("config", store, "--view", "team").err) == (3, said)
    call("view", "create", store, "team", "--match", "*/team/*")
    call("view", "remove", store, "team")
    assert call("config", store, "--view", "team").err == said


def test_without_a_store_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert call("config", tmp_path).code == 3
