"""Publishing inside a transaction that somebody else has opened."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cstore.errors import PublishError
from cstore.publish.batch import Batch, publishing
from cstore.publish.within import within
from tests.images import Image, directory, file, symlink, tar, write_layout
from tests.publish.cvmfs import NAME, STORE, Publisher
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import DAY, IMAGES, NEW, OLD, TOOL

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Image(layers=(tar(directory("etc"), file("etc/motd", b"hello\n", uid=7)), tar(file("etc/more"), symlink("l", "etc/more"))))


def opened(publisher: Publisher) -> Path:
    """Open a transaction, and return where the store is in it."""
    assert publisher.machine.run("transaction", NAME)[0] == 0
    return publisher.machine.repository(NAME).union / STORE


def test_layers_without_devices_are_written_and_the_caller_publishes(publisher: Publisher, tmp_path: Path) -> None:
    store = opened(publisher)
    with publishing(within(store), today=DAY) as batch:
        batch.add(write_layout(tmp_path / "image", PLAIN), name=NEW)
    assert batch.receipt is not None
    assert (batch.receipt.layers, batch.receipt.revision) == (2, None)
    assert (publisher.revision, publisher.is_open, publisher.verbs) == (1, True, ["transaction"])
    assert publisher.machine.run("publish", NAME) == (0, "")
    assert publisher.revision == 2
    assert names(publisher.store) == {NEW: PLAIN.id}
    assert problems(publisher.store) == unfinished(publisher.store) == []
    assert (publisher.store / "pool").is_dir()
    assert publisher.check() == ""


def test_a_layer_with_devices_is_refused_before_anything_is_written(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    store = opened(publisher)
    batch = Batch(within(store), today=DAY)
    batch.add(write_layout(tmp_path / "image", PLAIN), name=OLD)
    batch.add(made["new"], name=NEW)
    with pytest.raises(PublishError) as raised:
        batch.publish()
    batch.close()
    assert re.fullmatch(
        r"pool/../[0-9a-f]{64}: expected a layer of files, directories and links, found 5 whiteouts or devices, which a transaction "
        r"cannot make; add the image with cvmfs:// instead",
        str(raised.value),
    )
    assert not store.exists()
    assert publisher.is_open


def test_layers_that_are_in_the_repository_already_may_have_devices(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["new"]})
    with publishing(within(opened(publisher)), today=DAY) as batch:
        batch.add(made["new"], name=NEW)
        batch.add(made["tool"], name=TOOL)
        batch.remove(OLD)
    assert publisher.machine.run("publish", NAME) == (0, "")
    assert names(publisher.store) == {NEW: IMAGES["new"].id, TOOL: IMAGES["tool"].id}
    assert problems(publisher.store) == unfinished(publisher.store) == []
    assert publisher.check() == ""


def test_the_caller_may_abort(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"]})
    with publishing(within(str(opened(publisher))), today=DAY) as batch:
        batch.add(made["tool"], name=TOOL)
    assert publisher.machine.run("abort", "-f", NAME)[0] == 0
    assert set(names(publisher.store)) == {OLD}
    assert (publisher.revision, problems(publisher.store)) == (2, [])


def test_nothing_to_do_writes_nothing(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["tool"]})
    store = opened(publisher)
    with publishing(within(store), today=DAY) as batch:
        batch.add(made["tool"], name=OLD)
    assert list(publisher.machine.repository(NAME).scratch.iterdir()) == []
    assert within(store).readers_root == store


def test_without_a_transaction_nothing_can_be_written(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"]})
    with (
        pytest.raises(PublishError, match="Read-only file system"),
        publishing(within(publisher.machine.repository(NAME).union / STORE), today=DAY) as batch,
    ):
        batch.add(made["tool"], name=TOOL)
    assert (publisher.revision, set(names(publisher.store))) == (2, {OLD})
