"""What is left when cstore is killed or told to end at any moment, and when a call of cvmfs_server fails.

Whatever happens, what is published is the old store or the new one, and the next run needs nobody's help. The moments are numbers of
Python's calls, so that they are the same at each run and spread over it; while a large layer is streamed, they are moments in time.
CSTORE_MOMENTS=50 tries 50 of each kind.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.images import Image, file, tar, write_layout
from tests.publish.cvmfs import NAME, STORE, publishing_machine
from tests.publish.ending import Change, Counting, Ending, EndingAt, killed_after, nothing, packed, run, wrong, wrong_for_readers
from tests.publish.stores import IMAGES, NEW, OLD, TOOL, copy, sources

if TYPE_CHECKING:
    from pathlib import Path

ASKED = int(os.environ.get("CSTORE_MOMENTS", "0"))
CHANCE = random.Random(3)  # noqa: S311 - moments, no secrets


@pytest.fixture(scope="module")
def change(tmp_path_factory: pytest.TempPathFactory) -> Change:
    """An image is added to a store that has one."""
    place = tmp_path_factory.mktemp("change")
    made = sources(place / "images")
    with publishing_machine(place / "site") as publisher:
        publisher.add({OLD: made["old"]})
        return _change(place, ("add", made["new"], "--name", NEW), publisher.newest)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Change:
    """An image with a large layer makes a store."""
    place = tmp_path_factory.mktemp("large")
    image = Image(layers=(tar(file("large", CHANCE.randbytes(12 << 20)), file("small")),), compression="none")
    (place / "nothing").mkdir()
    return _change(place, ("add", write_layout(place / "image", image), "--name", NEW), place / "nothing")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Change:
    """As many kinds of calls as there can be: remains of a layer are removed, attributes set, and the revision gets a name."""
    place = tmp_path_factory.mktemp("long")
    made = sources(place / "images")
    base = IMAGES["new"].diff_ids[0].removeprefix("sha256:")
    with publishing_machine(place / "site") as publisher:
        publisher.add({TOOL: write_layout(place / "other", Image(layers=(tar(file("other")),)))})
        publisher.publish_something(f"{STORE}/pool/{base[:2]}/{base}/diff/etc/motd/nonsense")
        verb = ("add", made["new"], "--name", NEW, "--xattrs", "--tag", "nightly")
        return _change(place, verb, publisher.newest, "CVMFS_INCLUDE_XATTRS=true")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Change:
    """An image makes a store behind a gateway."""
    place = tmp_path_factory.mktemp("shared")
    (place / "nothing").mkdir()
    return _change(place, ("add", sources(place / "images")["new"], "--name", NEW), place / "nothing", upstream="gw")


def _change(place: Path, verb: tuple[str, ...], repository: Path, *settings: str, upstream: str = "local") -> Change:
    """Return a change with the stores as they are before and after it, the latter from an undisturbed run."""
    change = Change(verb, place, packed(repository), settings, upstream)
    with change.machine("undisturbed") as publisher:
        if publisher.store.exists():
            copy(publisher.store.resolve(), place / "before")
        assert run(publisher, change.arguments, Counting(place / "calls"), nothing) == 0
        copy(publisher.store.resolve(), place / "after")
    return change


def stores(change: Change) -> list[Path]:
    return [change.place / "before", change.place / "after"]


@pytest.mark.parametrize(
    ("ending", "moments"),
    [(signal.SIGKILL, ASKED or 12), (signal.SIGTERM, ASKED or 4), (signal.SIGINT, ASKED or 4)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_ended_at_any_moment(change: Change, ending: signal.Signals, moments: int) -> None:
    calls = int((change.place / "calls").read_text())
    problems = []
    for number in range(moments):
        moment = calls * number // moments + CHANCE.randrange(calls // moments) + 1
        with change.machine(f"{ending.name}-{number}") as publisher:
            code = run(publisher, change.arguments, Ending(moment, ending), nothing)
            assert code in (-ending, 128 + ending), (moment, code)
            problems += [f"call {moment} of {calls}: {problem}" for problem in wrong(publisher, change, stores(change))]
    assert problems == []


def test_killed_while_a_large_layer_is_streamed(large: Change) -> None:
    problems = []
    for number in range(ASKED or 5):
        seconds = CHANCE.random() * 0.2
        with large.machine(number) as publisher:
            code = run(publisher, large.arguments, nothing, killed_after(seconds, b"streaming "))
            assert code in (0, -signal.SIGKILL)
            problems += [f"{seconds} seconds: {problem}" for problem in wrong(publisher, large, stores(large))]
        shutil.rmtree(publisher.machine.site.root)
    assert problems == []


@pytest.mark.parametrize("function", [os.setxattr, os.pipe, os.waitstatus_to_exitcode], ids=lambda function: str(function.__name__))
def test_killed_as_it_calls(long: Change, function: object) -> None:
    with long.machine(function) as publisher:
        assert run(publisher, long.arguments, EndingAt(function), nothing) == -signal.SIGKILL
        assert wrong_for_readers(publisher, long, stores(long)) == []


def test_killed_behind_a_gateway(shared: Change) -> None:
    calls = int((shared.place / "calls").read_text())
    problems, ends, moments = [], [], ASKED or 6
    for number in range(moments):
        moment = calls * number // moments + CHANCE.randrange(calls // moments) + 1
        with shared.machine(number) as publisher:
            # How often a thread and a pipe are waited for differs: the last moments may come after the end.
            ends.append(run(publisher, shared.arguments, Ending(moment), nothing))
            problems += [
                f"call {moment} of {calls}: {problem}"
                for problem in wrong_for_readers(publisher, shared, [shared.place / "nothing", shared.place / "after"])
            ]
    assert problems == []
    sure = moments * 5 // 6
    assert set(ends[:sure]) == {-signal.SIGKILL}
    assert set(ends[sure:]) <= {-signal.SIGKILL, 0}


CALLS = ("tag", "ingest", "ingest", "transaction", "publish", "ingest", "tag")
UNDECIDED = ((1, "during"), (4, "during"), (4, "after"), (7, "during"))


def test_as_many_calls_as_there_can_be(long: Change) -> None:
    with long.machine("calls") as publisher:
        assert run(publisher, long.arguments, nothing, nothing) == 0
        assert publisher.verbs == [*CALLS]
        assert list(wrong(publisher, long, [long.place / "after"])) == []


@pytest.mark.parametrize(
    ("number", "point"),
    [(number, point) for number in range(1, len(CALLS) + 1) for point in ("before", "during", "after") if (number, point) not in UNDECIDED],
    ids=lambda value: CALLS[value - 1] if isinstance(value, int) else value,
)
def test_a_call_fails(long: Change, number: int, point: str) -> None:
    with long.machine(f"{number}-{point}") as publisher:
        assert run(publisher.failing(f"*:{number}:{point}"), long.arguments, nothing, nothing) == 3
        assert wrong_for_readers(publisher, long, stores(long)) == []


@pytest.mark.parametrize("point", ["before", "during", "after"])
def test_the_only_call_fails(change: Change, point: str) -> None:
    with change.machine(point) as publisher:
        assert run(publisher.failing(f"*:1:{point}"), change.arguments, nothing, nothing) == 3
        assert wrong(publisher, change, stores(change)) == []


def test_a_stream_that_is_cut_between_two_members(change: Change) -> None:
    """Were it cut there, CernVM-FS would publish it as it is: a valid store, and the next run goes on from it."""
    with change.machine("whole") as publisher:
        place = publisher.machine.site.root
        assert run(publisher.through(f'tee "{place}/stream" | "$@"'), change.arguments, nothing, nothing) == 0
        stream = (place / "stream").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        ends = [member.offset for member in archive if not member.name.endswith(".lock")][1:]
    for end in CHANCE.sample(ends, min(ASKED or 6, len(ends))):
        with change.machine(end) as publisher:
            code, told = publisher.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=stream[:end])
            assert code == 0, told
            assert wrong_for_readers(publisher, change, stores(change)) == [], end
