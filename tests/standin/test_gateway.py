from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.images import device, directory, fifo, file, tar
from tests.standin.seen import cut, is_open, owner, revision, tree
from tools.cvmfs_standin.harness import Standin, standin
from tools.cvmfs_standin.leases import overlap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARKER = tar(file(".cvmfscatalog"))
LAYER = tar(directory("l"), device("l/gone", 0, 0), fifo("l/pipe"), file("l/x"))


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Standin]:
    """Yield one of the hosts that publish through a gateway."""
    if os.geteuid() != 0:
        pytest.skip("the stand-in mounts and makes devices, which needs root")
    with standin(tmp_path / "site") as made:
        host = made.on("one")
        host.make("r", upstream="gw")
        yield host


def put(machine: Standin, base: str, stream: bytes, *options: str) -> int:
    code, said = machine.run("ingest", *options, "-t", "-", "-b", base, "r", data=stream)
    print(said)  # noqa: T201 - pytest shows it where a test fails
    return code


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def opened(machine: Standin, base: str) -> subprocess.Popen[bytes]:
    """Start an ingest that waits for the rest of its stream."""
    process = machine.start("ingest", "-t", "-", "-b", base, "r", stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(cut(tar(file("from-" + (machine.site.host or "root")))))
    process.stdin.flush()
    while not is_open(machine) or not machine.repository("r").flag.read_text():
        assert process.poll() is None
    return process


def test_disjoint_bases_in_parallel(one: Standin) -> None:
    two = one.on("two")
    assert put(one, "/", tar(directory("a"), directory("b"))) == 0
    first, second = opened(one, "a"), opened(two, "b")
    for process in (second, first):
        process.communicate()
        assert process.returncode == 0
    assert revision(one) == 4
    assert tree(one) == {"a": "directory", "a/from-one": b"", "b": "directory", "b/from-two": b""}
    assert put(two, "b", tar(file("again"))) == 0
    assert tree(one) == {"a": "directory", "a/from-one": b"", "b": "directory", "b/from-two": b"", "b/again": b""}


def test_a_busy_lease_fails_before_the_stream_is_read(one: Standin) -> None:
    two = one.on("two")
    process = opened(one, "store")
    for base in ("store", "store2", "/"):
        code, told = two.run("ingest", "-t", "-", "-b", base, "r", data=b"x" * 10_000_000)
        assert code == 1
        assert "lease path busy" in told
    other = two.start("ingest", "-t", "-", "-b", "store", "r", stdin=subprocess.PIPE)
    assert other.stdin
    with pytest.raises(BrokenPipeError):
        other.stdin.write(b"x" * 10_000_000)
    other.communicate()
    assert other.returncode == 1
    assert two.run("transaction", "r/store")[0] == 16
    assert not is_open(two)
    process.communicate()
    assert process.returncode == 0


def test_leases_are_compared_as_text() -> None:
    assert overlap("r/podmanStore", "r/podmanStore2")
    assert overlap("r/podmanstore/a", "r/podmanStore")
    assert overlap("r/pod_anStore", "r/podmanStore")
    assert overlap("r/", "r/a")
    assert not overlap("r/a", "r/b")
    assert not overlap("r/a/b", "r/a/c")


def test_the_second_ingest_of_one_host_fails(one: Standin) -> None:
    process = opened(one, "a")
    code, told = one.run("ingest", "-t", "-", "-b", "b", "r", data=tar())
    assert code == 1
    assert "cannot establish writable mountpoint" in told
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("base", ["missing/store", "/store", "."])
def test_bases_that_fail(one: Standin, base: str) -> None:
    assert put(one, base, tar(file("x"))) == 1
    assert (revision(one), is_open(one)) == (1, False)


def test_a_base_that_is_a_file_publishes_nothing(one: Standin) -> None:
    assert put(one, "/", tar(file("store"))) == 0
    assert put(one, "store", tar(file("x"))) == 0
    assert (revision(one), tree(one), is_open(one)) == (2, {"store": b""}, False)


def test_special_files_are_dropped_where_no_catalog_existed(one: Standin) -> None:
    assert put(one, "store", cut(MARKER) + LAYER, "-k") == 0
    assert set(tree(one)) == {"store", "store/.cvmfscatalog", "store/l", "store/l/x"}
    assert owner(one, "store")[0] == 4294967294


@pytest.mark.parametrize("base", ["store", "/"])
def test_special_files_arrive_in_or_above_a_catalog_that_existed(one: Standin, base: str) -> None:
    assert put(one, "store", MARKER) == 0
    assert owner(one, "store")[0] == 0
    assert put(one, base, LAYER, "-k") == 0
    assert {tree(one)[path] for path in tree(one) if path.endswith(("gone", "pipe"))} == {"char", "fifo"}


def test_one_deletion_a_call(one: Standin) -> None:
    assert put(one, "/", tar(directory("store"), file("store/a"), file("store/b"))) == 0
    assert one.run("ingest", "-d", "store/a", "-d", "store/b", "r")[0] == 1
    assert put(one, "store", tar(), "-d", "store/a") == 1
    assert one.run("ingest", "-d", "store/a", "r")[0] == 0
    assert (revision(one), tree(one)) == (3, {"store": "directory", "store/b": b""})


@pytest.mark.parametrize(("own", "code"), [((), 1), ((file("l/.cvmfscatalog"),), 0)], ids=["no catalog", "own catalog"])
def test_deleting_special_files_that_have_no_catalog_of_their_own_corrupts(one: Standin, own: tuple[bytes, ...], code: int) -> None:
    assert put(one, "store", MARKER) == 0
    assert put(one, "store", cut(tar(directory("l"), *own)) + tar(device("l/gone", 0, 0))) == 0
    assert one.run("ingest", "-d", "store/l", "r")[0] == 0
    assert one.run("check", "r")[0] == code


def test_the_publishers_own_mount_is_stale_until_its_next_transaction(one: Standin) -> None:
    published = one.repository("r").published
    assert put(one, "/", tar(file("x"))) == 0
    assert (revision(one), os.getxattr(published, "user.revision"), names(published)) == (2, b"1", [])
    assert put(one, "/", tar(file("y"))) == 0
    assert (revision(one), os.getxattr(published, "user.revision"), names(published)) == (3, b"2", ["x"])
    assert put(one.on("two"), "/", tar(file("z"))) == 0
    assert put(one.on("two"), "/", tar(file("z"))) == 0
    assert names(published) == ["x"]
    assert set(tree(one)) == {"x", "y", "z"}


def test_a_transaction_through_a_gateway(one: Standin) -> None:
    assert put(one, "/", tar(directory("store"))) == 0
    assert one.run("transaction", "r/store")[0] == 0
    assert put(one.on("two"), "store", tar(file("x"))) == 1
    (one.repository("r").union / "store/y").touch()
    assert one.run("publish", "r")[0] == 0
    assert tree(one) == {"store": "directory", "store/y": b""}
    assert put(one.on("two"), "store", tar(file("x"))) == 0
    assert one.run("transaction", "r/missing/store")[0] == 2
    assert one.run("transaction", "r/store/y/z")[0] == 20


def test_updates_get_lost_where_hosts_retry_at_once(one: Standin) -> None:
    with one.repository("r").config.open("a") as config:
        config.write("STANDIN_LOST_UPDATES=true\n")
    two = one.on("two")
    assert put(one, "store", MARKER) == 0
    time.sleep(1)
    assert put(one, "store", tar(file("a"))) == 0
    assert put(two, "store", tar(file("b"))) == 0
    assert set(tree(one)) == {"store", "store/.cvmfscatalog", "store/b"}
    time.sleep(1)
    assert put(one, "store", tar(file("c"))) == 0
    assert set(tree(one)) == {"store", "store/.cvmfscatalog", "store/b", "store/c"}


def test_a_lease_that_runs_out(one: Standin) -> None:
    with one.repository("r").config.open("a") as config:
        config.write("STANDIN_LEASE_SECONDS=0.5\n")
    process = opened(one, "store")
    time.sleep(0.6)
    process.communicate()
    assert process.returncode == 1
    assert (revision(one), is_open(one)) == (1, False)


def test_ended_by_sigterm_it_leaves_nothing(one: Standin) -> None:
    process = opened(one, "store")
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()
    assert process.returncode == 1
    assert (revision(one), is_open(one)) == (1, False)
    assert put(one.on("two"), "store", tar(file("x"))) == 0


def test_killed_it_leaves_lease_and_lock(one: Standin) -> None:
    process = opened(one, "store")
    process.kill()
    process.communicate()
    assert is_open(one)
    assert put(one.on("two"), "store", tar(file("x"))) == 1
    assert one.run("abort", "-f", "r")[0] == 0
    assert put(one.on("two"), "store", tar(file("x"))) == 0
    assert put(one, "store", tar(file("y"))) == 0
    assert tree(one) == {"store": "directory", "store/x": b"", "store/y": b""}


def test_without_a_gateway_there_is_one_publisher(one: Standin) -> None:
    one.make("local")
    assert one.run("ingest", "-d", "x", "local")[0] == 1
