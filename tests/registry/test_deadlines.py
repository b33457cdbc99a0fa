from __future__ import annotations

import socket
import threading
import time
from contextlib import closing

from cstore.registry.deadlines import Deadlines

SECONDS = 0.2


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "cstore-deadlines"]


def test_who_reads_too_long_finds_the_end() -> None:
    one, other = socket.socketpair()
    with closing(Deadlines(SECONDS)) as deadlines, one, other:
        one.settimeout(10)
        begin = time.monotonic()
        with deadlines.over(one):
            assert one.recv(1) == b""
        assert time.monotonic() - begin >= SECONDS
        assert other.recv(1) == b""


def test_each_has_its_own_time_and_one_thread_watches_all() -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    took: dict[int, float] = {}
    before = {*watchers()}
    watching: list[int] = []

    def read(number: int) -> None:
        time.sleep(0.1 * number)
        begin = time.monotonic()
        with deadlines.over(pairs[number][0]):
            watching.append(len({*watchers()} - before))
            assert pairs[number][0].recv(1) == b""
        took[number] = time.monotonic() - begin

    with closing(Deadlines(SECONDS)) as deadlines:
        threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert watching == [1] * 3
    assert {*took} == {0, 1, 2}
    assert all(seconds >= SECONDS for seconds in took.values())
    for pair in pairs:
        for end in pair:
            end.close()


def test_what_came_in_time_is_left_alone_and_what_is_closed_is_no_error() -> None:
    one, other = socket.socketpair()
    closed, apart = socket.socketpair()
    before = {*watchers()}
    with closing(Deadlines(SECONDS)) as deadlines, one, other, apart:
        with deadlines.over(one):
            pass
        with deadlines.over(closed):
            closed.close()
            time.sleep(2 * SECONDS)
        other.send(b"x")
        assert one.recv(1) == b"x"
        assert len({*watchers()} - before) == 1


def test_closing_ends_the_thread_and_it_begins_anew() -> None:
    deadlines = Deadlines(60)
    deadlines.close()
    one, other = socket.socketpair()
    before = {*watchers()}
    with one, other:
        for _ in range(2):
            with closing(deadlines), deadlines.over(one):
                assert len({*watchers()} - before) == 1
            assert not {*watchers()} - before
