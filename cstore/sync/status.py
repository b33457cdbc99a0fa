"""What a watch knows at one moment, and how that is told as JSON (spec Y9 to Y12)."""

from __future__ import annotations

import datetime as dt
import json
import re
from enum import Enum
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from cstore.sync.report import ImageState, Outcome, RoundReport

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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
    last: RoundReport | None = None
    """The last round that came to an end without an error."""
    error: str = ""
    """Why the last round failed, empty where it did not."""
    error_time: dt.datetime | None = None
    succeeded: dt.datetime | None = None
    """When the last round ended that met no problem but those of single images."""
    revision: int | None = None
    """The last one that was made."""
    images: tuple[ImageState, ...] = ()
    """Ordered by name and platform."""
    totals: Totals = field(factory=Totals)

    def begin(self, number: int, now: dt.datetime, only: Collection[str] | None, next_round: dt.datetime) -> Status:
        """Return what is known when a round begins."""
        names = None if only is None else frozenset(only)
        return evolve(self, running=Running(number=number, started=now, only=names), next_round=next_round)

    def end(self, report: RoundReport) -> Status:
        """Return what is known when the running round has come to an end."""
        looked_at_all = self.running is None or self.running.only is None
        return evolve(
            self,
            running=None,
            last=report,
            error="",
            error_time=None,
            succeeded=self.succeeded if report.problems else report.ended,
            revision=self.revision if report.revision is None else report.revision,
            images=_merged(self.images, report.images, looked_at_all=looked_at_all),
            totals=self.totals.with_round(report),
        )

    def fail(self, error: str, now: dt.datetime) -> Status:
        """Return what is known when the running round has ended with an error."""
        totals = evolve(self.totals, failed=self.totals.failed + 1)
        return evolve(self, running=None, error=without_secrets(error), error_time=now, totals=totals)

    def take_names(self, count: int) -> Status:
        """Return what is known when some names of notifications have been taken."""
        return evolve(self, totals=evolve(self.totals, notified=self.totals.notified + count))

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


def _merged(before: Iterable[ImageState], after: Iterable[ImageState], *, looked_at_all: bool) -> tuple[ImageState, ...]:
    """Return what is known of images; of a publish that a later round found in place, when and with which revision that was stays known."""
    known = {(image.name, image.platform): image for image in before}
    merged = {} if looked_at_all else dict(known)
    for image in after:
        key = (image.name, image.platform)
        old = known.get(key)
        same = old is not None and image.published_digest is not None and old.published_digest == image.published_digest
        if old is not None and same and image.published is None and image.revision is None:
            merged[key] = evolve(image, revision=old.revision, published=old.published)
        else:
            merged[key] = image
    return tuple(merged[key] for key in sorted(merged))


def status_document(report: RoundReport) -> bytes:
    """Return `status.json` as it lies beside a store: what is known when a revision is made (spec Y10, `status.schema.json`).

    The same report gives the same bytes; nothing of it tells how long something took.
    """
    return _encoded(_document(report.started, report.images, report))


def status_json(status: Status, now: dt.datetime) -> bytes:
    """Return what a watch serves as `/status.json`: the same document, with a member `watch` besides (spec Y11)."""
    last, running = status.last, status.running
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
        "last_round": None
        if last is None
        else {
            "number": last.number,
            "started": moment(last.started),
            "ended": moment(last.ended),
            "changed": last.changed,
            "complete": last.is_complete,
            "revision": last.revision,
            "seconds": {part: round(seconds, 3) for part, seconds in last.seconds.items()},
        },
        "error": status.error or None,
        "error_time": moment(status.error_time),
        "revision": status.revision,
    }
    return _encoded({**_document(last.started if last else None, status.images, last), "watch": watch})


def _document(time: dt.datetime | None, images: Iterable[ImageState], report: RoundReport | None) -> dict[str, object]:
    ordered = sorted(images, key=lambda image: (image.name, image.platform))
    return {
        "version": 1,
        "time": moment(time),
        "images": [_image(image) for image in ordered],
        "problems": [without_secrets(problem) for problem in (report.problems if report else ())],
        "remarks": [without_secrets(remark) for remark in (report.remarks if report else ())],
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
