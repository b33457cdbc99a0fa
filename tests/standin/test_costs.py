from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from tests.images import directory, file, tar
from tests.standin.seen import ingest, revision, tree
from tools.cvmfs_standin.draft import chunks

if TYPE_CHECKING:
    from tools.cvmfs_standin.harness import Standin

STORE = tar(
    directory("s"),
    file("s/.cvmfscatalog"),
    directory("s/a"),
    file("s/a/.cvmfscatalog"),
    file("s/a/x", b"12"),
    directory("s/b"),
    file("s/b/.cvmfscatalog"),
    directory("t"),
)


def test_dirty_catalogs_are_those_from_the_change_to_the_root(machine: Standin) -> None:
    assert ingest(machine, STORE) == 0
    assert ingest(machine, tar(file("s/a/y", b"345"), file("s/a/z", b"12"))) == 0
    first, second = machine.costs("r")
    assert first["catalogs"] == {"/": 3, "s": 4, "s/a": 3, "s/b": 2}
    assert second["catalogs"] == {"/": 3, "s": 4, "s/a": 5}
    assert (second["catalogs_dirtied"], second["catalog_entries"]) == (3, 12)
    assert (second["entries_written"], second["bytes_written"]) == (2, 5)
    assert (second["objects"], second["object_bytes"]) == (1, 3)
    assert machine.run("ingest", "-d", "s/b", "r")[0] == 0
    third = machine.costs("r")[-1]
    assert (third["entries_removed"], third["catalogs"]) == (2, {"/": 3, "s": 3})


def test_an_ingest_tells_how_long_it_took_its_stream_and_waited_for_it(machine: Standin) -> None:
    assert ingest(machine, tar(file("x", b"1"), file("y", b"2"))) == 0
    assert machine.run("ingest", "-d", "x", "r")[0] == 0
    first, second = (cost["seconds"] for cost in machine.costs("r"))
    assert 0 < first["stream_waited"] <= first["stream"]
    assert second == {}


def test_a_large_file_is_chunked_in_a_transaction_only(machine: Standin) -> None:
    content = random.Random(1).randbytes(20 << 20)  # noqa: S311 - no secret
    assert ingest(machine, tar(file("x", content))) == 0
    assert machine.run("transaction", "r")[0] == 0
    (machine.repository("r").union / "x").write_bytes(content)
    assert machine.run("publish", "r")[0] == 0
    first, second = machine.costs("r")
    assert (first["objects"], first["chunks"]) == (1, 0)
    assert 2 <= second["objects"] == second["chunks"] <= 5


def test_one_changed_kilobyte_is_one_new_chunk() -> None:
    content = random.Random(2).randbytes(50 << 20)  # noqa: S311 - no secret
    changed = content[: 30 << 20] + bytes(1000) + content[(30 << 20) + 900 :]
    before, after = [list(chunks([text])) for text in (content, changed)]
    assert b"".join(after) == changed
    assert all(4 << 20 <= len(part) <= 16 << 20 for part in after[:-1])
    assert 1 <= len(set(after) - set(before)) <= 2


def test_unchanged_files_are_shared_by_all_trees(machine: Standin) -> None:
    assert ingest(machine, STORE) == 0
    for number in range(4):
        assert ingest(machine, tar(file(f"n{number}"))) == 0
    trees = list((machine.repository("r").storage / "trees").iterdir())
    assert len(trees) == 2
    assert len({os.stat(place / "root/s/a/x").st_ino for place in trees}) == 1  # noqa: PTH116 - a number is wanted
    assert revision(machine) == 6
    assert len(tree(machine)) == 12
