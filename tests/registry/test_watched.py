from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import pytest

from cstore.registry.certificates import Certificates
from cstore.registry.connections import Connections
from cstore.registry.patience import Patience
from cstore.registry.proxies import Proxies
from cstore.registry.watched import connected
from cstore.waiting import GivenUpError, Waiter
from tools.registries.proxy import Fault, Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = 60


def given_up(work: Callable[[], object], is_waiting: Callable[[], object]) -> object:
    """Give up a thread when it waits, and return what that has raised."""
    ends: list[object] = []

    def run() -> None:
        try:
            ends.append(work())
        except BaseException as error:  # noqa: BLE001 - it is told
            ends.append(type(error))

    waiter = Waiter(run, "of a test")
    waiter.start()
    end = time.monotonic() + LONG
    while not is_waiting() and time.monotonic() < end:
        time.sleep(0.002)
    waiter.give_up()
    waiter.join(LONG)
    assert not waiter.is_alive()
    return ends[0]


def asked(connections: Connections, url: str) -> None:
    with connections.send("GET", url, {}, is_insecure=False, at="x") as answer:
        answer.read(1 << 20, "x")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("", status=200, drip=LONG), id="a head"),
        pytest.param(Fault("", status=200, body=b"12345", pause=LONG), id="a body"),
        pytest.param(Fault("", status=200, body=b"12345", pause=LONG, encloses=False), id="a body that the connection's end would end"),
    ],
)
def test_waiting_for_an_answer_ends(fault: Fault) -> None:
    with closing(Connections(Certificates(), 1, Patience())) as connections, Proxy("127.0.0.1:1", fault) as proxy:
        assert given_up(partial(asked, connections, f"http://{proxy.address}/"), lambda: proxy.seen) is GivenUpError
        assert connections.requests == 1


def test_waiting_for_a_connection_that_others_have_ends() -> None:
    fault = Fault("", status=200, body=b"12345", times=None)
    with closing(Connections(Certificates(), 1, Patience())) as connections, Proxy("127.0.0.1:1", fault) as proxy:
        url = f"http://{proxy.address}/"
        with connections.send("GET", url, {}, is_insecure=False, at="x"):
            assert given_up(partial(asked, connections, url), lambda: connections.requests == 2) is GivenUpError
        asked(connections, url)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("is_proxy", [False, True], ids=["a registry", "a proxy"])
def test_waiting_for_what_answers_nothing_ends(scheme: str, *, is_proxy: bool) -> None:
    """TLS, a tunnel, or an answer, that never begins: somebody listens, and never looks."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as opened:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        proxies = Proxies.usual({f"{scheme}_proxy": address} if is_proxy else {})
        connections = opened.enter_context(closing(Connections(Certificates(), 1, Patience(), proxies)))
        url = f"{scheme}://{'registry.example.org' if is_proxy else address}/"
        assert given_up(partial(asked, connections, url), lambda: connections.requests) is GivenUpError


def test_waiting_for_a_connection_that_is_not_taken_ends() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        # What Linux keeps for a server that never looks is full after this one.
        with socket.create_connection(server.getsockname(), LONG):
            host, port = server.getsockname()
            begun = time.monotonic()
            ended = given_up(lambda: connected(host, port, LONG), lambda: time.monotonic() > begun + 0.1)
    assert ended is GivenUpError


def test_the_first_address_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        places = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place.getsockname()) for place in (nobody, server)]

        def answer(_host: str, _port: int, *, type: int, flags: int = 0) -> object:  # noqa: A002 - as the standard library has it
            assert type == socket.SOCK_STREAM
            if flags:
                raise socket.gaierror
            return places

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        with connected("registry.example.org", 443, LONG) as made:
            assert made.getpeername() == server.getsockname()
        del places[1]
        with pytest.raises(ConnectionRefusedError):
            connected("registry.example.org", 443, LONG)


def test_looking_up_a_name_that_takes_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, over = threading.Event(), threading.Event()

    def answer(*_arguments: object, flags: int = 0, **_more: object) -> object:
        if not flags:
            looked.set()
            over.wait(LONG)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert given_up(lambda: connected("registry.example.org", 443, LONG), looked.is_set) is GivenUpError
    over.set()
    with pytest.raises(socket.gaierror, match="not known"):
        connected("registry.example.org", 443, LONG)


def test_what_is_no_name_of_a_host() -> None:
    with pytest.raises(socket.gaierror):
        connected("a" * 64 + ".example.org", 443, LONG)
