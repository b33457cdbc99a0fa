"""Views wherever a store is: in a directory, also when a change is killed, and in CernVM-FS, where they are in the same revision."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

import cstore
from cstore.errors import PublishError, StoreError
from cstore.index.lock import request
from cstore.model.layout import Form
from cstore.publish import directory
from cstore.publish.batch import publishing
from cstore.publish.prune import prune
from cstore.publish.views import create_view, list_views, remove_view
from cstore.verification.problem import Reach
from cstore.verification.store import verify
from tests.publish.cvmfs import STORE, Publisher, markers, publishing_machine
from tests.publish.stores import DAY, NEW, OLD, TOOL, copy, listing
from tools.crashes.calls import points
from tools.crashes.disturbance import Kind, Recording, disturbance
from tools.crashes.run import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = dt.timedelta(0)
NOT_AT_ONCE = ("V75", "V101", "V102")
"""What is wrong for a moment: a lock follows its index, and a view its store."""
AS_MANY = int(os.environ.get("CRASH_POINTS", "4"))
"""Moments tried for each change."""


def unsound(root: Path) -> list[str]:
    """Return what is wrong with a store or its view, but for what readers never miss."""
    found = list(verify(root))
    if (root / "views/team/overlay-images/images.json").exists():
        found += verify(root / "views/team")
    return [str(problem) for problem in found if problem.reach is not Reach.NOTE and problem.code not in NOT_AT_ONCE]


def shown(root: Path) -> list[str]:
    """Return the names that a view shows."""
    return sorted(name for image in cstore.Store.open(root / "views/team").all_images() for name in image.names)


@pytest.fixture
def viewed(tmp_path: Path, made: dict[str, str]) -> Path:
    """A store of two images with a view of one of them."""
    root = tmp_path / "store"
    with publishing(root, form=Form.SHARDED, today=DAY) as batch:
        batch.add(made["tool"], name=TOOL)
        batch.add(made["old"], name=OLD)
    create_view(root, "team", ["*/team/app:*"], DAY)
    return root


def test_every_change_carries_the_view(viewed: Path, made: dict[str, str]) -> None:
    with publishing(viewed, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    assert shown(viewed) == [OLD, NEW]
    with publishing(viewed, today=DAY) as batch:
        batch.tag(TOOL, NEW)
        batch.remove(OLD)
    assert shown(viewed) == [NEW]
    (view,) = list_views(viewed)
    assert (view.images, view.layers, view.retired, view.root) == (1, 3, 2, viewed / "views/team")
    prune(viewed, NOW, DAY)
    (view,) = list_views(viewed)
    assert (view.layers, view.retired) == (1, 0)
    assert list(verify(viewed, deep=True)) == []


def test_a_view_made_first_or_last_is_the_same(viewed: Path, tmp_path: Path, made: dict[str, str]) -> None:
    other = tmp_path / "other"
    with publishing(viewed, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    with publishing(other, form=Form.SHARDED, today=DAY) as batch:
        batch.add(made["tool"], name=TOOL)
        batch.add(made["old"], name=OLD)
        batch.add(made["new"], name=NEW)
    create_view(other, "team", ["*/team/app:*"], DAY)
    assert listing(viewed) == listing(other)


def test_a_view_that_was_pruned_since_planning_is_planned_anew(viewed: Path) -> None:
    with publishing(viewed, today=DAY) as batch:
        batch.tag(OLD, "localhost/kept:1")
        batch.remove(OLD)
    with publishing(viewed, today=DAY) as batch:
        batch.tag("localhost/kept:1", OLD)
        assert batch.plan(), "with the layers that are retired in the view"
        prune(viewed, NOW, DAY)
    assert shown(viewed) == [OLD]
    assert list(verify(viewed)) == []


def test_a_view_is_not_written_through_a_symlink_and_the_store_is_as_it_was(viewed: Path, tmp_path: Path) -> None:
    (viewed / "views").rename(tmp_path / "views")
    (viewed / "views").symlink_to("../views")
    before = listing(tmp_path)
    for name in ("team", "more"):
        with pytest.raises(StoreError, match=r"store/views: expected a directory of the store, found something else$"):
            create_view(viewed, name, ["*"], DAY)
        assert listing(tmp_path) == before


def test_while_an_index_of_a_view_is_replaced_its_own_locks_are_held(
    viewed: Path, made: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "PATIENCE", 0.05)
    before = listing(viewed)
    with (viewed / "views/team/overlay-images/images.lock").open("rb") as held:
        fcntl.fcntl(held, fcntl.F_OFD_SETLK, request(fcntl.F_RDLCK))
        with (
            pytest.raises(PublishError, match=r"views/team/overlay-images/images\.lock: expected the lock within"),
            publishing(viewed) as batch,
        ):
            batch.add(made["new"], name=NEW)
    assert listing(viewed) == before, "the store was put back too"


def test_a_change_that_would_stop_the_readers_of_a_view_is_refused(viewed: Path, made: dict[str, str]) -> None:
    place = viewed / "views/team/overlay-images/images.json"
    place.write_bytes(place.read_bytes().replace(OLD.encode(), NEW.encode()))
    before = listing(viewed)
    said = rf'^views/team/overlay-images/images\.json: .*expected "{NEW}" at one image, found it at several \(spec V3\); nothing was'
    with pytest.raises(PublishError, match=said), publishing(viewed, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    assert listing(viewed) == before


CHANGES = (
    ("add", "STORE", "oci:new", "--name", NEW),
    ("remove", "STORE", OLD),
    ("view", "create", "STORE", "other", "--match", "nothing/*"),
    ("view", "create", "STORE", "team", "--match", "*/tool:*"),
    ("view", "remove", "STORE", "team"),
    ("prune", "STORE", "--grace", "0d"),
)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which kills a program at a chosen system call")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: " ".join(change[:3:2]) if change[0] != "view" else " ".join(change[1::2]))
def test_killed_at_any_call(viewed: Path, made: dict[str, str], tmp_path: Path, change: tuple[str, ...]) -> None:
    """Spec P1, P3 with views: readers of both go on, and the next run leaves what an undisturbed one does."""
    if change[0] == "prune":
        remove_view(viewed, "team", DAY)

    def arguments(root: Path) -> list[str]:
        return [str(root) if word == "STORE" else made[word[4:]] if word.startswith("oci:") else word for word in change]

    after = tmp_path / "after"
    copy(viewed, after)
    assert run(arguments(after), {}, Recording(tmp_path / "log")).code == 0
    moments = points(tmp_path / "log")
    assert unsound(after) == []
    for number in range(CHANGES.index(change) % 3, len(moments), max(len(moments) // AS_MANY, 1)):
        root = tmp_path / f"killed-{number}"
        copy(viewed, root)
        assert run(arguments(root), {}, disturbance(moments[number], Kind.KILL, tmp_path / "killed")).code == -signal.SIGKILL
        assert unsound(root) == [], moments[number]
        with directory.writing(root):
            pass
        found = listing(root)
        assert found in (listing(viewed), listing(after)), moments[number]
        shutil.rmtree(root)


def test_in_cvmfs_a_change_with_its_views_is_one_revision(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"], TOOL: made["tool"]})
    place = publisher.place()
    made_view = create_view(place, "team", ["*/team/app:*"], DAY)
    assert (made_view.revision, publisher.revision) == (3, 3)
    assert create_view(place, "team", ["*/team/app:*"], DAY).revision is None
    assert "views/team" in markers(publisher.store)
    assert shown(publisher.store) == [OLD]
    (view,) = list_views(place)
    assert view.root == publisher.place().readers_root / "views/team"
    added = publisher.add({NEW: made["new"]})
    assert (added.revision, shown(publisher.store)) == (4, [OLD, NEW])
    removed = publisher.change(("tag", TOOL, NEW), ("remove", OLD))
    assert (removed.revision, shown(publisher.store)) == (5, [NEW])
    assert prune(place, NOW, DAY).revision == 6
    assert list(verify(publisher.store, deep=True)) == []
    remove_view(place, "team", DAY)
    assert shown(publisher.store) == []
    assert prune(place, NOW, DAY).revision == 8
    assert not (publisher.store / "views/team").exists()
    assert publisher.verbs == ["ingest"] * 7
    assert publisher.check() == ""
    assert list(verify(publisher.store, deep=True)) == []


def test_an_untouched_view_costs_a_revision_nothing(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"]})
    create_view(publisher.place(), "nobody", ["nothing/*"], DAY)
    receipt = publisher.add({TOOL: made["tool"]})
    assert not [step.path for step in receipt.delta if step.path.startswith("views/")]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Publisher]:
    with publishing_machine(tmp_path / "site", upstream="gw") as machine:
        yield machine.on("one")


def test_behind_a_gateway(gateway: Publisher, made: dict[str, str]) -> None:
    gateway.add({OLD: made["old"], TOOL: made["tool"]})
    create_view(gateway.place(), "team", ["*/team/*:1"], DAY)
    gateway.change(("remove", TOOL))
    assert shown(gateway.store) == [OLD]
    prune(gateway.place(), NOW, DAY)
    remove_view(gateway.place(), "team", DAY)
    prune(gateway.place(), NOW, DAY)
    assert not (gateway.newest / STORE / "views/team").exists()
    assert list(verify(gateway.store, deep=True)) == []
    assert gateway.check() == ""


def test_in_a_transaction_of_the_callers(tmp_path: Path, made: dict[str, str]) -> None:
    """A transaction carries layers without whiteouts and devices only."""
    place = cstore.within(tmp_path / "store")
    with publishing(place, today=DAY) as batch:
        batch.add(made["tool"], name=TOOL)
    create_view(place, "team", ["*"], DAY)
    assert shown(tmp_path / "store") == [TOOL]
