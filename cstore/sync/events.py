"""What happens in a watch, as one line of JSON for each event (spec Y1 to Y8)."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

from attrs import define, field

from cstore.errors import StoreError
from cstore.sync.report import Outcome
from cstore.sync.status import as_ascii, moment, without_secrets

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from cstore.sync.report import ImageState, RoundReport

__all__ = ["Event", "EventLog", "events_of", "failed", "line_of", "notified", "started", "stopped"]

Event = dict[str, object]

_TOLD = {Outcome.ADDED, Outcome.UPDATED, Outcome.FAILED, Outcome.REMOVED}
"""What is an event; an image that stays as it is is none."""
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_MODE = 0o644


def line_of(event: Event) -> bytes:
    """Return an event as its line: ASCII, members without a value left out."""
    told = {name: value for name, value in event.items() if value is not None}
    return as_ascii(json.dumps(told)) + b"\n"


def started(number: int, now: dt.datetime, only: Collection[str] | None) -> Event:
    """Return the event that a round begins."""
    return {"event": "round-started", "time": moment(now), "round": number, "only": None if only is None else sorted(only)}


def failed(number: int, now: dt.datetime, error: str) -> Event:
    """Return the event that a round has ended with an error."""
    return {"event": "round-failed", "time": moment(now), "round": number, "error": without_secrets(error)}


def stopped(number: int, now: dt.datetime) -> Event:
    """Return the event that a round has ended before it published anything, since the end of the watch was asked for."""
    return {"event": "round-stopped", "time": moment(now), "round": number}


def notified(now: dt.datetime, names: Collection[str]) -> Event:
    """Return the event that a registry has told of images."""
    return {"event": "notified", "time": moment(now), "names": sorted(names)}


def events_of(report: RoundReport) -> Iterator[Event]:
    """Yield the events of a round that has come to an end: its problems, its remarks, its images, its end."""
    time = moment(report.ended)
    for kind, told in (("problem", report.problems), ("remark", report.remarks)):
        for said in told:
            yield {"event": kind, "time": time, "round": report.number, "said": without_secrets(said)}
    for image in report.images:
        if image.outcome in _TOLD:
            yield {"event": f"image-{image.outcome.value}", "time": time, "round": report.number, **_image(image)}
    counts = {outcome.value: sum(image.outcome is outcome for image in report.images) for outcome in Outcome}
    yield {
        "event": "round-ended",
        "time": time,
        "round": report.number,
        "complete": report.is_complete,
        "changed": report.changed,
        "revision": report.revision,
        "images": counts,
        "layers": report.layers,
        "bytes_fetched": report.bytes_fetched,
        "bytes_streamed": report.bytes_streamed,
        "requests": report.requests,
        "seconds": {part: round(seconds, 3) for part, seconds in report.seconds.items()},
    }


def _image(image: ImageState) -> Event:
    return {
        "name": image.name,
        "platform": image.platform,
        "wish": image.wish or None,
        "registry_digest": image.registry_digest,
        "published_digest": image.published_digest,
        "revision": image.revision,
        "error": None if image.error is None else without_secrets(image.error),
    }


@define
class EventLog:
    """A file to whose end events are written, each with one write; or an open descriptor, or nothing at all.

    What cannot be written is lost and counted: a full disk stops no round. Any thread may write.

    Args:
        path: the file; it is made where there is none, and opened again when that is asked for. None for none.
        descriptor: where events go that have no path, as standard output; it is left open.
    """

    _path: Path | None = None
    _descriptor: int | None = None
    lost: int = field(default=0, init=False)
    _is_torn: bool = field(default=False, init=False)
    _reopens: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def open(self) -> None:
        """Open the file.

        Raises:
            StoreError: it cannot be opened.
        """
        if self._path is None:
            return
        try:
            self._descriptor = os.open(self._path, _APPEND, _MODE)
        except OSError as error:
            raise StoreError(f"{self._path}: expected a file to write events to, found: {error.strerror}") from None

    def reopen(self) -> None:
        """Have the file opened again before the next event, as a rotation of logs needs it; a signal handler may call it."""
        self._reopens = True

    def tell(self, event: Event) -> None:
        """Write an event."""
        with self._lock:
            if self._reopens and self._path is not None:
                self._reopens = False
                self._close()
                try:
                    self.open()
                except StoreError:
                    self._reopens = True
            if self._descriptor is not None:
                self._write(self._descriptor, line_of(event))
            elif self._path is not None:
                self.lost += 1

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._path is not None:
                self._close()

    def _write(self, descriptor: int, line: bytes) -> None:
        # After a line that was cut short, as by a full disk, the next one starts on its own.
        line = b"\n" + line if self._is_torn else line
        try:
            written = os.write(descriptor, line)
        except OSError:
            self.lost += 1
            return
        self._is_torn = 0 < written < len(line)
        self.lost += self._is_torn

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._is_torn = False
