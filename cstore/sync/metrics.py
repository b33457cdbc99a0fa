"""What a watch knows, as metrics for Prometheus (spec Y15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from cstore.sync.report import Outcome
from cstore.sync.status import Standing, standing

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from cstore.sync.status import Status

__all__ = ["MOST_SERIES", "exposition"]

MOST_SERIES = 1000
"""Images that have a series of their own; those of a bigger wishlist are only counted."""


def exposition(status: Status, now: dt.datetime, *, events_lost: int = 0) -> bytes:
    """Return the metrics in Prometheus' text format 0.0.4.

    Args:
        status: what the watch knows.
        now: the time, for what is told as an age.
        events_lost: lines that could not be written to the log of events.
    """
    # It takes a tenth of a second to import, which only a watch that is asked for metrics should wait for.
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(status, now, events_lost))
    return generate_latest(registry)


@frozen(eq=False)
class _Collector:
    """The metrics of one moment."""

    _status: Status
    _now: dt.datetime
    _events_lost: int

    def collect(self) -> Iterator[Metric]:
        yield from self._rounds()
        yield from self._times()
        yield from self._sums()
        yield from self._images()

    def _rounds(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415

        totals = self._status.totals
        rounds = CounterMetricFamily("cstore_rounds", "Rounds that have ended, by how.", labels=["result"])
        for result in ("complete", "incomplete", "failed"):
            rounds.add_metric([result], getattr(totals, result))
        yield rounds
        outcomes = CounterMetricFamily("cstore_image_outcomes", "What rounds did with images.", labels=["outcome"])
        for outcome in Outcome:
            outcomes.add_metric([outcome.value], totals.outcomes.get(outcome, 0))
        yield outcomes

    def _times(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        status, last = self._status, self._status.known.latest
        yield _gauge("cstore_watch_start_time_seconds", "When the watch began.", status.begun.timestamp())
        yield _gauge("cstore_round_running", "Whether a round goes on.", float(status.running is not None))
        success = status.succeeded or status.begun
        yield _gauge(
            "cstore_seconds_since_success",
            "Age of the last round over everything that met no problem but those of single images; before the first one, of the watch.",
            (self._now - success).total_seconds(),
        )
        if status.succeeded is not None:
            yield _gauge("cstore_last_success_time_seconds", "When that round ended.", status.succeeded.timestamp())
        if status.revision is not None:
            yield _gauge("cstore_revision", "The last revision that was made.", status.revision)
        if last is None:
            return
        yield _gauge("cstore_last_round_end_time_seconds", "When the last round ended.", last.ended.timestamp())
        whole = (last.ended - last.started).total_seconds()
        yield _gauge("cstore_last_round_duration_seconds", "How long the last round took.", whole)
        parts = GaugeMetricFamily("cstore_last_round_part_duration_seconds", "How long its parts took.", labels=["part"])
        for part, seconds in sorted(last.seconds.items()):
            parts.add_metric([part], seconds)
        yield parts

    def _sums(self) -> Iterator[Metric]:
        totals = self._status.totals
        yield _counter("cstore_published_rounds", "Rounds that published something.", totals.changed)
        yield _counter("cstore_layers", "New layers in podman stores.", totals.layers)
        yield _counter("cstore_fetched_bytes", "Bytes from registries.", totals.bytes_fetched)
        yield _counter("cstore_streamed_bytes", "Bytes of tar into the repository.", totals.bytes_streamed)
        yield _counter("cstore_registry_requests", "Requests to registries.", totals.requests)
        yield _counter("cstore_notified_names", "Names in notifications that were taken.", totals.notified)
        yield _counter("cstore_events_lost", "Lines that could not be written to the log of events.", self._events_lost)

    def _images(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        images = self._status.images
        stands = [standing(image) for image in images]
        by_state = GaugeMetricFamily("cstore_images", "Images, by how they stand.", labels=["state"])
        for kind in Standing:
            by_state.add_metric([kind.value], stands.count(kind))
        yield by_state
        each = GaugeMetricFamily(
            "cstore_image_up_to_date", "Whether what the registry has of an image is published.", labels=["name", "platform"]
        )
        for image, stand in list(zip(images, stands, strict=True))[:MOST_SERIES]:
            each.add_metric([image.name, image.platform], float(stand is Standing.PUBLISHED))
        yield each
        more = max(len(images) - MOST_SERIES, 0)
        yield _gauge("cstore_images_without_series", "Images for which there is no cstore_image_up_to_date, since there are many.", more)


def _gauge(name: str, said: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    return GaugeMetricFamily(name, said, value=value)


def _counter(name: str, said: str, value: float) -> Metric:
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415

    return CounterMetricFamily(name, said, value=value)
