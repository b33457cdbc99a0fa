from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from cstore.delta import Delta, ReplaceIndex, file_of
from cstore.errors import PublishError, StoreError
from cstore.model.layout import IMAGES_INDEX, IMAGES_LOCK, Form
from cstore.publish.batch import publishing
from cstore.publish.directory import apply, is_interrupted, is_vacant, writing
from cstore.store import Store
from tests.publish.soundness import is_visible, names, problems, unfinished
from tests.publish.stores import DAY, FORMS, NEW, OLD, SCENARIOS, Scenario, copy, exact, listing, sources
from tools.crashes.changes import CHANGES
from tools.crashes.disturbance import Kind
from tools.crashes.trial import Disturbed, Trial

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.value)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_prefix_of_a_delta_leaves_a_sound_store(tmp_path: Path, scenario: Scenario, form: Form) -> None:
    made = sources(tmp_path / "images")
    first = tmp_path / "store"
    scenario.prepare(first, made, form)
    before = names(first)
    with scenario.planned(first, made, form) as delta:
        total = len(delta.steps)
    seen = []
    for count in range(total + 1):
        root = tmp_path / f"store-{count}"
        if first.exists():
            copy(first, root)
        root.mkdir(exist_ok=True)
        with scenario.planned(root, made, form) as delta:
            apply(Delta(delta.steps[:count]), root)
        if before or count >= 2:
            assert is_visible(root)
            assert problems(root) == []
        seen.append(names(root))
    assert unfinished(root) == []
    after = seen[-1]
    changes = [seen[at] for at in range(len(seen)) if at == 0 or seen[at] != seen[at - 1]]
    assert changes == ([before, after] if before != after else [before])


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.value)
def test_the_umask_makes_no_difference(tmp_path: Path, form: Form) -> None:
    made = sources(tmp_path / "images")
    former = os.umask(0o022)
    try:
        for umask in (0o022, 0o077, 0o000):
            os.umask(umask)
            with publishing(tmp_path / f"{umask:03o}", form=form, today=DAY) as batch:
                batch.add(made["new"], name=NEW)
    finally:
        os.umask(former)
    expected = listing(tmp_path / "022")
    assert listing(tmp_path / "077") == expected
    assert listing(tmp_path / "000") == expected
    assert problems(tmp_path / "077") == []
    assert stat.S_IMODE((tmp_path / "077").stat().st_mode) == 0o755


def test_a_store_is_made_where_nothing_is_or_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert is_vacant(tmp_path / "empty")
    assert is_vacant(tmp_path / "none")
    (tmp_path / "empty" / ".cstore-work").mkdir()
    assert is_vacant(tmp_path / "empty")
    assert is_interrupted(tmp_path / "empty")
    assert not is_interrupted(tmp_path / "none")


@pytest.mark.parametrize("place", ["full", "file", "none/below", "file/below", "loop", "dangling"])
def test_no_store_is_made_anywhere_else(tmp_path: Path, place: str) -> None:
    made = sources(tmp_path / "images")
    (tmp_path / "full" / "thing").mkdir(parents=True)
    (tmp_path / "file").write_text("precious")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("elsewhere")
    before = exact(tmp_path)
    with pytest.raises(StoreError), publishing(tmp_path / place) as batch:
        batch.add(made["new"], name=NEW)
    assert exact(tmp_path) == before


def test_a_missing_directory_above_is_told(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"none/below: expected a directory above it, found none$"):
        is_vacant(tmp_path / "none" / "below")


def test_a_link_to_a_stores_directory_is_that_store(tmp_path: Path) -> None:
    made = sources(tmp_path / "images")
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")
    with publishing(tmp_path / "link", today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    assert list(names(tmp_path / "store")) == [NEW]
    assert (tmp_path / "link").is_symlink()


def test_what_was_made_for_nothing_is_gone(tmp_path: Path) -> None:
    with pytest.raises(KeyError), writing(tmp_path / "store"):
        raise KeyError
    assert not (tmp_path / "store").exists()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which lets a system call fail")
@pytest.mark.parametrize(
    ("call", "of", "kind"),
    [
        ("fchmod", "podmanStore>, ", Kind.EIO),
        ("fchmod", "podmanStore/overlay>, ", Kind.KILL),
        ("fcntl", ".cstore-work/lock>", Kind.EIO),
        ("openat", ".cstore-work/lock>", Kind.ENOSPC),
    ],
    ids=["its mode", "killed before a mode", "its lock", "the file of its lock"],
)
def test_a_store_that_was_begun_and_not_ended_troubles_nobody(tmp_path: Path, call: str, of: str, kind: Kind) -> None:
    change = next(change for change in CHANGES if change.name == "add to nothing")
    trial = Trial.prepare(change, Form.DIRECT, "directory", tmp_path / "trial")
    point = next(point for point in trial.points if point.call == call and of in point.shown)
    outcome = trial.attempt(Disturbed(point, kind), "000001")
    assert (outcome.has_happened, outcome.wrong) == (True, ())


def test_an_empty_delta_makes_nothing(tmp_path: Path) -> None:
    apply(Delta(), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_more_than_the_disk_holds_is_not_begun(tmp_path: Path) -> None:
    before = exact(tmp_path)
    step = file_of("a/b", b"")
    huge = type(step)(path=step.path, size=1 << 60, open=step.open)
    with pytest.raises(PublishError, match=f"expected {1 << 60} bytes of free space, found "):
        apply(Delta((huge,)), tmp_path)
    assert exact(tmp_path).keys() == before.keys()


@pytest.mark.parametrize("room", ["overlay", "overlay/l", "overlay-layers", "overlay-images"])
def test_what_would_be_written_through_a_symlink_is_refused_before_the_first_step(tmp_path: Path, made: dict[str, str], room: str) -> None:
    with publishing(tmp_path / "store", today=DAY) as batch:
        batch.add(made["old"], name=OLD)
    (tmp_path / "store" / room).rename(tmp_path / "room")
    (tmp_path / "store" / room).symlink_to(tmp_path / "room")
    before = listing(tmp_path / "store")
    with pytest.raises(PublishError, match=rf"store/{room}: expected a directory of the store"), publishing(tmp_path / "store") as batch:
        batch.add(made["new"], name=NEW)
    assert listing(tmp_path / "store") == before, "nothing is left that keeps others from writing"


def test_a_delta_that_would_stop_every_reader_is_refused(tmp_path: Path, made: dict[str, str]) -> None:
    root = tmp_path / "store"
    with publishing(root) as batch:
        batch.add(made["old"], name=OLD)
    before = exact(root)
    store = Store.open(root)
    twice = store.images.edited({}, [b'{"id":"%s","names":["%s"]}' % (b"f" * 64, OLD.encode())])
    delta = Delta((ReplaceIndex(path=IMAGES_INDEX, lock_path=IMAGES_LOCK, data=twice.data, lock=twice.lock),))
    with pytest.raises(PublishError, match=rf'expected "{OLD}" at one image, found it at several \(spec V3\); nothing was published$'):
        apply(delta, root)
    assert {path: row for path, row in exact(root).items() if path} == {path: row for path, row in before.items() if path}
