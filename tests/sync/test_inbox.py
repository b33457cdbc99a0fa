from __future__ import annotations

import signal
import threading
import time

from cstore.sync.inbox import Inbox


def test_waiting_ends_when_the_time_is_over_or_something_is_asked() -> None:
    inbox = Inbox()
    inbox.wait(-1)
    start = time.monotonic()
    inbox.wait(0.1)
    assert time.monotonic() - start >= 0.1
    threading.Timer(0.1, inbox.look_at, [["a"]]).start()
    start = time.monotonic()
    inbox.wait(60)
    assert time.monotonic() - start < 30
    assert (inbox.wants_some, inbox.wants_all, inbox.take(), inbox.take()) == (True, False, frozenset("a"), frozenset())


def test_names_of_several_notifications_are_one_request() -> None:
    inbox = Inbox()
    inbox.look_at([])
    assert not inbox.wants_some
    for names in ("ab", "bc", "c"):
        inbox.look_at(names)
    inbox.wait(0)
    assert inbox.take() == frozenset("abc")
    inbox.look_at("d")
    inbox.wait(60)
    assert inbox.take() == frozenset("d")


def test_too_many_names_are_everything_and_take_no_more_room() -> None:
    inbox = Inbox()
    for place in range(3000):
        inbox.look_at([f"name-{place}"])
    assert inbox.wants_all
    assert len(inbox.take()) == 1001
    assert not inbox.wants_all


def test_everything_is_asked_for_once() -> None:
    inbox = Inbox()
    inbox.look_at_all()
    inbox.look_at_all()
    inbox.look_at("a")
    assert not inbox.wants_all
    inbox.wait(60)
    assert (inbox.wants_all, inbox.stopping) == (True, False)
    inbox.take()
    assert (inbox.wants_all, inbox.wants_some) == (False, False)


def test_a_signal_handler_may_ask_while_it_is_waited() -> None:
    inbox = Inbox()
    before = signal.signal(signal.SIGALRM, lambda *_: inbox.stop())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        start = time.monotonic()
        inbox.wait(60)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert inbox.stopping
    assert time.monotonic() - start < 30


def test_no_request_of_many_threads_is_lost() -> None:
    inbox = Inbox()
    taken: set[str] = set()

    def ask(thread: int) -> None:
        for place in range(200):
            inbox.look_at([f"{thread}/{place}"])

    threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or inbox.wants_some:
        inbox.wait(0.01)
        taken |= inbox.take()
    assert len(taken) == 800
