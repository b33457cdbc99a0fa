from __future__ import annotations

import datetime as dt
import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cstore.sync.report import ImageState, Outcome
from cstore.sync.status import (
    Running,
    Standing,
    Status,
    as_ascii,
    moment,
    standing,
    status_document,
    status_json,
    without_secrets,
)
from tests.sync.reports import BEHIND, CURRENT, END, FAILED, IMAGES, KEPT, NEW, OLD, REMOVED, SECRETS, START, report
from tests.sync.schemas import violations

LATER = START + dt.timedelta(minutes=10)
STATUS = Status(begun=START)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (CURRENT, Standing.PUBLISHED),
        (evolve(CURRENT, outcome=Outcome.UNCHANGED), Standing.PUBLISHED),
        (evolve(CURRENT, registry_digest=None), Standing.PUBLISHED),
        (BEHIND, Standing.BEHIND),
        (evolve(CURRENT, published_digest=None), Standing.BEHIND),
        (FAILED, Standing.FAILED),
        (evolve(CURRENT, error="not there"), Standing.FAILED),
        (evolve(CURRENT, outcome=Outcome.FAILED), Standing.FAILED),
        (KEPT, Standing.KEPT),
        (evolve(KEPT, error="no list"), Standing.KEPT),
        (REMOVED, Standing.REMOVED),
    ],
)
def test_how_an_image_stands(image: ImageState, expected: Standing) -> None:
    """Spec Y9."""
    assert standing(image) is expected


def test_the_document_of_a_revision_keeps_to_its_schema_and_is_the_same_each_time() -> None:
    """Spec Y10."""
    document = status_document(report())
    assert document == status_document(report(images=tuple(reversed(IMAGES)), ended=LATER, seconds={}, requests=99))
    value = json.loads(document)
    assert violations("status", value) == []
    assert [image["name"] for image in value["images"]] == sorted(image.name for image in IMAGES)
    assert value["images"][0] == {
        "name": "registry.example.org/atlas/analysis:v1",
        "platform": "linux/amd64",
        "wish": "registry.example.org/atlas/analysis:*",
        "state": "published",
        "registry_digest": NEW,
        "published_digest": NEW,
        "revision": 17,
        "published": "2026-11-24T12:01:15Z",
        "error": None,
    }


def test_what_is_served_is_the_same_document_and_more() -> None:
    """Spec Y11."""
    began = STATUS.begin(1, START, None, LATER)
    running = json.loads(status_json(began, END))
    assert violations("status", running) == []
    assert running["watch"]["round"] == {"number": 1, "started": "2026-11-24T12:00:00Z", "only": None}
    ended = began.end(report())
    served = json.loads(status_json(ended, END))
    assert violations("status", served) == []
    assert {key: value for key, value in served.items() if key != "watch"} == json.loads(status_document(report()))
    assert served["watch"]["next_round"] == "2026-11-24T12:10:00Z"
    assert served["watch"]["last_round"]["seconds"]["publish"] == 11.235
    failed = json.loads(status_json(ended.begin(2, LATER, {"b", "a"}, LATER).fail("no wishlist", LATER), LATER))
    assert violations("status", failed) == []
    assert (failed["watch"]["error"], failed["watch"]["error_time"]) == ("no wishlist", "2026-11-24T12:10:00Z")
    assert failed["images"] == served["images"]


def test_problems_and_remarks_of_the_last_round_are_told() -> None:
    last = report(problems=("a list",), remarks=("https://user:word@registry.example.org/x takes nothing",))
    for document in (status_document(last), status_json(STATUS.begin(1, START, None, LATER).end(last), END)):
        value = json.loads(document)
        assert (value["problems"], value["remarks"]) == (["a list"], ["https://registry.example.org/x takes nothing"])


@pytest.mark.parametrize("planted", [{"images": [{}]}, {"version": 2}, {"time": "today"}, {"more": 1}, {"watch": {}}], ids=str)
def test_the_schema_finds_planted_violations(planted: dict[str, object]) -> None:
    value = json.loads(status_json(STATUS.begin(1, START, None, LATER).end(report()), END))
    assert violations("status", {**value, **planted})


def test_secrets_of_urls_are_told_nowhere() -> None:
    """Spec Y12."""
    ended = STATUS.begin(1, START, None, LATER).end(report())
    failed = ended.begin(2, LATER, None, LATER).fail(f"{FAILED.error}", LATER)
    for document in (status_document(report()), status_json(failed, END)):
        assert [word for word in SECRETS if word.encode() in document] == []
    assert "https://registry.example.org/v2/blobs: expected 200, found 404" in status_document(report()).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no URL: found 404", "no URL: found 404"),
        ("https://a:b@example.org:5000/v2/", "https://example.org:5000/v2/"),
        ("http://a:b@c@example.org/x?y=z, then", "http://example.org/x, then"),
        ("docker://example.org/a/b@sha256:abc: not there", "docker://example.org/a/b@sha256:abc: not there"),
        ('"https://example.org/x?sig=1" and "https://example.org/y?sig=2#f"', '"https://example.org/x" and "https://example.org/y#f"'),
        ("https://example.org/path@not-a-user", "https://example.org/path@not-a-user"),
        ("mail user@example.org?", "mail user@example.org?"),
    ],
)
def test_urls_lose_user_and_query(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


@given(st.text(alphabet="ab:/@?#. \"'\\\n", max_size=60))
def test_telling_twice_changes_nothing_more(text: str) -> None:
    once = without_secrets(text)
    assert without_secrets(once) == once


@pytest.mark.parametrize("part", ["x", "a://", "a@", "https://x?:", ":", "?", "a:b@c/d?e "])
def test_an_error_without_end_is_cut(part: str) -> None:
    told = without_secrets(part * 10_000_000)
    assert len(told) <= 2000
    assert without_secrets(told) == told


def test_a_round_over_everything_replaces_and_one_over_names_adds() -> None:
    whole = STATUS.begin(1, START, None, LATER).end(report())
    assert whole.images == tuple(sorted(IMAGES, key=lambda image: image.name))
    names = frozenset([BEHIND.name])
    moved = evolve(BEHIND, outcome=Outcome.UPDATED, published_digest=NEW, revision=18)
    part = whole.begin(2, LATER, names, LATER).end(report(number=2, only=names, images=(moved,), revision=18, problems=()))
    assert [image.revision for image in part.images if image.name == BEHIND.name] == [18]
    assert [image.name for image in part.images] == [image.name for image in whole.images if image != REMOVED]
    assert (part.revision, part.succeeded, whole.succeeded) == (18, None, None)
    again = part.begin(3, LATER, None, LATER).end(report(number=3, images=(CURRENT,), revision=None))
    assert (again.images, again.revision) == ((CURRENT,), 18)


def test_a_round_over_names_makes_nothing_look_better_than_the_last_one_over_everything() -> None:
    """Spec Y17."""
    names = frozenset(["b", "a"])
    fine = STATUS.begin(1, START, None, LATER).end(report(problems=()))
    lacking = fine.begin(2, LATER, None, LATER).end(report(number=2, ended=LATER, problems=("a list",)))
    some = report(number=4, only=names, images=(CURRENT,), problems=("a list", "another"), remarks=("odd",))
    part = lacking.begin(3, LATER, None, LATER).fail("no wishlist", LATER).begin(4, LATER, names, LATER).end(some)
    assert (part.error, part.error_time, part.succeeded) == ("no wishlist", LATER, END)
    assert part.failure == "a round failed at 2026-11-24T12:10:00Z: no wishlist"
    told = json.loads(status_json(part, LATER))
    assert violations("status", told) == []
    assert (told["problems"], told["remarks"]) == (["a list", "another"], ["odd"])
    watch = told["watch"]
    last, partial = watch["last_round"], watch["last_partial_round"]
    assert (watch["error"], last["number"], last["complete"], last["only"]) == ("no wishlist", 2, False, None)
    assert (partial["number"], partial["complete"], partial["only"]) == (4, False, ["a", "b"])
    well = part.begin(5, LATER, names, LATER).end(evolve(some, number=5, problems=()))
    assert (well.known.problems, well.error, well.succeeded) == (("a list",), "no wishlist", END)
    whole = well.begin(6, LATER, None, LATER).end(report(number=6, ended=LATER, problems=(), images=(CURRENT,)))
    assert (whole.known.problems, whole.error, whole.error_time, whole.succeeded, whole.failure) == ((), "", None, LATER, "")
    assert json.loads(status_json(whole, LATER))["watch"]["last_partial_round"] is None


def test_a_round_over_names_that_fails_makes_it_worse() -> None:
    """Spec Y17."""
    names = frozenset("a")
    fine = STATUS.begin(1, START, None, LATER).end(report(problems=()))
    failed = fine.begin(2, LATER, names, LATER).fail("no space", LATER)
    assert failed.begin(3, LATER, names, LATER).end(report(number=3, only=names, problems=())).error == "no space"


def test_when_an_image_was_published_stays_known() -> None:
    whole = STATUS.begin(1, START, None, LATER).end(report())
    found = evolve(CURRENT, outcome=Outcome.UNCHANGED, revision=None, published=None)
    (known,) = whole.begin(2, LATER, None, LATER).end(report(number=2, images=(found,))).images
    assert (known.revision, known.published, known.outcome) == (17, END, Outcome.UNCHANGED)
    other = evolve(found, published_digest=OLD)
    (known,) = whole.begin(2, LATER, None, LATER).end(report(number=2, images=(other,))).images
    assert (known.revision, known.published) == (None, None)


def test_people_are_told_of_failed_images_first() -> None:
    whole = STATUS.begin(1, START, None, LATER).end(report())
    assert whole.ordered == [FAILED, BEHIND, CURRENT, KEPT, REMOVED]


def test_totals_add_up() -> None:
    status = STATUS
    for number in (1, 2):
        status = status.begin(number, START, None, LATER).end(report(number=number))
    status = status.begin(3, START, None, LATER).fail("no", LATER).begin(4, LATER, None, LATER).end(report(images=(CURRENT,), problems=()))
    totals = status.take_names(2).take_names(1).totals
    assert (totals.complete, totals.incomplete, totals.failed, totals.changed, totals.notified) == (1, 2, 1, 3, 3)
    assert (totals.layers, totals.bytes_fetched, totals.bytes_streamed, totals.requests) == (9, 3000, 15000, 36)
    assert totals.outcomes == dict(zip(Outcome, (3, 0, 2, 2, 2, 2), strict=True))
    assert (status.error, status.error_time, status.running) == ("", None, None)


def test_a_round_that_runs_is_known() -> None:
    status = STATUS.begin(1, START, ["b", "a", "b"], LATER)
    assert status.running == Running(number=1, started=START, only=frozenset("ab"))


def test_times_are_told_in_utc() -> None:
    eastern = START.astimezone(dt.timezone(dt.timedelta(hours=5)))
    assert (moment(eastern), moment(None)) == ("2026-11-24T12:00:00Z", None)


def test_json_tells_a_terminal_nothing() -> None:
    assert as_ascii(json.dumps("a\x7f\x1b\u202e\ud800")) == b'"a\\u007f\\u001b\\u202e\\ud800"'
