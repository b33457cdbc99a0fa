"""Publishing inside a transaction that somebody else has opened."""

from __future__ import annotations

import datetime as dt
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import NotFoundError, PublishError
from cstore.publish.batch import Batch, publishing
from cstore.publish.prune import prune
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


def prepared(publisher: Publisher, place: Path) -> Path:
    """Publish two images, and return the store in a transaction."""
    for name in (OLD, TOOL):
        deep = [directory("/".join(["d"] * depth)) for depth in range(1, 40)]
        layer = tar(directory("etc"), file(f"etc/{name[-6:]}", b"h"), *deep, file(f"{'d/' * 39}x"))
        publisher.add({name: write_layout(place / name.rpartition("/")[2].replace(":", "-"), Image(layers=(layer,)))})
    return opened(publisher)


def test_what_is_published_can_be_removed_and_pruned(publisher: Publisher, tmp_path: Path) -> None:
    """Overlay lets no directory of a lower layer be renamed."""
    store = prepared(publisher, tmp_path)
    with publishing(within(store), today=DAY) as batch:
        batch.remove(OLD)
    assert (set(names(store)), problems(store), unfinished(store)) == ({TOOL}, [], [])
    pruned = prune(within(store), dt.timedelta(0), DAY)
    assert (len(list(store.glob("pool/*/*/diff"))), pruned.revision) == (1, None)
    assert publisher.machine.run("publish", NAME) == (0, "")
    assert (set(names(publisher.store)), problems(publisher.store), unfinished(publisher.store)) == ({TOOL}, [], [])
    assert publisher.check() == ""


def test_a_name_can_move(publisher: Publisher, tmp_path: Path) -> None:
    store = prepared(publisher, tmp_path)
    with publishing(within(store), today=DAY) as batch:
        batch.add(write_layout(tmp_path / "image", PLAIN), name=OLD)
    assert publisher.machine.run("publish", NAME) == (0, "")
    assert names(publisher.store)[OLD] == PLAIN.id
    assert problems(publisher.store) == unfinished(publisher.store) == []
    assert publisher.check() == ""


def test_a_removal_that_is_interrupted_is_finished_by_the_next_run(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = prepared(publisher, tmp_path)
    for number in range(1, 8):
        # Once the index is replaced, the removal has taken effect.
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt, NotFoundError):
            interrupt_unlinking(patch, number)
            with publishing(within(store), today=DAY) as batch:
                batch.remove(OLD)
        assert problems(store) == []
    prune(within(store), dt.timedelta(0), DAY)
    assert (set(names(store)), problems(store), unfinished(store)) == ({TOOL}, [], [])


def interrupt_unlinking(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the call of a number that deletes something be interrupted."""
    real, left = os.unlink, [number]

    def unlink(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - whatever is called
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        real(*arguments, **options)

    patch.setattr(os, "unlink", unlink)


def test_a_preview_refuses_what_publishing_would(publisher: Publisher, made: dict[str, str]) -> None:
    batch = Batch(within(opened(publisher)), today=DAY)
    batch.add(made["new"], name=NEW)
    with pytest.raises(PublishError, match="which a transaction cannot make"):
        batch.preview()
    batch.close()


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
