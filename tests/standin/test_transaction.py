from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.images import TIME, device, directory, file, symlink, tar
from tests.standin.seen import client, ingest, is_open, owner, revision, tree

if TYPE_CHECKING:
    from pathlib import Path

    from tools.cvmfs_standin.harness import Standin


def union(machine: Standin) -> Path:
    return machine.repository("r").union


def opened(machine: Standin) -> Path:
    assert machine.run("transaction", "r") == (0, "")
    return union(machine)


def test_what_was_touched_is_published(machine: Standin) -> None:
    assert ingest(machine, tar(directory("a"), file("a/x", b"old"), file("b"), symlink("l", "b"), directory("d"), file("d/y"))) == 0
    place = opened(machine)
    (place / "a/x").write_bytes(b"new")
    os.utime(place / "a/x", (TIME + 0.5, TIME + 0.5))
    (place / "b").unlink()
    (place / "new").write_bytes(b"1")
    (place / "new").rename(place / "l")
    shutil.rmtree(place / "d")
    (place / "d").mkdir()
    (place / "d/z").touch()
    os.chown(place / "a", 7, 8)
    (place / "a").chmod(0o700)
    assert tree(machine)["a/x"] == b"old"
    assert machine.run("publish", "r") == (0, "")
    assert (revision(machine), is_open(machine)) == (3, False)
    assert tree(machine) == {"a": "directory", "a/x": b"new", "l": b"1", "d": "directory", "d/z": b""}
    assert owner(machine, "a") == (7, 8, 0o700)
    assert (client(machine) / "a/x").stat().st_mtime == TIME


def test_between_transactions_the_union_is_read_only(machine: Standin) -> None:
    assert ingest(machine, tar(file("x", b"1"))) == 0
    assert (union(machine) / "x").read_bytes() == b"1"
    with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
        (union(machine) / "y").touch()


def test_one_transaction_at_a_time(machine: Standin) -> None:
    opened(machine)
    assert machine.run("transaction", "r") == (17, "CernVM-FS transaction error: another transaction is already open\n")
    assert machine.run("list") == (0, "r (stratum0 / local - in transaction)\n")
    assert ingest(machine, tar(file("x"))) == 1
    assert is_open(machine)
    before = time.monotonic()
    assert machine.run("transaction", "-t", "1", "r")[0] == 17
    assert time.monotonic() - before > 1
    assert machine.run("abort", "-f", "r")[0] == 0
    assert machine.run("list") == (0, "r (stratum0 / local)\n")
    assert machine.run("abort", "-f", "r")[0] == 22
    assert machine.run("publish", "r")[0] == 1
    assert revision(machine) == 1


def test_an_empty_transaction_makes_a_revision_and_a_tag(machine: Standin) -> None:
    opened(machine)
    assert machine.run("publish", "-a", "v1", "-m", "nothing new", "r")[0] == 0
    assert revision(machine) == 2
    lines = machine.run("tag", "-l", "-x", "r")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["trunk", "v1"]
    assert lines[1].endswith("nothing new")
    assert machine.costs("r")[-1]["catalogs"] == {"/": 1}
    opened(machine)
    assert machine.run("publish", "-a", "v1", "r")[0] == 1
    assert is_open(machine)


def test_the_state_of_the_publisher_stands_in_xattrs(machine: Standin) -> None:
    published = machine.repository("r").published
    assert os.getxattr(published, "user.revision") == b"1"
    before = os.getxattr(published, "user.root_hash")
    assert ingest(machine, tar(file("x"))) == 0
    assert os.getxattr(published, "user.revision") == b"2"
    assert os.getxattr(published, "user.root_hash") != before
    opened(machine)
    with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
        os.getxattr(union(machine), "user.root_hash")


def test_publish_refuses_while_the_caller_stands_in_the_union(machine: Standin) -> None:
    place = opened(machine)
    (place / "x").touch()
    assert machine.run("publish", "r", cwd=place)[0] == 1
    assert machine.run("abort", "-f", "r", cwd=place)[0] == 1
    assert is_open(machine)
    assert machine.run("publish", "r")[0] == 0
    assert tree(machine) == {"x": b""}


def test_ingest_refuses_while_the_caller_stands_in_the_union(machine: Standin) -> None:
    assert machine.run("ingest", "-t", "-", "-b", "/", "r", data=tar(file("x")), cwd=union(machine))[0] == 1
    assert (revision(machine), is_open(machine)) == (1, False)


def test_publish_refuses_while_a_file_is_open_for_writing(machine: Standin) -> None:
    place = opened(machine)
    with (place / "x").open("wb"):
        assert machine.run("publish", "r") == (1, "Open writable file descriptors on r\n")
        assert is_open(machine)
    with (place / "x").open("rb"):
        assert machine.run("publish", "r")[0] == 0


def test_a_char_device_0_0_cannot_be_made(machine: Standin) -> None:
    place = opened(machine)
    with pytest.raises(PermissionError):
        os.mknod(place / "x", stat.S_IFCHR | 0o644, os.makedev(0, 0))
    os.mknod(place / "null", stat.S_IFCHR | 0o644, os.makedev(1, 3))
    assert machine.run("publish", "r")[0] == 0
    assert tree(machine) == {"null": "char"}


def test_a_char_device_0_0_in_the_scratch_area_deletes(machine: Standin) -> None:
    assert ingest(machine, tar(file("x"), file("y"))) == 0
    opened(machine)
    os.mknod(machine.repository("r").scratch / "x", stat.S_IFCHR | 0o644, os.makedev(0, 0))
    assert machine.run("publish", "r")[0] == 0
    assert tree(machine) == {"y": b""}


def test_a_file_named_as_a_whiteout_deletes_and_is_not_stored(machine: Standin) -> None:
    assert ingest(machine, tar(file("x"), file("y"), directory("a"), file("a/z"))) == 0
    place = opened(machine)
    for name in (".wh.x", ".wh.missing", "a/.wh.z"):
        (place / name).touch()
    (place / "new").mkdir()
    (place / "new/.wh.q").touch()
    assert machine.run("publish", "r")[0] == 0
    assert tree(machine) == {"y": b"", "a": "directory", "new": "directory"}


def test_removing_a_published_whiteout_name_crashes(machine: Standin) -> None:
    assert ingest(machine, tar(directory("a"), directory("a/b"), file("a/b/.wh.x"), file("c"))) == 0
    shutil.rmtree(opened(machine) / "a")
    (union(machine) / "c").unlink()
    assert machine.run("publish", "r")[0] == 1
    assert is_open(machine)
    assert "c" in tree(machine)
    assert machine.run("abort", "-f", "r")[0] == 0
    assert machine.run("ingest", "-d", "a", "r")[0] == 0
    assert tree(machine) == {"c": b""}


def test_published_whiteouts_do_not_show_in_the_union(machine: Standin) -> None:
    assert ingest(machine, tar(directory("a"), device("a/gone", 0, 0), file("a/x"))) == 0
    place = opened(machine)
    assert not (place / "a/gone").exists()
    subprocess.run(["rm", "-rf", place / "a"], check=True)
    assert machine.run("publish", "r")[0] == 0
    assert tree(machine) == {}


def test_xattrs_are_dropped_by_default(machine: Standin) -> None:
    (opened(machine) / "x").touch()
    os.setxattr(union(machine) / "x", "user.note", b"1")
    assert machine.run("publish", "r")[0] == 0
    assert os.listxattr(client(machine) / "x") == []


def test_xattrs_of_up_to_255_bytes_are_kept_where_they_are_included(machine: Standin) -> None:
    machine.make("s", "CVMFS_INCLUDE_XATTRS=true")
    assert machine.run("transaction", "s")[0] == 0
    place = machine.repository("s").union / "d"
    place.mkdir()
    for size in (255, 256, 257):
        os.setxattr(place, f"user.n{size}", b"x" * size)
    os.setxattr(place, "user.overlay.opaque", b"y")
    os.setxattr(place, "trusted.overlay.opaque", b"y")
    assert machine.run("publish", "s")[0] == 0
    stored = machine.site.root / "client/s/d"
    assert {name: len(os.getxattr(stored, name)) for name in os.listxattr(stored)} == {
        "user.n255": 255,
        "user.n256": 0,
        "user.overlay.opaque": 1,
        "trusted.overlay.opaque": 1,
    }
    assert machine.run("transaction", "s")[0] == 0
    (machine.repository("s").union / "d/x").touch()
    assert machine.run("publish", "s")[0] == 0
    assert "user.n255" in os.listxattr(stored)


def test_hard_links_are_broken_up(machine: Standin) -> None:
    place = opened(machine)
    (place / "x").write_bytes(b"1")
    (place / "y").hardlink_to(place / "x")
    assert machine.run("publish", "r")[0] == 0
    assert tree(machine) == {"x": b"1", "y": b"1"}
    assert (client(machine) / "x").stat().st_ino != (client(machine) / "y").stat().st_ino


def test_a_file_may_become_a_directory_in_a_transaction(machine: Standin) -> None:
    assert ingest(machine, tar(file("x"))) == 0
    place = opened(machine) / "x"
    place.unlink()
    place.mkdir()
    (place / "y").touch()
    assert machine.run("publish", "r")[0] == 0
    assert (tree(machine), machine.run("check", "r")[0]) == ({"x": "directory", "x/y": b""}, 0)


def test_a_killed_ingest_leaves_its_transaction_until_it_is_aborted(machine: Standin) -> None:
    assert ingest(machine, tar(file("old"))) == 0
    assert ingest(machine.failing("ingest:2:kill"), tar(file("x"), file("y"))) == -signal.SIGKILL
    assert (revision(machine), tree(machine), is_open(machine)) == (2, {"old": b""}, True)
    assert machine.run("transaction", "r")[0] == 17
    assert machine.run("abort", "-f", "r")[0] == 0
    assert ingest(machine, tar(file("z"))) == 0
    assert (revision(machine), tree(machine)) == (3, {"old": b"", "z": b""})


def test_rollback_to_the_revision_before(machine: Standin) -> None:
    opened(machine)
    (union(machine) / "x").touch()
    assert machine.run("publish", "-a", "good", "r")[0] == 0
    assert ingest(machine, tar(file("y")), "-d", "x") == 0
    assert machine.run("tag", "-a", "bad", "r")[0] == 0
    assert machine.run("rollback", "-t", "good", "r") == (0, "")
    assert (revision(machine), tree(machine)) == (4, {"x": b""})
    assert ingest(machine, tar(file("z"))) == 0
    assert tree(machine) == {"x": b"", "z": b""}
    assert machine.run("rollback", "-t", "good", "r")[0] == 1


def test_a_tag_names_the_newest_revision_or_the_one_of_a_root_hash(machine: Standin) -> None:
    opened(machine)
    assert machine.run("tag", "-a", "no", "r") == (1, "Cannot change repository tags while in a transaction\n")
    assert machine.run("publish", "r")[0] == 0
    second = os.getxattr(machine.repository("r").published, "user.root_hash").decode()
    assert machine.run("tag", "-a", "two", "r")[0] == 0
    opened(machine)
    assert machine.run("publish", "r")[0] == 0
    assert machine.run("tag", "-a", "also-two", "-h", second, "-m", "told", "r")[0] == 0
    named = [line.split(" ")[:3] for line in machine.run("tag", "-l", "-x", "r")[1].splitlines()]
    assert [tag for tag in named if "two" in tag[0]] == [["also-two", second, "2"], ["two", second, "2"]]
    assert machine.run("tag", "-a", "none", "-h", "0" * 40, "r")[0] == 1
    assert machine.run("tag", "-a", "a b", "r") == (1, "Spaces are not allowed in tag names\n")
