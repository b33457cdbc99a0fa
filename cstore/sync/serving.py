"""The small server of a watch: status page, JSON, metrics, and notifications of registries (spec Y11 to Y15)."""

from __future__ import annotations

import hmac
import json
import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs

from attrs import frozen

from cstore.errors import FormatError, StoreError
from cstore.model.digest import found
from cstore.sync.metrics import exposition
from cstore.sync.notifications import names_in
from cstore.sync.page import POLICY, page
from cstore.sync.status import as_ascii, status_json

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection

    from cstore.sync.status import Status

__all__ = ["Desk", "Server", "parse_listen"]

MOST_AT_ONCE = 32
"""Requests that are answered at the same time; more are turned away with 503."""
PATIENCE = 10.0
"""Seconds that a request may take from its first byte to the last one of its answer."""
MOST_BODY = 1 << 20
"""Bytes of a notification."""
STILL = 1800.0
"""Seconds without a sign of life after which a watch does not count as healthy."""

_TEXT, _JSON, _HTML = "text/plain; charset=utf-8", "application/json", "text/html; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_MOST_DROPPED = 1 << 24
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def parse_listen(text: str) -> tuple[str, int]:
    """Read `ADDRESS:PORT`, an IPv6 address in brackets.

    Raises:
        FormatError: it is no such thing.
    """
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare) != (bare != host) or not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise FormatError("--listen", f"expected ADDRESS:PORT such as 127.0.0.1:9090 or [::1]:9090, found {found(text)}")
    return bare, int(port)


@frozen(kw_only=True)
class Desk:
    """What the server answers from; all of it may be called from any thread.

    Args:
        status: what the watch knows now.
        utc: the time.
        notify: takes the names of a notification.
        still: seconds since something moved.
        events_lost: lines that the log of events has lost.
        say: takes a line on what should not have happened.
        secret: what notifications must show; None where none are taken.
    """

    status: Callable[[], Status]
    utc: Callable[[], dt.datetime]
    notify: Callable[[Collection[str]], object]
    still: Callable[[], float]
    events_lost: Callable[[], int]
    say: Callable[[str], object]
    secret: bytes | None = None

    def health(self) -> tuple[int, str]:
        """Return the code and the text of `/healthz`: whether rounds come, and those over everything end without an error."""
        status = self.status()
        if self.still() > STILL:
            return 503, f"nothing has moved for {self.still():.0f} seconds\n"
        return (503, f"{status.failure}\n") if status.error else (200, "fine\n")

    def admits(self, authorization: str) -> bool:
        """Whether a header carries the secret, as a bearer token or by itself; the time that this takes says nothing of it."""
        given = authorization.encode("latin-1", "replace")
        bearer = given[7:].strip() if given[:7].lower() == b"bearer " else given
        return self.secret is not None and hmac.compare_digest(bearer, self.secret)


class _Handler(BaseHTTPRequestHandler):
    """One request: the connection ends with its answer."""

    server: Server
    timeout = PATIENCE
    _method = ""
    _has_unread_body = False
    _paths: ClassVar[dict[str, tuple[str, ...]]] = {
        **dict.fromkeys(("/", "/status.json", "/metrics", "/healthz"), ("GET", "HEAD")),
        "/notify": ("POST",),
    }

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        # Whatever the method is called, it comes to do_ANY.
        self._method, self.command = self.command, "ANY"
        self._has_unread_body = "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        return True

    def do_ANY(self) -> None:
        """Answer a request of any method."""
        path, _, query = self.path.partition("?")
        methods = self._paths.get(path)
        if methods is None:
            self._answer(404, "there is no such page\n")
        elif self._method not in methods:
            self._answer(405, f"expected {' or '.join(methods)}\n", more={"Allow": ", ".join(methods)})
        elif path == "/notify":
            self._take_notification()
        else:
            self._show(path, query)

    def _show(self, path: str, query: str) -> None:
        desk = self.server.desk
        status, now = desk.status(), desk.utc()
        if path == "/":
            wanted = parse_qs(query).get("name", [""])[0]
            self._answer(200, page(status, now, wanted), _HTML)
        elif path == "/status.json":
            self._answer(200, status_json(status, now), _JSON)
        elif path == "/metrics":
            self._answer(200, exposition(status, now, events_lost=desk.events_lost()), _METRICS)
        else:
            self._answer(*desk.health())

    def _take_notification(self) -> None:
        desk, length = self.server.desk, self.headers.get("Content-Length", "")
        if desk.secret is None:
            self._answer(403, "notifications are not taken here: the watch was given no secret\n")
        elif not desk.admits(self.headers.get("Authorization", "")):
            self._answer(401, "expected the secret in the header Authorization\n", more={"WWW-Authenticate": "Bearer"})
        elif self.headers.get("Transfer-Encoding") or not length:
            self._answer(411, "expected a header Content-Length\n")
        elif not (length.isascii() and length.isdigit()):
            self._answer(400, "expected a number in the header Content-Length\n")
        elif int(length[:12]) > MOST_BODY:
            self._answer(413, f"expected at most {MOST_BODY} bytes\n")
        else:
            self._take(self.rfile.read(int(length)), int(length))

    def _take(self, body: bytes, length: int) -> None:
        self._has_unread_body = False
        if len(body) != length:
            self._answer(400, f"notification: expected {length} bytes, found {len(body)}\n")
            return
        try:
            names = names_in(body)
        except FormatError as error:
            self._answer(400, f"{error}\n")
            return
        if names:
            self.server.desk.notify(names)
        self._answer(202 if names else 200, as_ascii(json.dumps({"names": sorted(names)})) + b"\n", _JSON)

    def _answer(self, code: int, body: str | bytes, kind: str = _TEXT, more: dict[str, str] | None = None) -> None:
        data = body.encode("utf-8", "replace") if isinstance(body, str) else body
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self._method != "HEAD":
            self.wfile.write(data)

    def finish(self) -> None:
        """End the answer; a body that was refused is dropped, so that the client reads the answer and not of a broken connection."""
        super().finish()
        left = _MOST_DROPPED if self._has_unread_body else 0
        try:
            self.connection.shutdown(socket.SHUT_WR)
            while left > 0 and (dropped := len(self.connection.recv(1 << 16))):
                left -= dropped
        except OSError:
            return

    def version_string(self) -> str:
        """Return what the server calls itself."""
        return "cstore"

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the log of a watch is its events."""


class Server(ThreadingHTTPServer):
    """A server in threads of its own, which end with the process.

    Args:
        address: an IP address, or the name of one, and a port; 0 for one that is free.
        desk: what it answers from.

    Raises:
        StoreError: there is nothing to listen at.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], desk: Desk) -> None:
        self.desk = desk
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._ends: dict[socket.socket, float] = {}
        try:
            self.address_family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
            super().__init__(address, _Handler)
        except OSError as error:
            raise StoreError(f"{address[0]}:{address[1]}: expected to listen there, found: {error.strerror}") from None

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = self.server_address[:2]
        return f"http://{f'[{host!s}]' if ':' in str(host) else host!s}:{port}/"

    def start(self, poll: float = 1.0) -> None:
        """Answer from now on, in a thread that looks every so many seconds whose time is over."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": poll}, name="serving", daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Bind without asking for the name of the address, which may take a while and is not needed."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the standard library has it
        """Answer a request in a thread, or turn it away where there are too many."""
        if not self._slots.acquire(blocking=False):
            request.setblocking(False)  # noqa: FBT003 - as the standard library has it
            with suppress(OSError):
                request.send(b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        self._ends[request] = time.monotonic() + PATIENCE
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            self._release(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the standard library has it
        """Answer a request, and make room for the next one."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._release(request)

    def _release(self, request: socket.socket) -> None:
        self._ends.pop(request, None)
        self._slots.release()

    def service_actions(self) -> None:
        """End the connections that have had their time; who sends a byte now and then keeps nobody else out."""
        now = time.monotonic()
        for request, end in [*self._ends.items()]:
            if now >= end:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Say what should not have happened; a client that went away is none of it."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.desk.say(f"a request failed: {error!r}")
