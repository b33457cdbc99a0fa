from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.errors import SourceError
from cstore.registry.certificates import Certificates
from cstore.registry.connections import Connections, LostError, RejectedError, UnreachableError, origin
from cstore.registry.patience import Patience
from tools.registries.proxy import Fault, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.registries.server import Registry

SHORT = Patience(connect=2, silence=0.4, head=0.8, window=0.4, least=1024)


@pytest.fixture
def connections() -> Iterator[Connections]:
    made = Connections(Certificates(), 2, SHORT)
    yield made
    made.close()


def body(connections: Connections, url: str, most: int = 1 << 20) -> bytes:
    with connections.send("GET", url, {}, is_insecure=False, at="x") as answer:
        return answer.read(most, "x")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://registry.example.org/a", ("https", "registry.example.org", 443)),
        ("http://Registry.example.org:5000", ("http", "registry.example.org", 5000)),
    ],
)
def test_where_a_url_leads(url: str, found: tuple[str, str, int]) -> None:
    assert origin(url, "x") == found


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v2/",
        "ftp://a/",
        "https://",
        "https://a:b/",
        "https://u:p@a/",
        "https://u@a/",
        "https://a/\n",
        "https://a/ b",
        "https://é/",
        "https://a:99999/",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(SourceError) as error:
        origin(url, "x")
    assert str(error.value) == "x: expected an address that begins with https:// and a host, found another one"


def test_what_is_sent_and_counted(connections: Connections) -> None:
    with Proxy("127.0.0.1:1", Fault("", status=200, body=b"12345", times=None)) as proxy:
        for _ in range(3):
            assert body(connections, f"http://{proxy.address}/v2/?a=b") == b"12345"
    assert (connections.requests, connections.bytes_fetched) == (3, 15)
    assert [(seen.path, seen.headers["User-Agent"], seen.headers["Accept-Encoding"]) for seen in proxy.seen] == [
        ("/v2/?a=b", "cstore", "identity")
    ] * 3


def test_a_host_has_no_more_connections_than_allowed(connections: Connections) -> None:
    with Proxy("127.0.0.1:1", Fault("", status=200, body=b"12345", times=None)) as proxy:
        held = [connections.send("GET", f"http://{proxy.address}/", {}, is_insecure=False, at="x") for _ in range(2)]
        waiting = threading.Thread(target=body, args=(connections, f"http://{proxy.address}/third"))
        waiting.start()
        time.sleep(0.2)
        assert proxy.asked("third") == []
        held[0].close()
        waiting.join(5)
        assert len(proxy.asked("third")) == 1
        held[1].close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(Fault("", drop=True), "Remote end closed connection without response", id="no answer"),
        pytest.param(Fault("", status=200, body=b"12345", cut=3), "IncompleteRead", id="cut off"),
        pytest.param(Fault("", status=200, body=b"12345", headers={"Content-Length": "9"}), "timed out", id="silent"),
        pytest.param(Fault("", status=200, body=bytes(100), pause=0.1), "fewer than 1024 bytes a second", id="a slow body"),
        pytest.param(Fault("", status=200, headers={"X": "x" * 1000}, drip=0.1), "", id="a slow head"),
        pytest.param(Fault("", status=200, headers={"X": "x" * 70000}), "", id="a long head"),
        pytest.param(Fault("", status=200, headers={f"X{number}": "x" for number in range(200)}), "", id="too many headers"),
        pytest.param(Fault("", status=200, headers={"Transfer-Encoding": "chunked"}, body=b"zz\r\n", encloses=False), "", id="bad chunks"),
    ],
)
def test_answers_that_do_not_come_whole(connections: Connections, fault: Fault, said: str) -> None:
    """Spec Q7."""
    begin = time.monotonic()
    with Proxy("127.0.0.1:1", fault) as proxy, pytest.raises(LostError) as error:
        body(connections, f"http://{proxy.address}/")
    assert said in str(error.value)
    assert "0x" not in str(error.value)
    assert time.monotonic() - begin < 30


def test_a_slow_body_is_taken_as_long_as_enough_comes() -> None:
    """So few bytes are enough here that they come on a busy machine too, and so many that they take longer than the window."""
    connections = Connections(Certificates(), 2, evolve(SHORT, least=16, silence=20))
    with closing(connections), Proxy("127.0.0.1:1", Fault("", status=200, body=bytes(3000), pause=0.0003)) as proxy:
        assert body(connections, f"http://{proxy.address}/") == bytes(3000)


def test_more_than_was_wanted(connections: Connections) -> None:
    with Proxy("127.0.0.1:1", Fault("", status=200, body=bytes(1000))) as proxy, pytest.raises(SourceError) as error:
        body(connections, f"http://{proxy.address}/", 999)
    assert str(error.value) == "x: expected an answer of up to 999 bytes, found more"


def test_nobody_there(connections: Connections) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(UnreachableError) as error:
            body(connections, f"http://127.0.0.1:{nobody.getsockname()[1]}/")
    assert str(error.value) == "[Errno 111] Connection refused"


def test_no_tls(connections: Connections) -> None:
    with Proxy("127.0.0.1:1") as proxy, pytest.raises((RejectedError, LostError)):
        body(connections, f"https://{proxy.address}/")


def test_an_answer_that_is_closed_early_gives_its_place_to_the_next(registry: Registry, connections: Connections, tmp_path: Path) -> None:
    assert tmp_path.exists()
    for _ in range(5):
        connections.send("GET", f"http://{registry.address}/v2/", {}, is_insecure=False, at="x").close()
    with Proxy("127.0.0.1:1", Fault("", status=200, body=bytes(1 << 22), times=None)) as proxy:
        for _ in range(5):
            connections.send("GET", f"http://{proxy.address}/", {}, is_insecure=False, at="x").close()
    assert connections.bytes_fetched < 1 << 20
