from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.images import TIME, device, directory, fifo, file, hardlink, symlink, tar
from tests.standin.seen import client, ingest, is_open, owner, revision, tree

if TYPE_CHECKING:
    from tools.cvmfs_standin.harness import Standin


def test_char_device_0_0_is_kept(machine: Standin) -> None:
    assert ingest(machine, tar(directory("a"), device("a/gone", 0, 0), fifo("a/pipe"), device("a/null", 1, 3))) == 0
    assert tree(machine) == {"a": "directory", "a/gone": "char", "a/pipe": "fifo", "a/null": "char"}
    assert (client(machine) / "a/gone").stat().st_rdev == 0


def test_a_file_named_as_a_whiteout_is_an_ordinary_file(machine: Standin) -> None:
    assert ingest(machine, tar(file("x", b"1"), file(".wh.x"))) == 0
    assert tree(machine) == {"x": b"1", ".wh.x": b""}


def test_xattrs_are_dropped(machine: Standin) -> None:
    assert ingest(machine, tar(file("x", b"1", xattrs={"user.note": b"kept"}))) == 0
    assert os.listxattr(client(machine) / "x") == []


def test_attributes_of_an_existing_directory_stay(machine: Standin) -> None:
    assert ingest(machine, tar(directory("a", 0o700, uid=7, gid=8))) == 0
    before = (client(machine) / "a").stat().st_mtime
    assert ingest(machine, tar(directory("a", 0o755, uid=9, gid=9, mtime=5), file("a/b"))) == 0
    assert owner(machine, "a") == (7, 8, 0o700)
    assert (client(machine) / "a").stat().st_mtime == before == TIME


def test_owners_modes_and_whole_seconds(machine: Standin) -> None:
    assert ingest(machine, tar(file("x", b"", 0o4755, uid=7, gid=8, mtime=TIME + 0.75), symlink("l", "x", uid=7, gid=8))) == 0
    assert owner(machine, "x") == (7, 8, 0o4755)
    assert owner(machine, "l") == (7, 8, 0o777)
    assert (client(machine) / "x").stat().st_mtime == TIME


def test_without_k_the_repository_owner_owns_all(machine: Standin) -> None:
    assert machine.run("ingest", "-t", "-", "-b", "store", "r", data=tar(file("a/x", b"", uid=7)))[0] == 0
    assert [owner(machine, path)[:2] for path in ("store", "store/a", "store/a/x")] == [(0, 0)] * 3


def test_with_k_a_directory_without_an_entry_belongs_to_nobody(machine: Standin) -> None:
    assert machine.run("ingest", "-k", "-t", "-", "-b", "store", "r", data=tar(file("a/x", b"")))[0] == 0
    assert owner(machine, "store") == owner(machine, "store/a") == (65534, 65534, 0o755)


def test_a_directory_entry_after_its_content_is_ignored(machine: Standin) -> None:
    assert ingest(machine, tar(file("a/x"), directory("a", 0o700))) == 0
    assert owner(machine, "a") == (65534, 65534, 0o755)


def test_hard_links_are_broken_up(machine: Standin) -> None:
    assert ingest(machine, tar(hardlink("early", "x"), file("x", b"same", uid=7), hardlink("late", "./x"))) == 0
    assert tree(machine) == {"early": b"same", "x": b"same", "late": b"same"}
    assert len({(client(machine) / name).stat().st_ino for name in tree(machine)}) == 3
    assert owner(machine, "late") == owner(machine, "x")


@pytest.mark.parametrize(
    "stream",
    [
        tar(hardlink("a", "missing")),
        tar(file("x"), file("x")),
        tar(file("x"), symlink("x", "y")),
        tar(file("../x")),
        tar(file(".cvmfs/x")),
        tar(file(".cvmfsbundles")),
        tar(symlink("a/.cvmfscatalog", "x")),
    ],
    ids=["link to nothing", "name twice", "name twice, other kind", "outside", "virtual directory", "bundles", "marker that is no file"],
)
def test_what_it_refuses(machine: Standin, stream: bytes) -> None:
    assert ingest(machine, stream) == 1
    assert (revision(machine), tree(machine), is_open(machine)) == (1, {}, False)


def test_names_with_a_dot_or_a_slash_in_front(machine: Standin) -> None:
    assert ingest(machine, tar(directory("./"), directory("./a"), file("/a/x"))) == 0
    assert tree(machine) == {"a": "directory", "a/x": b""}


@pytest.mark.parametrize("new", [file("x", b"new"), symlink("x", "new")], ids=["file", "symlink"])
@pytest.mark.parametrize("old", [(file("x"),), (symlink("x", "y"),), (directory("x"), file("x/y"))], ids=["file", "symlink", "directory"])
def test_file_or_symlink_in_the_place_of_anything(machine: Standin, old: tuple[bytes, ...], new: bytes) -> None:
    assert ingest(machine, tar(*old)) == 0
    assert ingest(machine, tar(new)) == 0
    assert tree(machine)["x"] in (b"new", "-> new")
    assert len(tree(machine)) == 1
    assert machine.run("check", "r")[0] == 0


@pytest.mark.parametrize("streams", [(tar(file("x")), tar(file("x/y"))), (tar(file("x"), file("x/y")),)], ids=["published", "in one tar"])
def test_a_file_that_becomes_a_directory_breaks_the_repository(machine: Standin, streams: tuple[bytes, ...]) -> None:
    assert [ingest(machine, stream) for stream in streams] == [0] * len(streams)
    assert machine.run("check", "r")[0] == 1
    assert ingest(machine, tar(file("other")), "-d", "x") == 0
    assert machine.run("check", "r")[0] == 1
    assert machine.costs("r")[-1]["broken"]


def test_deleting_and_adding_are_one_revision(machine: Standin) -> None:
    assert ingest(machine, tar(directory("a"), file("a/x"), file("b"), file("c"))) == 0
    assert ingest(machine, tar(file("d")), "-d", "a", "-d", "b", "-d", "missing") == 0
    assert (revision(machine), tree(machine)) == (3, {"c": b"", "d": b""})


def test_deleting_alone(machine: Standin) -> None:
    assert ingest(machine, tar(file("a:b"), file("a"), file("b"))) == 0
    assert machine.run("ingest", "-d", "a:b", "r")[0] == 0
    assert tree(machine) == {"a:b": b""}


@pytest.mark.parametrize("added", [file("a/x"), directory("a"), file("a")], ids=["below", "directory", "file"])
def test_one_path_deleted_and_added_fails(machine: Standin, added: bytes) -> None:
    assert ingest(machine, tar(directory("a"), file("a/x"))) == 0
    assert ingest(machine, tar(added), "-d", "a") == 1
    assert (revision(machine), tree(machine)) == (2, {"a": "directory", "a/x": b""})


@pytest.mark.parametrize(
    "options",
    [("-t", "-", "-b", "."), ("-t", "-", "-b", ""), ("-b", "/"), ("-t", "-"), ("-t", "/missing", "-b", "/"), (), ("--what",)],
    ids=" ".join,
)
def test_options_that_do_not_fit(machine: Standin, options: tuple[str, ...]) -> None:
    assert machine.run("ingest", *options, "r", data=tar(file("x")))[0] == 1
    assert (revision(machine), is_open(machine)) == (1, False)


def test_unknown_repository(machine: Standin) -> None:
    assert machine.run("ingest", "-d", "x", "other")[0] == 1


def test_too_many_new_catalogs_fail(machine: Standin) -> None:
    with machine.repository("r").config.open("a") as config:
        config.write("STANDIN_MAX_NESTED_CATALOGS=3\n")
    two = [directory("a"), file("a/.cvmfscatalog"), directory("b"), file("b/.cvmfscatalog")]
    assert ingest(machine, tar(*two, directory("c"), file("c/.cvmfscatalog"))) == 1
    assert ingest(machine, tar(*two)) == 0
    assert ingest(machine, tar(*two, directory("c"), file("c/.cvmfscatalog"))) == 0


def test_graft_files_vanish(machine: Standin) -> None:
    assert ingest(machine, tar(file(".cvmfsgraft-x"), file(".cvmfsautocatalog"))) == 0
    assert tree(machine) == {".cvmfsautocatalog": b""}


def test_a_catalog_at_the_base(machine: Standin) -> None:
    assert machine.run("ingest", "--catalog", "-t", "-", "-b", "store", "r", data=tar())[0] == 0
    assert tree(machine) == {"store": "directory", "store/.cvmfscatalog": b""}


def test_a_tar_in_a_file(machine: Standin) -> None:
    place = machine.site.root / "x.tar"
    place.write_bytes(tar(file("x", b"1")))
    assert machine.run("ingest", "-t", str(place), "-b", "/", "r")[0] == 0
    assert tree(machine) == {"x": b"1"}


def test_long_names_and_links(machine: Standin) -> None:
    name, text = "n" * 150, "t" * 300
    assert ingest(machine, tar(file(name, b"1"), symlink("l", text), file("ü".encode("latin-1"), b"2"))) == 0
    assert tree(machine) == {name: b"1", "l": f"-> {text}", "\udcfc": b"2"}
