"""Symlinks that leave a store lead no farther than the repository that holds it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cstore.files import kind_of
from cstore.origin import Origin

if TYPE_CHECKING:
    from pathlib import Path

READERS = "/cvmfs/r.example.org"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    store = tmp_path / "spool/store"
    (store / "overlay/x").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    trees = tmp_path / "spool/.layers"
    trees.mkdir()
    (trees / "tree").mkdir()
    (trees / "file").write_bytes(b"text")
    (trees / "inner").symlink_to("tree")
    (trees / "climbs").symlink_to("../../outside")
    (trees / "absolute").symlink_to(f"{READERS}/.layers/tree")
    (trees / "away").symlink_to("/etc")
    (trees / "loop").symlink_to("loop")
    os.mkfifo(trees / "fifo")
    return Origin.of(store, f"{READERS}/store")


CASES = (
    ("../../../.layers/tree", "a directory"),
    ("../../../.layers/file", "a file"),
    ("../../../.layers/none", "nothing"),
    ("../../../.layers/inner", "a directory"),
    ("../../../.layers/./inner//.", "a directory"),
    ("../../../.layers/absolute", "a directory"),
    (f"{READERS}/.layers/tree", "a directory"),
    (f"{READERS}/.layers/absolute", "a directory"),
    (READERS, "a directory"),
    (f"{READERS}-other/.layers/tree", "outside"),
    ("../../../.layers/climbs", "outside"),
    ("../../../.layers/away", "outside"),
    ("../../../.layers/loop", "a symlink"),
    ("../../../../outside", "outside"),
    ("/etc", "outside"),
    ("", "a directory"),
    ("../../../.layers/tree/../file", "a file"),
    ("../../../.layers/none/../file", "a file"),
    ("x" * 5000, "nothing"),
)


@pytest.mark.parametrize(("target", "found"), CASES, ids=[case[0][:40] or "empty" for case in CASES])
def test_where_a_symlink_leads(origin: Origin, target: str, found: str) -> None:
    mode = origin.kind_at(origin.inside("overlay/x"), target)
    assert ("outside" if mode is None else kind_of(mode) if mode else "nothing") == found


def test_its_own_path_is_the_repository_s_too(origin: Origin) -> None:
    assert origin.find(origin.inside("overlay/x"), f"{origin.root}/.layers/tree") == [".layers", "tree"]


@pytest.mark.parametrize(("name", "data"), [("file", b"text"), ("tree", None), ("fifo", None), ("away", None), ("none", None)])
def test_only_what_is_inside_is_opened(origin: Origin, name: str, data: bytes | None) -> None:
    file = origin.open(origin.inside("overlay/x"), f"../../../.layers/{name}")
    assert (file is None) == (name in ("fifo", "away", "none"))
    if file is not None:
        assert data is None or os.read(file, 10) == data
        os.close(file)


def test_the_repository_is_what_is_marked_as_one(tmp_path: Path) -> None:
    store = tmp_path / "repository/groups/one/store"
    store.mkdir(parents=True)
    assert Origin.of(store, str(store)).root == tmp_path / "repository/groups/one"
    os.setxattr(tmp_path / "repository", "user.fqrn", b"r.example.org")
    found = Origin.of(store, f"{READERS}/groups/one/store")
    assert (found.root, found.readers_root, found.store) == (tmp_path / "repository", READERS, ("groups", "one", "store"))


def test_readers_may_mount_just_the_store(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    assert Origin.of(store, "/images").readers_root == str(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("owner", "root"), [(0, ""), (1234, "store")])
def test_what_lies_beside_a_store_counts_only_if_it_belongs_to_the_same_owner(tmp_path: Path, owner: int, root: str) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (tmp_path / "beside").write_bytes(b"of another one")
    os.chown(store, owner, owner)
    origin = Origin.of(store, str(store))
    assert origin.root == tmp_path / root
    assert (origin.kind_at(origin.inside(""), "../beside") is None) == bool(root)
