"""A proxy before a registry that makes it faulty, by rule.

    with Proxy(registry.address, Fault("GET .*/blobs/", status=429, headers={"Retry-After": "3"})) as proxy:
        ... ask proxy.address in place of registry.address ...
        proxy.seen                                   # every request: method, path, headers

A fault meets the requests that its pattern finds in `METHOD PATH`, after letting `skip` of them pass, `times` times (None: for ever).
The first fault that meets a request is carried out. Faults may be added to `proxy.faults` while it runs.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, urlsplit

from attrs import define, field, frozen

from tools.registries.serving import QuietServer, Serving

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Fault", "Proxy", "Seen"]

_KEPT_BACK = ("connection", "transfer-encoding", "content-length", "keep-alive", "date", "server")
_PATIENCE = 30


@define
class Fault:
    """What goes wrong with some requests; all of these can be combined that make sense together."""

    matches: str
    """A regular expression for `METHOD PATH?QUERY`, searched for."""
    times: int | None = 1
    skip: int = 0
    status: int = 0
    """An answer of the proxy's own."""
    headers: Mapping[str, str] = field(factory=dict)
    """Of that answer, or besides the registry's."""
    body: bytes = b""
    unless_authorized: bool = False
    """Whether requests with the header Authorization pass."""
    redirect: str = ""
    """HOST:PORT to which requests are led, with the same path."""
    drop: bool = False
    """The connection is closed without an answer."""
    cut: int | None = None
    """After so many bytes of the body the connection is closed."""
    pause: float = 0.0
    """Seconds before each byte of the body; nobody waits for its end."""
    drip: float = 0.0
    """Seconds before each byte of the head."""
    flip: bool = False
    """The first byte of the body is another one."""
    resize: int = 0
    """By so many bytes the body is longer or shorter, and says so."""
    without: tuple[str, ...] = ()
    """Headers that the answer lacks."""
    ignores_range: bool = False
    page: int = 0
    """How many tags are on one page of a list."""
    encloses: bool = True
    """Whether the body's length is told; without it, the end of the connection is its end."""


@frozen
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]


class Proxy(Serving):
    """Passes requests to a registry, HOST:PORT without TLS, and answers back, but for faults.

    Args:
        upstream: the registry.
        faults: what goes wrong.
        certificate: a file with a certificate, beside it `.key` in place of its ending: then the proxy speaks TLS.
    """

    def __init__(self, upstream: str, *faults: Fault, certificate: Path | None = None) -> None:
        self.upstream = upstream
        self.faults = list(faults)
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        self._met: dict[int, int] = {}
        super().__init__(_Server(self))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def asked(self, pattern: str) -> list[Seen]:
        """Return the requests in whose `METHOD PATH` a pattern is found."""
        return [seen for seen in self.seen if re.search(pattern, f"{seen.method} {seen.path}")]

    def fault_of(self, seen: Seen) -> Fault | None:
        """Note a request, and return what goes wrong with it."""
        with self._lock:
            self.seen.append(seen)
            for fault in self.faults:
                if not re.search(fault.matches, f"{seen.method} {seen.path}"):
                    continue
                if fault.unless_authorized and "Authorization" in seen.headers:
                    continue
                met = self._met[id(fault)] = self._met.get(id(fault), 0) + 1
                if met > fault.skip and (fault.times is None or met <= fault.skip + fault.times):
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE
    disable_nagle_algorithm = True

    @property
    def _proxy(self) -> Proxy:
        return cast("_Server", self.server).proxy

    def do_GET(self) -> None:
        fault = self._proxy.fault_of(Seen(self.command, self.path, dict(self.headers.items()))) or Fault("", encloses=True)
        if fault.drop:
            self.close_connection = True
        elif fault.redirect:
            self._send(307, {"Location": f"http://{fault.redirect}{self.path}", **fault.headers}, b"", fault)
        elif fault.status:
            self._send(fault.status, dict(fault.headers), fault.body, fault)
        else:
            self._pass_on(fault)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _pass_on(self, fault: Fault) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "host")}
        if fault.ignores_range:
            headers.pop("Range", None)
        path = urlsplit(self.path).path if fault.page else self.path
        connection = http.client.HTTPConnection(self._proxy.upstream, timeout=_PATIENCE)
        try:
            connection.request(self.command, path, headers={**headers, "Host": self._proxy.upstream})
            answer = connection.getresponse()
            data = answer.read()
            told = {name: value for name, value in answer.getheaders() if name.lower() not in _KEPT_BACK}
            if self.command == "HEAD":
                told["Content-Length"] = answer.headers.get("Content-Length", "0")
        finally:
            connection.close()
        if fault.page and answer.status == 200:
            data, told = self._page(data, told, fault.page)
        if fault.flip and data:
            data = bytes([data[0] ^ 1]) + data[1:]
        if fault.resize:
            data = data + bytes(fault.resize) if fault.resize > 0 else data[: fault.resize]
        kept = {name: value for name, value in told.items() if name not in fault.without}
        self._send(answer.status, {**kept, **fault.headers}, data, fault)

    def _page(self, data: bytes, told: dict[str, str], size: int) -> tuple[bytes, dict[str, str]]:
        """Return one page of a list of tags, as registries part it that part it."""
        value = json.loads(data)
        asked = parse_qs(urlsplit(self.path).query)
        tags = [tag for tag in sorted(value["tags"] or []) if tag > asked.get("last", [""])[0]]
        if len(tags) > size:
            told = {**told, "Link": f'<{urlsplit(self.path).path}?last={tags[size - 1]}&n={size}>; rel="next"'}
        return json.dumps({**value, "tags": tags[:size]}).encode(), told

    def _send(self, status: int, headers: Mapping[str, str], data: bytes, fault: Fault) -> None:
        told = dict(headers)
        if fault.encloses and "Content-Length" not in told:
            told["Content-Length"] = str(len(data))
        if not fault.encloses or fault.cut is not None:
            self.close_connection = True
        lines = [
            f"HTTP/1.1 {status} {http.client.responses.get(status, '')}",
            *(f"{name}: {value}" for name, value in told.items()),
        ]
        head = "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"
        try:
            self._write(head, fault.drip)
            if self.command != "HEAD":
                self._write(data[: fault.cut], fault.pause)
        except OSError:
            self.close_connection = True

    def _write(self, data: bytes, pause: float) -> None:
        if not pause:
            self.wfile.write(data)
            return
        for value in data:
            time.sleep(pause)
            self.wfile.write(bytes([value]))
            self.wfile.flush()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class _Server(QuietServer):
    def __init__(self, proxy: Proxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
