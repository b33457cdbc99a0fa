from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.images import directory, file, tar
from tests.standin.seen import ingest, is_open, revision, tree

if TYPE_CHECKING:
    from tools.cvmfs_standin.harness import Standin


@pytest.mark.parametrize(("point", "published"), [("before", 2), ("during", 2), ("after", 3)])
def test_an_ingest_made_to_fail(machine: Standin, point: str, published: int) -> None:
    failing = machine.failing(f"ingest:2:{point}")
    assert ingest(failing, tar(directory("a"), file("a/x"))) == 0
    assert ingest(failing, tar(file("a/y"), file("z")), "-d", "a/x") == 1
    assert (revision(machine), is_open(machine)) == (published, False)
    assert set(tree(machine)) == ({"a", "a/x"} if published == 2 else {"a", "a/y", "z"})
    assert ingest(failing, tar(file("w"))) == 0
    assert revision(machine) == published + 1


@pytest.mark.parametrize(("point", "published"), [("before", 1), ("during", 1), ("after", 2)])
def test_a_publish_made_to_fail(machine: Standin, point: str, published: int) -> None:
    assert machine.run("transaction", "r")[0] == 0
    (machine.repository("r").union / "x").touch()
    assert machine.failing(f"publish:*:{point}").run("publish", "r")[0] == 1
    assert (revision(machine), is_open(machine)) == (published, published == 1)


def test_any_verb_and_several_plans(machine: Standin) -> None:
    calls = len(machine.calls())
    failing = machine.failing(f"*:{calls + 2}:before,tag:*:before")
    assert [failing.run(*call)[0] for call in (("list",), ("list",), ("list",), ("tag", "-l", "r"))] == [0, 1, 0, 1]


def test_a_plan_that_is_none(machine: Standin) -> None:
    assert machine.failing("ingest:first").run("list")[0] == 1


def test_all_calls_are_logged(machine: Standin) -> None:
    assert machine.run("mkfs", "-u", "gw", "-o", "CVMFS_INCLUDE_XATTRS=true", "s") == (0, "")
    assert machine.run("mkfs", "s")[0] == 1
    assert machine.run("tag", "-l", "r")[0] == 0
    made = ["mkfs", "-u", "gw", "-o", "CVMFS_INCLUDE_XATTRS=true", "s"]
    assert machine.calls() == [made, ["mkfs", "s"], ["tag", "-l", "r"]]
    assert machine.repository("s").has_gateway
    assert machine.run("list") == (0, "r (stratum0 / local)\ns (stratum0 / gw)\n")
