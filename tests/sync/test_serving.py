"""The server of a watch, over real sockets."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import re
import socket
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from attrs import define, field, frozen
from prometheus_client.parser import text_string_to_metric_families

from cstore.errors import FormatError, StoreError
from cstore.sync import serving
from cstore.sync.page import POLICY
from cstore.sync.serving import MOST_AT_ONCE, MOST_BODY, Desk, Server, parse_listen
from cstore.sync.status import Status
from tests.sync.reports import END, START, report
from tests.sync.schemas import violations
from tests.sync.test_notifications import HERE, docker, envelope, harbor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SECRET = "a-long-sécret"  # noqa: S105 - of the test
STATUS = Status(begun=START).begin(1, START, None, START + dt.timedelta(minutes=10)).end(report())


@define
class Told:
    """What the server was told and has told."""

    status: Status = STATUS
    names: list[list[str]] = field(factory=list)
    said: list[str] = field(factory=list)
    still: float = 0.0
    secret: bytes | None = SECRET.encode()

    def notify(self, names: Collection[str]) -> None:
        self.names.append(sorted(names))

    def desk(self) -> Desk:
        return Desk(
            status=lambda: self.status,
            utc=lambda: END,
            notify=self.notify,
            still=lambda: self.still,
            events_lost=lambda: 0,
            say=self.said.append,
            secret=self.secret,
        )


@frozen
class Answer:
    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def port(told: Told) -> Iterator[int]:
    server = Server(("127.0.0.1", 0), told.desk())
    server.start(0.05)
    yield int(server.url.rstrip("/").rpartition(":")[2])
    server.stop()
    assert told.said == []


def ask(port: int, path: str = "/", method: str = "GET", body: bytes | None = None, host: str = "127.0.0.1", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value.encode() for name, value in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def notify(port: int, value: object, **headers: str) -> Answer:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return ask(port, "/notify", "POST", body, **{"Authorization": f"Bearer {SECRET}", **headers})


def test_the_page_is_served_with_its_policy(port: int) -> None:
    answer = ask(port)
    assert (answer.code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"]) == ("nosniff", "no-store")
    assert answer.headers["Server"] == "cstore"
    assert answer.body.startswith(b"<!DOCTYPE html>")
    assert b"registry.example.org/old:v1" in answer.body
    filtered = ask(port, "/?name=atlas%2Fana").body
    assert (b"registry.example.org/old:v1" in filtered, b"analysis:v1" in filtered) == (False, True)


def test_json_and_metrics_are_served(port: int) -> None:
    """Spec Y11 and Y15."""
    answer = ask(port, "/status.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert violations("status", json.loads(answer.body)) == []
    metrics = ask(port, "/metrics")
    assert metrics.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert len(list(text_string_to_metric_families(metrics.text))) > 15


def test_health_is_whether_rounds_come_and_end(port: int, told: Told) -> None:
    assert (ask(port, "/healthz").code, ask(port, "/healthz").text) == (200, "fine\n")
    told.status = STATUS.fail("no wishlist", END)
    assert (ask(port, "/healthz").code, ask(port, "/healthz").text) == (503, "a round failed at 2026-11-24T12:01:15Z: no wishlist\n")
    told.status = told.status.end(report(number=2, only=frozenset("a"), problems=()))
    assert ask(port, "/healthz").code == 503
    told.status = told.status.end(report(number=3, problems=()))
    assert ask(port, "/healthz").code == 200
    told.status, told.still = STATUS, 2000.0
    assert (ask(port, "/healthz").code, ask(port, "/healthz").text) == (503, "nothing has moved for 2000 seconds\n")


@pytest.mark.parametrize("path", ["/", "/status.json", "/metrics", "/healthz"])
def test_head_is_get_without_the_body(port: int, path: str) -> None:
    head, get = ask(port, path, "HEAD"), ask(port, path)
    assert (head.code, head.body, head.headers["Content-Length"]) == (200, b"", str(len(get.body)))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_refused(port: int, method: str) -> None:
    answer = ask(port, "/metrics", method)
    assert (answer.code, answer.headers["Allow"]) == (405, "GET, HEAD")
    if method != "POST":
        assert ask(port, "/notify", method).headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/etc/passwd",
        "/status.json/",
        "/notify/x",
        "/index.html",
        "*",
        "/a" * 9000,
    ],
)
def test_there_is_nothing_else(port: int, path: str) -> None:
    answer = ask(port, path)
    assert (answer.code, answer.text) == (404, "there is no such page\n")


def test_what_is_asked_comes_back_as_text_only(port: int) -> None:
    answer = ask(port, "/?name=%3Cscript%3Ealert(1)%3C/script%3E%22%27")
    assert b"<script" not in answer.body
    assert b'value="&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;"' in answer.body
    for path in ("/?name=%ff%fe", "/?" + "a=b&" * 1000, "/?name", "/?%"):
        assert ask(port, path).code == 200, path


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (f"Bearer {SECRET}", 202),
        (f"bearer  {SECRET}", 202),
        (SECRET, 202),
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Bearer wrong", 401),
        (f"Basic {SECRET}", 401),
        (SECRET[:-1], 401),
        (f"{SECRET}x", 401),
        ("\u20ac", 401),
    ],
)
def test_who_shows_the_secret_may_notify(port: int, told: Told, authorization: str, code: int) -> None:
    """Spec Y14."""
    answer = notify(port, envelope(docker()), Authorization=authorization)
    assert answer.code == code
    assert told.names == ([[f"{HERE}:v1"]] if code == 202 else [])
    assert (answer.headers.get("WWW-Authenticate") == "Bearer") == (code == 401)


def test_without_a_secret_nobody_may(told: Told) -> None:
    told.secret = None
    server = Server(("127.0.0.1", 0), told.desk())
    server.start(0.05)
    answer = notify(server.server_port, envelope(docker()), Authorization="")
    server.stop()
    assert (answer.code, told.names) == (403, [])
    assert answer.text == "notifications are not taken here: the watch was given no secret\n"


def test_notifications_of_both_kinds_are_taken(port: int, told: Told) -> None:
    """Spec Y13 and Y14."""
    docker_answer = notify(port, envelope(docker()), Content_Type="application/vnd.docker.distribution.events.v1+json")
    harbor_answer = notify(port, harbor("DELETE_ARTIFACT"), Authorization=SECRET)
    assert (docker_answer.code, json.loads(docker_answer.body)) == (202, {"names": [f"{HERE}:v1"]})
    assert (harbor_answer.code, json.loads(harbor_answer.body)) == (202, {"names": ["hub.example.org/atlas/analysis:v1"]})
    nothing = notify(port, envelope(docker(action="pull")))
    assert (nothing.code, json.loads(nothing.body)) == (200, {"names": []})
    assert told.names == [[f"{HERE}:v1"], ["hub.example.org/atlas/analysis:v1"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "notification: expected JSON, found 0 bytes"),
        (b"{", "notification: expected JSON, found 1 bytes"),
        (b"[" * 1000, "notification: expected JSON, found 1000 bytes"),
        (b'{"events":[1]}', "events[0]: expected an object, found 1"),
    ],
)
def test_what_is_no_notification_is_refused(port: int, told: Told, body: bytes, said: str) -> None:
    answer = notify(port, body)
    assert (answer.code, told.names) == (400, [])
    assert answer.text.startswith(said)


def raw(port: int, *sent: bytes) -> bytes:
    """Send bytes as they are, and return the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        for part in sent:
            link.sendall(part)
        found = b""
        while part := link.recv(65536):
            found += part
        return found


HEAD = f"POST /notify HTTP/1.1\r\nHost: x\r\nAuthorization: {SECRET}\r\n".encode()


@pytest.mark.parametrize(
    ("length", "code"),
    [
        (b"", b"411"),
        (b"Transfer-Encoding: chunked\r\n", b"411"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"411"),
        (b"Content-Length: -1\r\n", b"400"),
        (b"Content-Length: 0x10\r\n", b"400"),
        (b"Content-Length: \xb2\r\n", b"400"),
        (f"Content-Length: {MOST_BODY + 1}\r\n".encode(), b"413"),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n", b"413"),
    ],
    ids=range(8),
)
def test_a_body_has_a_length_and_a_bound(port: int, told: Told, length: bytes, code: bytes) -> None:
    """Spec Y14."""
    assert raw(port, HEAD + length + b"\r\n", b"5\r\n{}\r\n0\r\n\r\n").split()[1] == code
    assert told.names == []


def test_a_huge_body_is_refused_and_its_sender_reads_why(port: int, told: Told) -> None:
    answer = notify(port, b"x" * (8 * MOST_BODY))
    assert (answer.code, answer.text, told.names) == (413, "expected at most 1048576 bytes\n", [])
    big = envelope(*[docker(target={"tag": f"v{place}"}) for place in range(1000)])
    assert len(json.dumps(big)) < MOST_BODY
    assert len(json.loads(notify(port, big).body)["names"]) == 1000


def test_a_body_that_ends_early_is_refused(port: int, told: Told) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(HEAD + b"Content-Length: 100\r\n\r\n{}")
        link.shutdown(socket.SHUT_WR)
        answer = link.recv(65536)
    assert answer.split()[1] == b"400"
    assert told.names == []


@pytest.mark.parametrize(
    "sent",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9\r\n\r\n", b"x" * 70000 + b"\r\n\r\n"],
    ids=range(5),
)
def test_what_is_no_request_does_no_harm(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(sent)
        link.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            link.recv(65536)
    assert ask(port, "/healthz").code == 200


def test_headers_without_end_are_refused(port: int) -> None:
    assert raw(port, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n").split()[1] == b"431"


def test_who_sends_a_byte_now_and_then_is_cut_off_and_keeps_nobody_out(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PATIENCE", 2.0)
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(MOST_AT_ONCE - 1)]
        start = time.monotonic()
        for link in slow:
            link.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert ask(port, "/healthz").code == 200
        ended = 0
        while ended < len(slow) and time.monotonic() < start + 30:
            time.sleep(0.3)
            ended = 0
            for link in slow:
                try:
                    link.sendall(b"x")
                    link.setblocking(False)  # noqa: FBT003 - as the standard library has it
                    ended += link.recv(100) == b""
                except BlockingIOError:
                    pass
                except OSError:
                    ended += 1
                finally:
                    link.setblocking(True)  # noqa: FBT003 - as the standard library has it
    assert ended == len(slow)
    assert 1.5 < time.monotonic() - start < 30
    assert ask(port, "/healthz").code == 200


def test_more_requests_than_there_is_room_for_are_turned_away(port: int) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(MOST_AT_ONCE)]
        refused = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        assert re.match(rb"HTTP/1.0 503 ", refused.recv(1000))
        threads = [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]
        assert len(threads) <= MOST_AT_ONCE
        for link in idle:
            link.close()
    end = time.monotonic() + 30
    while ask(port, "/healthz").code != 200:
        assert time.monotonic() < end


def test_who_does_not_read_the_answer_is_cut_off(port: int, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PATIENCE", 1.0)
    told.status = Status(begun=START).end(report(problems=("1" * 2000,) * 20_000))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(b"GET /status.json HTTP/1.0\r\n\r\n")
        start = time.monotonic()
        while any("process_request_thread" in thread.name for thread in threading.enumerate()):
            time.sleep(0.1)
            assert time.monotonic() < start + 30


def test_a_mistake_of_the_program_is_said() -> None:
    told = Told()
    told.status = Status(begun=START).end(report(revision="seventeen"))
    server = Server(("127.0.0.1", 0), told.desk())
    server.start(0.05)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server.server_port, "/metrics")
    server.stop()
    assert told.said
    assert told.said[0].startswith("a request failed: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9090", ("127.0.0.1", 9090)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("", None),
        ("9090", None),
        (":9090", None),
        ("::1:9090", None),
        ("[::1]", None),
        ("[x]:1", None),
        ("127.0.0.1:65536", None),
        ("127.0.0.1:-1", None),
        ("127.0.0.1:\u0663", None),
        ("127.0.0.1:http", None),
    ],
)
def test_where_to_listen(text: str, expected: tuple[str, int] | None) -> None:
    if expected is not None:
        assert parse_listen(text) == expected
        return
    with pytest.raises(FormatError, match=r"^--listen: expected ADDRESS:PORT such as 127\.0\.0\.1:9090 or \[::1\]:9090, found "):
        parse_listen(text)


def test_it_listens_at_ipv6_too(told: Told) -> None:
    server = Server(("::1", 0), told.desk())
    server.start(0.05)
    assert re.fullmatch(r"http://\[::1\]:[0-9]+/", server.url)
    assert ask(server.server_port, "/healthz", host="::1").code == 200
    server.stop()


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_where_it_cannot_listen_is_told(told: Told, host: str) -> None:
    with pytest.raises(StoreError, match=rf"^{host}:9090: expected to listen there, found: "):
        Server((host, 9090), told.desk())


def test_a_port_that_is_taken_is_told(told: Told, port: int) -> None:
    with pytest.raises(StoreError, match=rf"^127\.0\.0\.1:{port}: expected to listen there, found: Address already in use$"):
        Server(("127.0.0.1", port), told.desk())
