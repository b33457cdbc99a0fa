"""A repository in which somebody else publishes too: cstore's own programs, and others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cstore.errors import PublishError
from tests.images import Image, file, tar, write_layout
from tests.publish.cvmfs import NAME, Publisher, published, when_streaming
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import IMAGES, NEW, OLD, TOOL

CHECKOUT = Path(__file__).parents[2]
LATE = 'sleep 0.4; exec "$@"'
"""A script that begins each call late."""


def ended(publisher: Publisher) -> bool:
    """Whether all is fine with the repository, and no transaction is open."""
    return (problems(publisher.store), unfinished(publisher.store), publisher.check(), publisher.is_open) == ([], [], "", False)


def test_what_somebody_publishes_between_planning_and_streaming_is_planned_from(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"]})

    def other(number: int) -> None:
        if number == 2:
            publisher.add({TOOL: made["tool"]})

    done, times = published(publisher.unknown.place(), {NEW: made["new"]}, other)
    assert (times, done.revision, publisher.revision) == (3, 4, 4)
    assert names(publisher.store) == {OLD: IMAGES["old"].id, NEW: IMAGES["new"].id, TOOL: IMAGES["tool"].id}
    assert ended(publisher)


def test_what_somebody_publishes_while_the_stream_begins_is_planned_from(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"]})
    progress = when_streaming(lambda: publisher.add({TOOL: made["tool"]}))
    receipt = publisher.unknown.through(LATE).add({NEW: made["new"]}, progress)
    assert (receipt.revision, publisher.revision) == (4, 4)
    assert set(names(publisher.store)) == {OLD, NEW, TOOL}
    assert ended(publisher)


def test_a_transaction_that_is_open_is_reported_and_left_alone(publisher: Publisher, made: dict[str, str]) -> None:
    assert publisher.machine.run("transaction", NAME)[0] == 0
    with pytest.raises(PublishError) as raised:
        publisher.add({OLD: made["old"]})
    spool = publisher.site.spool / NAME
    assert str(raised.value) == (
        f"cvmfs_server ingest {NAME}: expected it to publish, found exit code 1: CernVM-FS transaction error: another transaction is "
        f"already open Impossible to start a transaction; somebody else is publishing: `ls -l {spool}` shows since when and as whom. "
        "cstore never ends a transaction that it did not open; --wait SECONDS waits for it"
    )
    assert publisher.is_open
    assert publisher.verbs == ["transaction", "ingest"]
    assert publisher.machine.run("abort", "-f", NAME)[0] == 0
    assert (publisher.revision, list(publisher.newest.iterdir())) == (1, [])


def test_a_transaction_that_is_open_is_waited_for(publisher: Publisher, made: dict[str, str]) -> None:
    assert publisher.machine.run("transaction", NAME)[0] == 0
    (publisher.machine.repository(NAME).union / "theirs").touch()
    timer = threading.Timer(1, lambda: subprocess.run([*publisher.command, "publish", NAME], check=True, cwd="/"))
    timer.start()
    receipt = publisher.add({OLD: made["old"]}, wait=30)
    timer.join()
    assert (receipt.revision, publisher.revision) == (3, 3)
    assert "abort" not in publisher.verbs
    assert (publisher.newest / "theirs").exists()
    assert ended(publisher)


def test_waiting_has_an_end(publisher: Publisher, made: dict[str, str]) -> None:
    assert publisher.machine.run("transaction", NAME)[0] == 0
    start = time.monotonic()
    with pytest.raises(PublishError, match="somebody else is publishing"):
        publisher.add({OLD: made["old"]}, wait=1)
    assert 1 <= time.monotonic() - start < 60
    assert publisher.is_open


def test_two_programs_at_once_both_publish(publisher: Publisher, made: dict[str, str]) -> None:
    programs = [
        subprocess.Popen(
            [sys.executable, "-m", "cstore", "add", publisher.location, made[tag], "--name", name],
            cwd=CHECKOUT,
            env={**os.environ, **publisher.environment},
            stderr=subprocess.PIPE,
        )
        for tag, name in (("old", OLD), ("new", NEW))
    ]
    for program in programs:
        _, told = program.communicate()
        assert program.returncode == 0, told
    assert publisher.revision == 3
    assert names(publisher.store) == {OLD: IMAGES["old"].id, NEW: IMAGES["new"].id}
    assert ended(publisher)


def test_remains_that_no_index_names_are_replaced(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    publisher.add({TOOL: write_layout(tmp_path / "tool", Image(layers=(tar(file("t")),)))})
    base = IMAGES["new"].diff_ids[0].removeprefix("sha256:")
    remains = publisher.store / "pool" / base[:2] / base
    publisher.publish_something(str((remains / "diff/etc/motd/nonsense").relative_to(publisher.newest)))
    receipt = publisher.add({NEW: made["new"]})
    assert (receipt.layers, publisher.revision, publisher.verbs[-2:]) == (2, 5, ["ingest", "ingest"])
    assert (remains / "diff/etc/motd").read_bytes() == b"hello\n"
    assert ended(publisher)
