from __future__ import annotations

import json
import os
import resource
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.errors import StoreError
from cstore.sync.events import EventLog, events_of, failed, line_of, notified, started, stopped
from tests.sync.reports import CURRENT, END, SECRETS, START, report
from tests.sync.schemas import violations

if TYPE_CHECKING:
    from pathlib import Path

TOLD = [started(1, START, None), started(2, START, {"b", "a"}), failed(2, END, "no"), stopped(3, END), notified(END, {"b", "a"})]


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_each_event_keeps_to_the_schema() -> None:
    """Spec Y1 to Y6."""
    events = [*TOLD, *events_of(report()), *events_of(report(changed=False, revision=None, images=()))]
    for event in events:
        line = line_of(event)
        assert line.count(b"\n") == 1
        assert line.isascii()
        assert violations("events", json.loads(line)) == [], line


@pytest.mark.parametrize(
    "planted", [{"event": "other"}, {"time": "now"}, {"round": 0}, {"only": "a"}, {"more": 1}, {"time": None}], ids=str
)
def test_the_schema_finds_planted_violations(planted: dict[str, object]) -> None:
    value = json.loads(line_of(TOLD[1]))
    assert violations("events", value) == []
    assert violations("events", {**value, **planted})


def test_a_round_is_told_by_its_problems_its_images_and_its_end() -> None:
    """Spec Y4 and Y5."""
    events = [json.loads(line_of(event)) for event in events_of(report())]
    assert [event["event"] for event in events] == ["problem", "image-added", "image-failed", "image-removed", "round-ended"]
    assert {event["time"] for event in events} == {"2026-11-24T12:01:15Z"}
    assert events[1] == {
        "event": "image-added",
        "time": "2026-11-24T12:01:15Z",
        "round": 1,
        "name": CURRENT.name,
        "platform": "linux/amd64",
        "wish": CURRENT.wish,
        "registry_digest": CURRENT.registry_digest,
        "published_digest": CURRENT.published_digest,
        "revision": 17,
    }
    assert "published_digest" not in events[2]
    assert events[4]["images"] == {"added": 1, "updated": 0, "unchanged": 1, "failed": 1, "removed": 1, "kept": 1}


def test_remarks_are_told_after_problems() -> None:
    """Spec Y5."""
    events = [json.loads(line_of(event)) for event in events_of(report(remarks=("wishes.yaml:3:5: a takes nothing", "b"), images=()))]
    assert [(event["event"], event.get("said")) for event in events[1:]] == [
        ("remark", "wishes.yaml:3:5: a takes nothing"),
        ("remark", "b"),
        ("round-ended", None),
    ]
    assert [violation for event in events for violation in violations("events", event)] == []


def test_secrets_of_urls_are_not_told() -> None:
    """Spec Y12."""
    told = b"".join(map(line_of, (*events_of(report()), failed(1, END, "https://user:word@example.org/?secret: no"))))
    assert [word for word in SECRETS if word.encode() in told] == []


def test_names_tell_a_terminal_nothing() -> None:
    image = evolve(CURRENT, name="a\x1b]0;x\x07\n\u202e\x7f")
    line = line_of(next(iter(events_of(report(problems=(), images=(image,))))))
    assert line.decode().rstrip("\n").isprintable()
    assert json.loads(line)["name"] == image.name


def test_events_are_appended_and_a_rotated_file_is_left(tmp_path: Path) -> None:
    """Spec Y7."""
    path = tmp_path / "events"
    path.write_bytes(b"{}\n")
    log = EventLog(path)
    log.open()
    log.tell(TOLD[0])
    path.rename(tmp_path / "old")
    log.tell(TOLD[1])
    log.reopen()
    log.tell(TOLD[2])
    log.close()
    log.close()
    assert [len(lines(tmp_path / "old")), len(lines(path)), log.lost] == [3, 1, 0]


def test_a_descriptor_is_written_and_left_open(tmp_path: Path) -> None:
    with (tmp_path / "events").open("wb") as file:
        log = EventLog(None, file.fileno())
        log.open()
        log.tell(TOLD[0])
        log.reopen()
        log.tell(TOLD[1])
        log.close()
        file.write(b"{}\n")
    assert len(lines(tmp_path / "events")) == 3


def test_without_a_file_nothing_is_told() -> None:
    log = EventLog()
    log.open()
    log.tell(TOLD[0])
    assert log.lost == 0


@pytest.mark.parametrize("place", ["none/events", "directory", "fifo"])
def test_a_file_that_cannot_be_opened_is_told_at_the_start(tmp_path: Path, place: str) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(StoreError, match=f"^{tmp_path / place}: expected a file to write events to, found: "):
        EventLog(tmp_path / place).open()


def test_what_cannot_be_opened_again_is_lost_until_it_can(tmp_path: Path) -> None:
    """Spec Y8."""
    path = tmp_path / "logs/events"
    path.parent.mkdir()
    log = EventLog(path)
    log.open()
    path.parent.rename(tmp_path / "away")
    log.reopen()
    log.tell(TOLD[0])
    log.tell(TOLD[0])
    path.parent.mkdir()
    log.tell(TOLD[1])
    log.close()
    assert (log.lost, len(lines(path))) == (2, 1)


def test_a_full_disk_loses_lines_and_tears_no_other(tmp_path: Path) -> None:
    """Spec Y8."""
    path = tmp_path / "events"
    log = EventLog(path)
    log.open()
    log.tell(TOLD[0])
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))
    try:
        log.tell(TOLD[1])
        log.tell(TOLD[2])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    log.tell(TOLD[3])
    log.tell(TOLD[4])
    log.close()
    whole = [line for line in path.read_text().split("\n") if line.endswith("}")]
    assert [json.loads(line)["event"] for line in whole] == ["round-started", "round-stopped", "notified"]
    assert (log.lost, len(path.read_bytes().splitlines())) == (2, 4)


def test_a_reader_that_does_not_read_holds_nothing_up() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    log = EventLog(None, write)
    for _ in range(2000):
        log.tell(TOLD[0])
    os.close(read)
    log.tell(TOLD[0])
    os.close(write)
    assert log.lost > 100


def test_lines_of_several_threads_do_not_mix(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events")
    log.open()

    def tell() -> None:
        for _ in range(200):
            log.tell(TOLD[1])

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert lines(tmp_path / "events") == [TOLD[1]] * 800
