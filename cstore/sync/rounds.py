"""Rounds, one after the other, and what is told of each (spec Z1 to Z9)."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from cstore.delta import Delta, file_of
from cstore.hub.layout import STATUS, called
from cstore.hub.reading import HubReading
from cstore.progress import Progress, silent
from cstore.publish.place import Published
from cstore.sync.known import Known
from cstore.sync.narrowing import strangers
from cstore.sync.report import ImageState, Outcome, RoundReport
from cstore.sync.round import Round

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from cstore.publish.hub import Hub
    from cstore.registry.registries import Registries
    from cstore.sync.expansion import Wanted
    from cstore.sync.removing import Unwished
    from cstore.sync.round import Terms

__all__ = ["Preview", "Rounds"]

_SOMETHING = Delta((file_of(STATUS, b""),))
"""What stands for a delta that is still to be planned, while what will be known after it is told."""

_SHOWN = 3
"""Names that are told where there may be many."""


@frozen(kw_only=True)
class Preview:
    """What a round would do."""

    report: RoundReport
    delta: Delta


@frozen(kw_only=True)
class _Publish:
    """What this process knows of an image that it published."""

    digest: str | None
    revision: int | None
    published: dt.datetime


class Rounds:
    """Carries out rounds on one hub; what it remembers between them only informs.

    Args:
        hub: where images are published.
        registries: where they come from.
        terms: of all rounds.
        now: the time of day, in UTC.
        tell: makes what is told beside the stores of what is known when a revision is made; None tells nothing there.
        progress: is told of what goes on.
    """

    def __init__(  # noqa: PLR0913 - keywords, each of them one thing to choose
        self,
        hub: Hub,
        registries: Registries,
        terms: Terms,
        *,
        now: Callable[[], dt.datetime],
        tell: Callable[[RoundReport], bytes] | None = None,
        progress: Progress = silent,
    ) -> None:
        self._hub = hub
        self._registries = registries
        self._terms = terms
        self._clock = now
        self._tell = tell
        self._progress = progress
        self._published: dict[tuple[str, str], _Publish] = {}
        self._known = Known()
        self._is_publishing = False

    @property
    def moved(self) -> int:
        """A number that grows with each request to a registry and each byte from one."""
        return self._registries.requests + self._registries.bytes_fetched

    @property
    def is_publishing(self) -> bool:
        """Whether a round has looked at all and publishes now."""
        return self._is_publishing

    def run(self, wishlists: Sequence[Path], *, only: Collection[str] | None = None, number: int = 1) -> RoundReport:
        """Carry out one round: read the wishlists, look at the registries, and publish in one revision what has changed.

        What cannot be read or fetched, or is not what was promised, keeps what it has; all else is published.

        Args:
            wishlists: the files; they are read anew.
            only: the `registry/repository[:tag]` names to look at; None for everything.
            number: the number of the round.

        Raises:
            StoreError: the round could not be carried out; what was published before is as it was, but that in CernVM-FS names which go
                may be gone already (spec C26).
        """
        started = self._clock()
        # What is undone later would be missing, though it was seen, and taken for published.
        self._hub.settle(HubReading(self._hub.root).stores())
        with self._fetched(wishlists, only, started, number) as turn:
            with turn.timed("publish"), self._publishing():
                stores = turn.assembly.stores()
                done = self._hub.publish(partial(turn.assembly.plan, stores), stores)
            report = self._report(turn, started, number, done)
        self._remember(report)
        return report

    def preview(self, wishlists: Sequence[Path]) -> Preview:
        """Return what a round would do; layers are fetched and verified, and nothing is written.

        Raises:
            StoreError: as `run`.
        """
        started = self._clock()
        with self._fetched(wishlists, None, started, 1) as turn:
            stores = turn.assembly.stores()
            delta = turn.assembly.plan(stores)
            if delta:
                self._hub.check(delta, stores)
            return Preview(report=self._report(turn, started, 1, Published(delta=delta)), delta=delta)

    @contextmanager
    def _fetched(self, wishlists: Sequence[Path], only: Collection[str] | None, started: dt.datetime, number: int) -> Iterator[Round]:
        """Give a round that has looked and fetched, while the body runs; what it needs stays in the cache."""
        turn = Round(self._hub, self._registries, self._terms, day=started.date(), progress=self._progress)
        with self._registries.keeping(), turn:
            turn.look(wishlists, only)
            turn.fetch()
            turn.assembly.status = self._told(turn, started, number)
            yield turn

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        self._is_publishing = True
        try:
            yield
        finally:
            self._is_publishing = False

    def _told(self, turn: Round, started: dt.datetime, number: int) -> bytes | None:
        """Return what is told of all that is known; a round over a few names before any over everything knows too little to tell it."""
        report = self._report(turn, started, number, Published(delta=_SOMETHING))
        known = self._known.with_round(report)
        if self._tell is None or known.whole is None:
            return None
        return self._tell(evolve(report, images=known.images, problems=known.problems, remarks=known.remarks))

    def _report(self, turn: Round, started: dt.datetime, number: int, done: Published) -> RoundReport:
        images = [self._state(turn, wanted, started, done) for wanted in turn.expansion.wanted]
        images += [_gone(found, Outcome.REMOVED) for found in turn.removed if not found.is_wished]
        images += [_gone(found, Outcome.KEPT) for found in turn.kept if not found.is_wished]
        return RoundReport(
            number=number,
            started=started,
            ended=self._clock(),
            only=turn.only,
            images=tuple(sorted(images, key=lambda image: (image.name, image.platform))),
            problems=tuple(_problems(turn)),
            remarks=tuple(_remarks(turn)),
            revision=done.revision,
            changed=bool(done.delta),
            layers=turn.assembly.layers if done.delta else 0,
            bytes_fetched=turn.bytes_fetched,
            bytes_streamed=done.streamed,
            requests=turn.requests,
            seconds=dict(turn.seconds),
        )

    def _state(self, turn: Round, wanted: Wanted, started: dt.datetime, done: Published) -> ImageState:
        told, former = turn.told.get(wanted), turn.former.get(wanted)
        known = self._published.get((wanted.name.public, str(wanted.platform)))
        error = turn.errors.get(wanted)
        is_new = wanted in turn.taken and bool(done.delta)
        if error is not None:
            outcome = Outcome.FAILED
        elif is_new:
            outcome = Outcome.ADDED if former is None else Outcome.UPDATED
        else:
            outcome = Outcome.UNCHANGED
        published = told if is_new or outcome is Outcome.UNCHANGED else former
        if known is not None and known.digest != (str(published) if published else None):
            known = None
        return ImageState(
            name=wanted.name.public,
            platform=str(wanted.platform),
            wish=wanted.wish.text,
            outcome=outcome,
            registry_digest=str(told) if told else None,
            published_digest=str(published) if published else None,
            revision=done.revision if is_new else known.revision if known else None,
            published=started if is_new else known.published if known else None,
            error=error,
            is_ignored=any(wishlist.ignores(wanted.name.public) for wishlist in turn.wishlists),
        )

    def _remember(self, report: RoundReport) -> None:
        self._known = self._known.with_round(report)
        for image in report.images:
            if image.outcome in (Outcome.ADDED, Outcome.UPDATED):
                self._published[image.name, image.platform] = _Publish(
                    digest=image.published_digest, revision=image.revision, published=report.ended
                )


def _gone(found: Unwished, outcome: Outcome) -> ImageState:
    return ImageState(name=found.name, platform=called(found.platform), wish="", outcome=outcome)


def _problems(turn: Round) -> Iterator[str]:
    yield from turn.expansion.unread
    yield from turn.doubts.values()
    if turn.is_pruned and turn.expansion.is_empty and turn.kept and not turn.expansion.unread:
        yield "expected something that is wished, found nothing: so nothing is removed"
    for failure in turn.expansion.failures:
        if not any(wishlist.ignores(failure.wish.name.public) for wishlist in turn.wishlists):
            yield f"{failure.wish.place}: {failure.error}"


def _remarks(turn: Round) -> Iterator[str]:
    yield from (f"{wish.place}: {wish.text} takes none of the tags that there are" for wish in turn.expansion.unmatched)
    if turn.only is not None and not turn.expansion.unread and (strange := strangers(turn.wishlists, turn.only)):
        first, more = strange[:_SHOWN], len(strange) - _SHOWN
        yield f"registries told of what no wish stands for: {', '.join(first)}{f' and {more} more' if more > 0 else ''}"
    protected = sum(found.is_protected and not found.is_wished for found in turn.kept)
    if turn.is_pruned and protected and (turn.expansion.unread or not turn.expansion.is_empty):
        why = "not all wishlists could be read" if turn.expansion.unread else "a wish of which no tag is known may stand for them"
        yield f"names that no wish is known to stand for, kept since {why}: {protected}"
    for what, unwished in (("removed", turn.removed), ("kept", turn.kept)):
        counts = Counter(offer for found in unwished if found.is_wished for offer in found.offers)
        for offer, count in sorted(counts.items(), key=lambda item: item[0].value):
            yield f"{offer.value}: no wish asks for it any more under names that are wished otherwise: {count} {what}"
