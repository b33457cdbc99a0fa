"""A forward proxy, as sites have them at their border: it makes tunnels (CONNECT), and passes on plain requests with whole addresses.

    with ForwardProxy({"registry.example.org": registry.address}, login="user:secret") as proxy:
        environment = {"HTTPS_PROXY": f"http://user:secret@{proxy.address}"}
        ...
        proxy.seen                               # each request that came to the proxy itself: what was asked, and its headers

It alone knows where the hosts are: whoever asks them in another way finds nothing.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from tools.registries.proxy import Seen
from tools.registries.serving import QuietServer, Serving

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ForwardProxy"]

_PATIENCE = 30
_CHUNK = 1 << 16
_KEPT_BACK = ("connection", "transfer-encoding", "keep-alive", "date", "server")


class ForwardProxy(Serving):
    """A forward proxy on the loopback.

    Args:
        hosts: where hosts are, HOST:PORT by HOST; it reaches no other one.
        login: USER:PASSWORD that it wants to see; empty for nobody in particular.
        certificate: a file with a certificate, beside it `.key` in place of its ending: then it is spoken to by TLS.
    """

    def __init__(self, hosts: Mapping[str, str], *, login: str = "", certificate: Path | None = None) -> None:
        self.hosts = dict(hosts)
        self.wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self.seen: list[Seen] = []
        super().__init__(_Server(self))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE

    @property
    def _proxy(self) -> ForwardProxy:
        return cast("_Server", self.server).proxy

    def _place(self, host: str) -> str | None:
        """Note a request, and return where its host is; None if that has been answered already."""
        self._proxy.seen.append(Seen(self.command, self.path, dict(self.headers.items())))
        if self._proxy.wanted not in ("", self.headers.get("Proxy-Authorization", "")):
            self._refuse(407)
        elif host not in self._proxy.hosts:
            self._refuse(502)
        else:
            return self._proxy.hosts[host]
        return None

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        if status == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="border"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_CONNECT(self) -> None:
        self.close_connection = True
        place = self._place(self.path.rpartition(":")[0])
        if place is None:
            return
        host, _, port = place.partition(":")
        with closing(socket.create_connection((host, int(port)), _PATIENCE)) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.wfile.flush()
            back = threading.Thread(target=_pass_on, args=(there, self.connection), daemon=True)
            back.start()
            _pass_on(self.connection, there)
            back.join(_PATIENCE)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        place = self._place(parts.hostname or "")
        if place is None:
            return
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        with closing(http.client.HTTPConnection(place, timeout=_PATIENCE)) as there:
            there.request(self.command, f"{parts.path}{'?' if parts.query else ''}{parts.query}", headers=headers)
            answer = there.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _KEPT_BACK:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while data := here.recv(_CHUNK):
            there.sendall(data)
    with suppress(OSError):
        there.shutdown(socket.SHUT_WR)


class _Server(QuietServer):
    def __init__(self, proxy: ForwardProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
