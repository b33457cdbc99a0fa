"""What a watch knows at one moment, and how that is told as JSON (spec Y9 to Y12)."""

from __future__ import annotations

import datetime as dt
import json
import re
from enum import Enum
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from cstore.sync.known import Known
from cstore.sync.report import ImageState, Outcome, RoundReport

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["Running", "Standing", "Status", "Totals", "as_ascii", "moment", "standing", "status_document", "status_json", "without_secrets"]

_URL = re.compile(
    r"([a-zA-Z][a-zA-Z0-9+.-]{0,15}://)(?:[^\s/?#\"']*@)?([^\s?#\"'<>]*)"  # user and password end with the last @ before the path
    r"(?:\?[^\s#\"'<>]*?(?=[:,.;]{0,3}(?:[\s#\"'<>]|$)))?"  # marks at the end of a query are those of the sentence
)
_LONGEST = 2000
"""Signs of what is told of an error: registries may say anything."""
_GONE = (Outcome.REMOVED, Outcome.KEPT)


class Standing(Enum):
    """How an image stands; in the order in which people are told."""

    FAILED = "failed"
    """The last try failed; what was published before is still there."""
    BEHIND = "behind"
    """The registry has another one than is published, or none is published yet: a round will take it."""
    PUBLISHED = "published"
    """What the registry has is published."""
    KEPT = "kept"
    """It is wished no more, and stays."""
    REMOVED = "removed"


@frozen(kw_only=True)
class Running:
    """A round that goes on."""

    number: int
    started: dt.datetime
    only: frozenset[str] | None
    """The names that it looks at; None for all."""


@frozen(kw_only=True)
class Totals:
    """What the rounds of a watch came to, all together."""

    complete: int = 0
    """Rounds after which all that is wished was published."""
    incomplete: int = 0
    """Rounds that came to an end, but not with all images or lists."""
    failed: int = 0
    """Rounds that ended with an error."""
    changed: int = 0
    """Rounds that published something."""
    layers: int = 0
    bytes_fetched: int = 0
    bytes_streamed: int = 0
    requests: int = 0
    notified: int = 0
    """Names in notifications that were taken."""
    outcomes: Mapping[Outcome, int] = field(factory=dict)

    def with_round(self, report: RoundReport) -> Totals:
        """Return them with one more round."""
        outcomes = {outcome: self.outcomes.get(outcome, 0) for outcome in Outcome}
        for image in report.images:
            outcomes[image.outcome] += 1
        return evolve(
            self,
            complete=self.complete + report.is_complete,
            incomplete=self.incomplete + (not report.is_complete),
            changed=self.changed + report.changed,
            layers=self.layers + report.layers,
            bytes_fetched=self.bytes_fetched + report.bytes_fetched,
            bytes_streamed=self.bytes_streamed + report.bytes_streamed,
            requests=self.requests + report.requests,
            outcomes=outcomes,
        )


@frozen(kw_only=True)
class Status:
    """What a watch knows at one moment."""

    begun: dt.datetime
    """When the watch began; UTC, as all times here."""
    running: Running | None = None
    next_round: dt.datetime | None = None
    """When the next round over everything is due; None before the first one has begun, and when there will be none."""
    known: Known = field(factory=Known)
    """What the rounds that came to an end without an error have found out."""
    error: str = ""
    """Why the last round failed that did; empty where one over everything has come to its end since, which alone shows that all is well."""
    error_time: dt.datetime | None = None
    succeeded: dt.datetime | None = None
    """When the last round over everything ended that met no problem but those of single images."""
    revision: int | None = None
    """The last one that was made."""
    totals: Totals = field(factory=Totals)

    def begin(self, number: int, now: dt.datetime, only: Collection[str] | None, next_round: dt.datetime) -> Status:
        """Return what is known when a round begins."""
        names = None if only is None else frozenset(only)
        return evolve(self, running=Running(number=number, started=now, only=names), next_round=next_round)

    def end(self, report: RoundReport) -> Status:
        """Return what is known when the running round has come to an end."""
        ended = evolve(
            self,
            running=None,
            known=self.known.with_round(report),
            revision=self.revision if report.revision is None else report.revision,
            totals=self.totals.with_round(report),
        )
        if report.only is not None:
            return ended
        return evolve(ended, error="", error_time=None, succeeded=self.succeeded if report.problems else report.ended)

    def fail(self, error: str, now: dt.datetime) -> Status:
        """Return what is known when the running round has ended with an error."""
        totals = evolve(self.totals, failed=self.totals.failed + 1)
        return evolve(self, running=None, error=without_secrets(error), error_time=now, totals=totals)

    def take_names(self, count: int) -> Status:
        """Return what is known when some names of notifications have been taken."""
        return evolve(self, totals=evolve(self.totals, notified=self.totals.notified + count))

    @property
    def images(self) -> tuple[ImageState, ...]:
        """All that are known, ordered by name and platform."""
        return self.known.images

    @property
    def failure(self) -> str:
        """What people are told of a round that failed; empty where there is nothing to tell."""
        return f"a round failed at {moment(self.error_time)}: {self.error}" if self.error else ""

    @property
    def ordered(self) -> list[ImageState]:
        """The images as people are told of them: by how they stand, then by name."""
        order = {kind: place for place, kind in enumerate(Standing)}
        return sorted(self.images, key=lambda image: (order[standing(image)], image.name, image.platform))


def standing(image: ImageState) -> Standing:
    """Return how an image stands."""
    if image.outcome in _GONE:
        return Standing.REMOVED if image.outcome is Outcome.REMOVED else Standing.KEPT
    if image.error is not None or image.outcome is Outcome.FAILED:
        return Standing.FAILED
    if image.published_digest is None or image.registry_digest not in (None, image.published_digest):
        return Standing.BEHIND
    return Standing.PUBLISHED


def status_document(report: RoundReport) -> bytes:
    """Return `status.json` as it lies beside a store: what is known when a revision is made (spec Y10, `status.schema.json`).

    The same report gives the same bytes; nothing of it tells how long something took.
    """
    return _encoded(_document(report.started, report.images, report.problems, report.remarks))


def status_json(status: Status, now: dt.datetime) -> bytes:
    """Return what a watch serves as `/status.json`: the same document, with a member `watch` besides (spec Y11)."""
    known, running = status.known, status.running
    watch = {
        "now": moment(now),
        "begun": moment(status.begun),
        "round": None
        if running is None
        else {
            "number": running.number,
            "started": moment(running.started),
            "only": None if running.only is None else sorted(running.only),
        },
        "next_round": moment(status.next_round),
        "last_round": _round(known.whole),
        "last_partial_round": _round(known.partial),
        "error": status.error or None,
        "error_time": moment(status.error_time),
        "revision": status.revision,
    }
    time = known.latest.started if known.latest else None
    return _encoded({**_document(time, known.images, known.problems, known.remarks), "watch": watch})


def _round(report: RoundReport | None) -> dict[str, object] | None:
    if report is None:
        return None
    return {
        "number": report.number,
        "started": moment(report.started),
        "ended": moment(report.ended),
        "only": None if report.only is None else sorted(report.only),
        "changed": report.changed,
        "complete": report.is_complete,
        "revision": report.revision,
        "seconds": {part: round(seconds, 3) for part, seconds in report.seconds.items()},
    }


def _document(time: dt.datetime | None, images: Iterable[ImageState], problems: Sequence[str], remarks: Sequence[str]) -> dict[str, object]:
    ordered = sorted(images, key=lambda image: (image.name, image.platform))
    return {
        "version": 1,
        "time": moment(time),
        "images": [_image(image) for image in ordered],
        "problems": [without_secrets(problem) for problem in problems],
        "remarks": [without_secrets(remark) for remark in remarks],
    }


def _image(image: ImageState) -> dict[str, object]:
    return {
        "name": image.name,
        "platform": image.platform,
        "wish": image.wish,
        "state": standing(image).value,
        "registry_digest": image.registry_digest,
        "published_digest": image.published_digest,
        "revision": image.revision,
        "published": moment(image.published),
        "error": None if image.error is None else without_secrets(image.error),
    }


def _encoded(value: object) -> bytes:
    return as_ascii(json.dumps(value, indent=1, sort_keys=True)) + b"\n"


def as_ascii(text: str) -> bytes:
    """Return JSON that `json.dumps` made as bytes that tell a terminal nothing: what is left in it to escape is DEL."""
    return text.replace("\x7f", "\\u007f").encode("ascii")


def moment(time: dt.datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC to the second, None for None."""
    return None if time is None else time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def without_secrets(text: str) -> str:
    """Return a text, cut if it is long, whose URLs have neither user and password nor a query with signatures (spec Y12)."""
    told = _URL.sub(r"\1\2", text[: 2 * _LONGEST])
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"
