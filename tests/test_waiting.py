from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from cstore.waiting import GivenUpError, Waiter, ended_by, pause, see_wanted

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = 60


def given_up(work: Callable[[threading.Event], object], *, at_once: bool = False) -> list[object]:
    """Give up a thread that does something, and return how that ended.

    Args:
        work: tells when it is about to wait.
        at_once: whether it is given up before it begins.
    """
    ends: list[object] = []
    waits = threading.Event()

    def run() -> None:
        try:
            ends.append(work(waits))
        except (GivenUpError, OSError) as error:
            ends.append(type(error))

    waiter = Waiter(run, "of a test")
    assert waiter.daemon
    if at_once:
        waiter.give_up()
    waiter.start()
    assert at_once or waits.wait(LONG)
    waiter.give_up()
    waiter.join(LONG)
    assert not waiter.is_alive()
    return ends


def sleep(waits: threading.Event) -> None:
    waits.set()
    pause(LONG)


def be_ended(waits: threading.Event) -> None:
    ended = threading.Event()
    with ended_by(ended.set):
        waits.set()
        if ended.wait(LONG):
            raise ConnectionResetError


def look(waits: threading.Event) -> None:
    waits.set()
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        time.sleep(0.001)
        see_wanted()


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("work", [sleep, be_ended, look])
def test_whatever_it_waits_for_ends(work: Callable[[threading.Event], object], *, at_once: bool) -> None:
    assert given_up(work, at_once=at_once) == [GivenUpError]


def test_what_has_ended_is_not_ended_again() -> None:
    ends: list[str] = []

    def work(waits: threading.Event) -> None:
        with ended_by(lambda: ends.append("before")):
            pass
        with ended_by(lambda: ends.append("first")), ended_by(lambda: ends.append("second")):
            waits.set()
            pause(LONG)

    assert given_up(work) == [GivenUpError]
    assert ends == ["first", "second"]


def test_an_error_stays_one_as_long_as_the_work_is_wanted() -> None:
    ends: list[object] = []

    def run() -> None:
        with suppress(ConnectionResetError):
            with ended_by(lambda: None):
                raise ConnectionResetError
            ends.append("no error")
        pause(0.001)
        ends.append("paused")

    waiter = Waiter(run, "of a test")
    waiter.start()
    waiter.join(LONG)
    assert ends == ["paused"]


def test_another_thread_has_nobody_who_ends_it() -> None:
    see_wanted()
    pause(0.001)
    with ended_by(lambda: pytest.fail("nobody calls it")):
        pass
