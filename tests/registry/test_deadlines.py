from __future__ import annotations

import socket
import threading
import time

from cstore.registry.deadlines import Deadlines

SECONDS = 0.2


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "cstore-deadlines"]


def test_who_reads_too_long_finds_the_end() -> None:
    deadlines = Deadlines(SECONDS)
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(10)
        begin = time.monotonic()
        with deadlines.over(one):
            assert one.recv(1) == b""
        assert SECONDS <= time.monotonic() - begin < 5
        assert other.recv(1) == b""
    deadlines.close()


def test_each_has_its_own_time_and_one_thread_watches_all() -> None:
    deadlines = Deadlines(SECONDS)
    pairs = [socket.socketpair() for _ in range(3)]
    ended: dict[int, float] = {}
    begin = time.monotonic()

    def read(number: int) -> None:
        time.sleep(0.1 * number)
        with deadlines.over(pairs[number][0]):
            assert pairs[number][0].recv(1) == b""
        ended[number] = time.monotonic() - begin

    threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    assert len(watchers()) == 1
    for thread in threads:
        thread.join()
    deadlines.close()
    assert [*ended] == [0, 1, 2]
    assert all(ended[number] >= SECONDS + 0.1 * number for number in ended)
    for pair in pairs:
        for end in pair:
            end.close()


def test_what_came_in_time_is_left_alone_and_what_is_closed_is_no_error() -> None:
    deadlines = Deadlines(SECONDS)
    one, other = socket.socketpair()
    closed, apart = socket.socketpair()
    with one, other, apart:
        with deadlines.over(one):
            pass
        with deadlines.over(closed):
            closed.close()
            time.sleep(2 * SECONDS)
        other.send(b"x")
        assert one.recv(1) == b"x"
    assert len(watchers()) == 1
    deadlines.close()


def test_closing_ends_the_thread_and_it_begins_anew() -> None:
    deadlines = Deadlines(60)
    deadlines.close()
    one, other = socket.socketpair()
    with one, other:
        for _ in range(2):
            with deadlines.over(one):
                assert len(watchers()) == 1
            deadlines.close()
            assert not watchers()
