from __future__ import annotations

import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cstore.source.abreast import MOST_WORKERS, Work, abreast, usual_workers
from cstore.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STEPS = 5
PATIENCE = 20


class Told:
    """A progress that notes what it is told, and in which thread."""

    def __init__(self) -> None:
        self.works: list[tuple[str, str, int]] = []
        self.steps: list[int] = []
        self.threads: set[int] = set()

    def __call__(self, work: str, subject: str, total: int) -> Callable[[int], object]:
        self.works.append((work, subject, total))
        self.steps.append(0)
        place = len(self.steps) - 1
        return partial(self._advance, place)

    def _advance(self, place: int, size: int) -> None:
        assert place == len(self.steps) - 1, "one work is told of after the other"
        self.threads.add(threading.get_ident())
        self.steps[place] += size


def work(number: int, pause: float = 0, *, fails: bool = False) -> Work[int]:
    def run(advance: Callable[[int], object]) -> int:
        for _ in range(STEPS):
            time.sleep(pause)
            advance(10)
        if fails:
            raise ValueError(number)
        return number * number

    return Work("doing", str(number), 10 * STEPS, run)


def done(works: Sequence[Work[int]], workers: int) -> tuple[list[int] | int, Told]:
    """Return what works gave, or the number of the one whose error was raised, and what was told of them."""
    told = Told()
    try:
        return abreast(works, workers, told), told
    except ValueError as error:
        return int(error.args[0]), told


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([0, 0, 0.0005, 0.002]), st.sampled_from([False, False, False, True])), max_size=7),
    st.integers(2, 5),
)
def test_whatever_the_timing_all_is_as_if_done_one_after_the_other(timing: list[tuple[float, bool]], workers: int) -> None:
    works = [work(number, pause, fails=fails) for number, (pause, fails) in enumerate(timing)]
    (result, told), (expected, alone) = done(works, workers), done(works, 1)
    assert result == expected
    assert (told.works, told.steps) == (alone.works, alone.steps)
    assert told.threads <= {threading.get_ident()}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cstore-work-")]


def test_works_are_done_at_once() -> None:
    meeting = threading.Barrier(3, timeout=PATIENCE)
    works = [Work("meeting", str(number), 0, lambda _advance: meeting.wait() >= 0) for number in range(3)]
    assert abreast(works, 3, Told()) == [True] * 3


def test_no_more_are_done_at_once_than_there_are_workers() -> None:
    lock = threading.Lock()
    going, most = 0, 0

    def run(_advance: Callable[[int], object]) -> None:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        time.sleep(0.001)
        with lock:
            going -= 1

    abreast([Work("doing", "", 0, run)] * 20, 2, Told())
    assert most <= 2


def test_an_error_stops_the_works_after_it_and_waits_for_those_before_it() -> None:
    all_go = threading.Barrier(3, timeout=PATIENCE)
    has_failed = threading.Event()
    ended: list[str] = []

    def before(_advance: Callable[[int], object]) -> int:
        all_go.wait()
        assert has_failed.wait(PATIENCE)
        time.sleep(0.01)
        ended.append("before")
        return 0

    def failing(_advance: Callable[[int], object]) -> int:
        all_go.wait()
        has_failed.set()
        raise ValueError(1)

    def after(advance: Callable[[int], object]) -> int:
        all_go.wait()
        try:
            while True:
                time.sleep(0.001)
                advance(1)
        finally:
            ended.append("after")

    works = [Work("doing", name, 0, run) for name, run in (("before", before), ("failing", failing), ("after", after))]
    assert done([*works, work(3)], 3)[0] == 1
    assert sorted(ended) == ["after", "before"]


def test_ctrl_c_stops_all_works() -> None:
    ended: list[int] = []

    def run(number: int, advance: Callable[[int], object]) -> None:
        if number == 1:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        try:
            while True:
                time.sleep(0.001)
                advance(1)
        finally:
            ended.append(number)

    # A shell has its background jobs ignore it, and then Python does too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            abreast([Work("doing", str(number), 0, partial(run, number)) for number in range(2)], 2, Told())
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(ended) == [0, 1]


def test_works_that_wait_are_ended_by_what_ends_all() -> None:
    waits = threading.Barrier(3, timeout=PATIENCE)

    def run(_advance: Callable[[int], object]) -> None:
        waits.wait()
        pause(600)

    def progress(_work: str, _subject: str, _total: int) -> Callable[[int], object]:
        waits.wait()
        return advance

    def advance(size: int) -> None:
        assert size == 0, "nothing comes, and still it is told"
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        abreast([Work("doing", str(number), 0, run) for number in range(2)], 2, progress)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cstore-work-")]


def test_a_progress_that_fails_stops_all_works() -> None:
    def progress(_work: str, _subject: str, _total: int) -> Callable[[int], object]:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        abreast([work(number, 0.001) for number in range(5)], 3, progress)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cstore-work-")]


def test_a_machine_has_at_least_one_worker_and_not_too_many() -> None:
    assert 1 <= usual_workers() <= MOST_WORKERS
