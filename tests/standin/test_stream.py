from __future__ import annotations

import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.images import END, directory, file, header, tar
from tests.standin.seen import cut, ingest, is_open, revision, tree

if TYPE_CHECKING:
    from tools.cvmfs_standin.harness import Standin

WHOLE = tar(directory("a"), file("a/x", b"x" * 2000))


def test_a_stream_that_ends_at_an_entry_boundary_is_published(machine: Standin) -> None:
    assert ingest(machine, cut(WHOLE)) == 0
    assert (revision(machine), set(tree(machine))) == (2, {"a", "a/x"})


@pytest.mark.parametrize(
    "stream",
    [
        cut(WHOLE)[:-512],
        cut(WHOLE)[:700],
        cut(WHOLE) + b"\xff" * 4096,
        b"\xff" * 4096,
        cut(WHOLE) + b"\0" * 100,
        header(b"s", kind=tarfile.GNUTYPE_SPARSE) + END,
    ],
    ids=["in the content", "in a header", "then garbage", "only garbage", "in the last zeros", "unknown kind"],
)
def test_a_broken_stream_publishes_nothing(machine: Standin, stream: bytes) -> None:
    assert ingest(machine, tar(file("old"))) == 0
    assert ingest(machine, stream) == 1
    assert (revision(machine), tree(machine), is_open(machine)) == (2, {"old": b""}, False)


def test_what_follows_the_zeros_does_not_matter(machine: Standin) -> None:
    assert ingest(machine, WHOLE + b"\xff" * 700) == 0
    assert revision(machine) == 2


@pytest.mark.parametrize("stream", [b"", tar()], ids=["no byte", "only zeros"])
def test_an_empty_stream_makes_an_empty_revision(machine: Standin, stream: bytes) -> None:
    assert ingest(machine, stream) == 0
    assert (revision(machine), tree(machine)) == (2, {})


def test_nothing_is_seen_before_the_stream_ends(machine: Standin) -> None:
    process = machine.start("ingest", "-t", "-", "-b", "/", "r", stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(cut(WHOLE))
    process.stdin.flush()
    while not is_open(machine):
        assert process.poll() is None
    assert (revision(machine), tree(machine)) == (1, {})
    assert machine.run("ingest", "-t", "-", "-b", "/", "r", data=WHOLE) == (
        1,
        "CernVM-FS transaction error: another transaction is already open\nImpossible to start a transaction\n",
    )
    assert machine.run("abort", "-f", "r")[0] == 22
    assert is_open(machine)
    process.communicate(END)
    assert process.returncode == 0
    assert (revision(machine), is_open(machine)) == (2, False)
