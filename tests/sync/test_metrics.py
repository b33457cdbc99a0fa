from __future__ import annotations

import datetime as dt
import subprocess
import sys

from attrs import evolve
from prometheus_client.parser import text_string_to_metric_families

from cstore.sync.metrics import MOST_SERIES, exposition
from cstore.sync.status import Status
from tests.sync.reports import CURRENT, END, IMAGES, START, report

LATER = START + dt.timedelta(minutes=10)


def samples(status: Status, now: dt.datetime = END, lost: int = 0) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the metrics as Prometheus' own parser reads them: by name and values of labels."""
    families = list(text_string_to_metric_families(exposition(status, now, events_lost=lost).decode()))
    assert all(family.documentation and family.type in ("counter", "gauge") for family in families)
    found = [((sample.name, tuple(sample.labels.values())), sample.value) for family in families for sample in family.samples]
    assert len(found) == len(dict(found))
    return dict(found)


def test_before_the_first_round_has_ended() -> None:
    metrics = samples(Status(begun=START).begin(1, START, None, LATER))
    assert metrics["cstore_round_running", ()] == 1
    assert metrics["cstore_seconds_since_success", ()] == 75
    assert metrics["cstore_rounds_total", ("complete",)] == 0
    assert not any(name.startswith("cstore_last_") for name, _ in metrics)


def test_after_rounds() -> None:
    """Spec Y15."""
    status = Status(begun=START).begin(1, START, None, LATER).end(report())
    status = status.begin(2, LATER, None, LATER).fail("no", LATER).begin(3, LATER, None, LATER).end(report(problems=())).take_names(4)
    metrics = samples(status, LATER, lost=2)
    expected: dict[tuple[str, tuple[str, ...]], float] = {
        ("cstore_rounds_total", ("complete",)): 0,
        ("cstore_rounds_total", ("incomplete",)): 2,
        ("cstore_rounds_total", ("failed",)): 1,
        ("cstore_published_rounds_total", ()): 2,
        ("cstore_image_outcomes_total", ("added",)): 2,
        ("cstore_image_outcomes_total", ("updated",)): 0,
        ("cstore_watch_start_time_seconds", ()): START.timestamp(),
        ("cstore_round_running", ()): 0,
        ("cstore_seconds_since_success", ()): 525,
        ("cstore_last_success_time_seconds", ()): END.timestamp(),
        ("cstore_last_round_end_time_seconds", ()): END.timestamp(),
        ("cstore_last_round_duration_seconds", ()): 75,
        ("cstore_last_round_part_duration_seconds", ("fetch",)): 60,
        ("cstore_revision", ()): 17,
        ("cstore_layers_total", ()): 6,
        ("cstore_fetched_bytes_total", ()): 2000,
        ("cstore_streamed_bytes_total", ()): 10000,
        ("cstore_registry_requests_total", ()): 24,
        ("cstore_notified_names_total", ()): 4,
        ("cstore_events_lost_total", ()): 2,
        ("cstore_images_without_series", ()): 0,
        **{("cstore_images", (state,)): 1 for state in ("failed", "behind", "published", "kept", "removed")},
        **{("cstore_image_up_to_date", (image.name, image.platform)): float(image is CURRENT) for image in IMAGES},
    }
    assert {key: metrics.get(key) for key in expected} == expected


def test_there_are_not_more_series_than_a_bound() -> None:
    images = tuple(evolve(CURRENT, name=f"{CURRENT.name}.{place:05}") for place in range(MOST_SERIES + 7))
    metrics = samples(Status(begun=START).end(report(images=images)))
    assert sum(name == "cstore_image_up_to_date" for name, _ in metrics) == MOST_SERIES
    assert (metrics["cstore_images_without_series", ()], metrics["cstore_images", ("published",)]) == (7, MOST_SERIES + 7)


def test_names_of_anybody_make_no_other_metric() -> None:
    name = 'a"} 1\ncstore_revision 99\n\\x{<b>'
    metrics = samples(Status(begun=START).end(report(images=(evolve(CURRENT, name=name),))))
    assert metrics["cstore_image_up_to_date", (name, "linux/amd64")] == 1
    assert metrics["cstore_revision", ()] == 17


def test_a_watch_without_metrics_does_not_wait_for_their_library() -> None:
    told = "import sys, cstore.sync.metrics, cstore.cli.watch; print('prometheus_client' in sys.modules, 'http.server' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout == "False False\n"
