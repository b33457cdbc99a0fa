from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cstore.cli.interrupts import Interrupts, interruptible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


def heeded(times: list[float]) -> list[bool]:
    """Return which of the signals at some times interrupt."""
    clock = iter(times)
    interrupts = Interrupts(lambda: next(clock))
    found = []
    for _ in times:
        try:
            interrupts(signal.SIGINT, None)
        except KeyboardInterrupt:
            found.append(True)
        else:
            found.append(False)
    return found


@pytest.mark.parametrize(
    ("times", "interrupt"),
    [
        pytest.param([7.0], [True], id="one"),
        pytest.param([7.0, 7.001, 7.4], [True, False, False], id="several at once"),
        pytest.param([7.0, 7.4, 7.6, 7.7, 9.0], [True, False, True, False, True], id="somebody who goes on"),
    ],
)
def test_which_signals_interrupt(times: list[float], interrupt: list[bool]) -> None:
    assert heeded(times) == interrupt


@contextmanager
def handled(handler: Callable[[int, FrameType | None], object] | int) -> Iterator[None]:
    """Have Ctrl-C handled so while the body runs."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_while_the_body_runs_signals_interrupt_it() -> None:
    with handled(signal.default_int_handler):
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_when_all_is_over_no_signal_is_heeded() -> None:
    with handled(signal.default_int_handler):
        with interruptible() as interrupts:
            interrupts.is_over = True
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    with handled(signal.SIG_IGN), interruptible():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_than_the_main_one_changes_nothing() -> None:
    found = []

    def run() -> None:
        with interruptible():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]
