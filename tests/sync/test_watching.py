from __future__ import annotations

import datetime as dt
import json
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import define, field

from cstore.errors import SourceError
from cstore.progress import silent
from cstore.sync.events import EventLog
from cstore.sync.inbox import Inbox
from cstore.sync.supervisor import Supervisor
from cstore.sync.watching import Clock, Stopped, Watch, heeding, summary
from tests.sync.reports import CURRENT, report
from tests.sync.schemas import violations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from cstore.progress import Progress
    from cstore.sync.report import RoundReport

WISHLISTS = (Path("wishlist.yaml"),)
CLOCK = Clock(utc=lambda: dt.datetime.now(tz=dt.UTC), monotonic=time.monotonic)


@define
class Listed:
    """Rounds that note when each began and what it was to look at, and do in each what was planned for it."""

    plans: Sequence[Callable[[], object]]
    """One for each round; after the last one the end is asked for."""
    inbox: Inbox
    begun: list[float] = field(factory=list)
    asked: list[frozenset[str] | None] = field(factory=list)
    running: int = 0
    moved: int = 0
    is_publishing: bool = False

    def run(self, wishlists: Sequence[Path], *, only: Collection[str] | None = None, number: int) -> RoundReport:
        assert (tuple(wishlists), number, self.running) == (WISHLISTS, len(self.begun) + 1, 0)
        self.running += 1
        self.begun.append(time.monotonic())
        self.asked.append(None if only is None else frozenset(only))
        if number == len(self.plans):
            self.inbox.stop()
        try:
            self.plans[number - 1]()
        finally:
            self.running -= 1
        return report(number=number, only=self.asked[-1], images=(CURRENT,), problems=())


def nothing() -> None:
    """Do nothing in a round."""


@define
class Followed:
    """A watch that has come to its end."""

    watch: Watch
    rounds: Listed
    said: list[str]
    events: list[dict[str, object]]

    @property
    def kinds(self) -> list[object]:
        return [event["event"] for event in self.events]


def followed(
    path: Path, *plans: Callable[[Inbox, Callable[[Collection[str]], object]], object], every: float = 0.3, address: str = ""
) -> Followed:
    """Follow for as many rounds as there are plans; a plan is called with the inbox and with what takes notifications."""
    inbox, said = Inbox(), list[str]()
    log = EventLog(path / "events")
    log.open()
    rounds = Listed([], inbox)
    watch = Watch(rounds, WISHLISTS, every, inbox, CLOCK, Supervisor(time.monotonic, address, 0.0), log, said.append)
    rounds.plans = [lambda plan=plan: plan(inbox, watch.notify) for plan in plans]  # type: ignore[misc] # mypy takes no default of a lambda
    watch.run()
    log.close()
    events = [json.loads(line) for line in (path / "events").read_bytes().splitlines()]
    assert [violation for event in events for violation in violations("events", event)] == []
    return Followed(watch, rounds, said, events)


def idle(_inbox: Inbox, _notify: object) -> None:
    """A round in which nothing happens."""


def fails(_inbox: Inbox, _notify: object) -> None:
    raise SourceError("https://user:word@example.org/v2/: expected a registry, found none")


def test_the_first_round_starts_at_once_and_the_next_ones_when_they_are_due(tmp_path: Path) -> None:
    start = time.monotonic()
    done = followed(tmp_path, idle, idle, idle, every=0.3)
    assert done.rounds.begun[0] - start < 0.3
    assert all(0.28 < later - first < 3 for first, later in zip(done.rounds.begun, done.rounds.begun[1:], strict=False))
    assert done.rounds.asked == [None] * 3
    assert done.kinds == ["round-started", "image-added", "round-ended"] * 3
    assert done.said == [f"round {number}: 1 added; revision 17" for number in (1, 2, 3)]
    assert (done.watch.status.totals.complete, done.watch.status.images) == (3, (CURRENT,))


def test_after_a_round_that_is_longer_than_the_interval_the_next_one_starts_at_once(tmp_path: Path) -> None:
    done = followed(tmp_path, lambda *_: time.sleep(0.5), idle, every=0.2)
    assert 0.5 <= done.rounds.begun[1] - done.rounds.begun[0] < 0.7


def test_a_round_that_fails_is_told_and_the_next_one_comes(tmp_path: Path) -> None:
    """Spec Y3."""
    done = followed(tmp_path, fails, idle, fails, every=0.1)
    assert done.kinds == ["round-started", "round-failed", "round-started", "image-added", "round-ended", "round-started", "round-failed"]
    assert done.said[0] == "round 1 failed: https://example.org/v2/: expected a registry, found none"
    status = done.watch.status
    assert (status.totals.failed, status.totals.complete, status.images) == (2, 1, (CURRENT,))
    assert status.error == "https://example.org/v2/: expected a registry, found none"


def full(_inbox: Inbox, _notify: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_that_is_full_ends_no_watch(tmp_path: Path) -> None:
    done = followed(tmp_path, full, idle, every=0.1)
    assert done.said[0] == "round 1 failed: [Errno 28] No space left on device"


def broken(_inbox: Inbox, _notify: object) -> None:
    raise ZeroDivisionError


def test_what_is_a_mistake_of_the_program_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        followed(tmp_path, broken)


def tells(*names: str, after: float = 0.0) -> Callable[[Inbox, Callable[[Collection[str]], object]], object]:
    def told(_inbox: Inbox, notify: Callable[[Collection[str]], object]) -> None:
        threading.Timer(after, notify, [names]).start()
        time.sleep(0.05)

    return told


def test_a_notification_makes_a_round_over_what_it_names(tmp_path: Path) -> None:
    """Spec Y6 and Y14."""
    start = time.monotonic()
    done = followed(tmp_path, tells("b", "a"), idle, every=60)
    assert done.rounds.asked == [None, {"a", "b"}]
    assert time.monotonic() - start < 30
    assert done.kinds[:2] == ["round-started", "notified"]
    assert done.events[-3]["only"] == ["a", "b"]
    assert done.watch.status.totals.notified == 2


def test_notifications_one_after_the_other_make_one_round(tmp_path: Path) -> None:
    def told(inbox: Inbox, notify: Callable[[Collection[str]], object]) -> None:
        for place, name in enumerate("abca"):
            tells(name, after=place * 0.1)(inbox, notify)

    done = followed(tmp_path, told, idle, every=60)
    assert done.rounds.asked == [None, {"a", "b", "c"}]


def test_a_round_over_names_does_not_put_off_the_next_one_over_everything(tmp_path: Path) -> None:
    done = followed(tmp_path, tells("a"), idle, idle, every=1.6)
    assert done.rounds.asked == [None, {"a"}, None]
    assert 1.5 < done.rounds.begun[2] - done.rounds.begun[0] < 5


def test_names_are_looked_at_with_everything_where_that_is_due_first(tmp_path: Path) -> None:
    done = followed(tmp_path, tells("a"), idle, idle, every=0.3)
    assert done.rounds.asked == [None, None, None]


def test_what_is_notified_in_a_round_over_everything_is_looked_at_again(tmp_path: Path) -> None:
    done = followed(tmp_path, idle, tells("a"), idle, every=1.2)
    assert done.rounds.asked == [None, None, {"a"}]


def asks_for_all(inbox: Inbox, _notify: object) -> None:
    inbox.look_at_all()


def test_a_round_over_everything_comes_now_where_it_is_asked_for(tmp_path: Path) -> None:
    done = followed(tmp_path, asks_for_all, idle, every=60)
    assert done.rounds.asked == [None, None]


def test_an_end_that_is_asked_for_while_waiting_comes_at_once(tmp_path: Path) -> None:
    def stops_soon(inbox: Inbox, _notify: object) -> None:
        threading.Timer(0.2, inbox.stop).start()

    start = time.monotonic()
    done = followed(tmp_path, stops_soon, idle, every=60)
    assert time.monotonic() - start < 30
    assert len(done.rounds.begun) == 1


def test_a_round_ends_early_only_before_it_publishes(tmp_path: Path) -> None:
    inbox, supervisor = Inbox(), Supervisor(time.monotonic)
    progress = heeding(silent, inbox, supervisor, lambda: False)
    goes_on = progress("downloading", "a", 10)
    goes_on(5)
    inbox.stop()
    with pytest.raises(Stopped):
        goes_on(5)
    for work in ("looking up", "opening", "fetching", "verifying"):
        with pytest.raises(Stopped):
            progress(work, "a", 10)
    for work in ("streaming", "unpacking", "waiting for"):
        progress(work, "a", 10)(10)

    def fetches(inbox: Inbox, _notify: object) -> None:
        inbox.stop()
        heeding(silent, inbox, supervisor, lambda: False)("downloading", "a", 1)

    done = followed(tmp_path, fetches, idle)
    assert done.kinds == ["round-started", "round-stopped"]
    assert done.said == ["round 1: ended before it published anything, as was asked"]


def test_a_round_that_publishes_runs_to_its_end_though_it_downloads(tmp_path: Path) -> None:
    supervisor, ended = Supervisor(time.monotonic), list[bool]()
    publishing = [False]

    def publishes(inbox: Inbox, _notify: object) -> None:
        progress = heeding(silent, inbox, supervisor, lambda: publishing[0])
        goes_on = progress("downloading", "a", 10)
        publishing[0] = True
        inbox.stop()
        goes_on(5)
        progress("downloading", "b", 10)(10)
        ended.append(True)

    done = followed(tmp_path, publishes, idle)
    assert (ended, done.kinds) == ([True], ["round-started", "image-added", "round-ended"])


def test_a_round_over_names_hides_no_failure_from_the_supervisor(tmp_path: Path) -> None:
    """Spec Y17."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))

        def fails_and_hears(_inbox: Inbox, notify: Callable[[Collection[str]], object]) -> None:
            notify(["a"])
            fails(_inbox, notify)

        done = followed(tmp_path, fails_and_hears, idle, every=60, address=str(tmp_path / "notify"))
        told.setblocking(False)  # noqa: FBT003 - as the standard library has it
        said = [told.recv(4096).decode() for _ in range(5)]
    assert done.rounds.asked == [None, {"a"}]
    assert done.watch.status.error == "https://example.org/v2/: expected a registry, found none"
    assert any("STATUS=images: 1 published; a round failed at " in line for line in said), said


def test_progress_is_passed_on_and_is_a_sign_of_life() -> None:
    told: list[object] = []

    def shown(*work: object) -> Callable[[int], object]:
        told.append(work)
        return told.append

    seconds = iter(range(100))
    supervisor = Supervisor(lambda: float(next(seconds)))
    progress: Progress = heeding(shown, Inbox(), supervisor, lambda: False)
    progress("downloading", "a", 10)(7)
    assert told == [("downloading", "a", 10), 7]
    assert supervisor.still == 1


def test_what_a_registry_sends_is_a_sign_of_life_and_a_round_that_hangs_gives_none(tmp_path: Path) -> None:
    """Spec Y16."""
    inbox, ages = Inbox(), list[float]()
    supervisor = Supervisor(time.monotonic, "", 0.2)
    log = EventLog(tmp_path / "events")

    def moves() -> None:
        for _ in range(20):
            rounds.moved += 1
            time.sleep(0.02)
        ages.append(supervisor.still)

    def hangs() -> None:
        time.sleep(0.4)
        ages.append(supervisor.still)

    rounds = Listed([moves, hangs], inbox)
    Watch(rounds, WISHLISTS, 0.1, inbox, CLOCK, supervisor, log, list[str]().append).run()
    assert ages[0] < 0.2
    assert ages[1] >= 0.3
    assert not [thread for thread in threading.enumerate() if thread.name == "pulse"]


def test_people_are_told_what_failed_and_a_line_for_the_round() -> None:
    assert summary(report()) == [
        "round 1: https://registry.example.org/v2/atlas/tags/list: expected a list, found 503",
        "round 1: registry.example.org/atlas/broken:v1: https://registry.example.org/v2/blobs: expected 200, found 404",
        "round 1: 1 added, 1 failed, 1 kept, 1 removed, 1 unchanged; revision 17",
    ]
    assert summary(report(images=(), problems=(), changed=False, revision=None)) == ["round 1: no images; nothing new"]
    assert summary(report(images=(), problems=(), revision=None)) == ["round 1: no images; published"]
