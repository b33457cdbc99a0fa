"""Connections to hosts: a bounded number for each, one request at a time on each, and bodies that do not hang for ever (spec Q7)."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import EmptyPoolError, HTTPError, NewConnectionError, ProxyError, SSLError

from cstore.errors import SourceError
from cstore.registry.deadlines import Deadlines, shut
from cstore.registry.proxies import Proxies, Proxy
from cstore.registry.watched import watched
from cstore.waiting import LOOK, ended_by, see_wanted

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from cstore.registry.certificates import Certificates
    from cstore.registry.patience import Patience

__all__ = ["Answer", "Connections", "LostError", "RejectedError", "UnreachableError", "origin"]

_CHUNK = 1 << 18
_HOST = re.compile(r"[\w.:-]+", re.ASCII)
"""A name or an address; releases of urllib3 differ in what else they take for one."""
_PORTS = {"http": 80, "https": 443}
_DRAINED = 1 << 16
_OBJECT = "object at 0x"
_REFUSED = "Tunnel connection failed: "
"""How the standard library begins to tell that a proxy does not connect."""


class LostError(Exception):
    """No answer came, or not all of it; another try may have more luck."""

    host = ""
    """Who gave no answer at all, with the port where one was given."""


class UnreachableError(LostError):
    """There was no connection at all."""


class RejectedError(Exception):
    """The other side's certificate, or its TLS, will not do; trying again does not help."""


def origin(url: str, at: str) -> tuple[str, str, int]:
    """Return the scheme, host and port of a URL.

    Raises:
        SourceError: it is none that a registry can be asked at.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    is_printable = url.isascii() and url.isprintable() and " " not in url
    if not is_printable or not _HOST.fullmatch(host or "") or parts.scheme not in _PORTS or parts.username is not None or host is None:
        raise _no_address(at)
    return parts.scheme, host, _PORTS[parts.scheme] if port is None else port


def _no_address(at: str) -> SourceError:
    return SourceError(f"{at}: expected an address that begins with https:// and a host, found another one")


class Answer:
    """An answer, of which the body is still to be read. It must be read to its end, or closed.

    `proof` is what was sent in the header Authorization, which no message may repeat.
    """

    def __init__(self, url: str, response: urllib3.BaseHTTPResponse, proof: str, patience: Patience, tally: Connections) -> None:
        self.url = url
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.proof = proof
        self._response = response
        self._patience = patience
        self._tally = tally
        self._wire: socket.socket | None = getattr(response.connection, "wire", None)

    @property
    def challenges(self) -> list[str]:
        """The values of WWW-Authenticate, of which there may be several."""
        return list(self._response.headers.getlist("WWW-Authenticate"))

    @property
    def links(self) -> list[str]:
        """The values of Link."""
        return list(self._response.headers.getlist("Link"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection; one with much left to read is closed."""
        try:
            left = self._response.length_remaining
            if left is not None and left <= _DRAINED:
                for _ in self.chunks():
                    pass
        except LostError:
            pass
        finally:
            self._response.close()
            self._response.release_conn()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes.

        Raises:
            LostError: it ends too early, does not go on, or comes too slowly; only time spent on waiting counts.
        """
        waited, received = 0.0, 0
        while True:
            begin = time.monotonic()
            try:
                with ended_by(self._shut):
                    chunk = self._response.read1(_CHUNK, decode_content=False)
            except (HTTPError, OSError, ValueError) as error:
                raise LostError(_reason(error)) from None
            if not chunk:
                self._response.release_conn()
                return
            waited += time.monotonic() - begin
            received += len(chunk)
            self._tally.count_bytes(len(chunk))
            if waited > self._patience.window:
                if received < self._patience.least * waited:
                    raise LostError(f"fewer than {self._patience.least} bytes a second")
                waited, received = 0.0, 0
            yield chunk

    def read(self, most: int, at: str) -> bytes:
        """Return the whole body.

        Raises:
            LostError: it did not come whole.
            SourceError: it has more bytes than the most.
        """
        parts, size = [], 0
        for chunk in self.chunks():
            size += len(chunk)
            if size > most:
                raise SourceError(f"{at}: expected an answer of up to {most} bytes, found more")
            parts.append(chunk)
        return b"".join(parts)

    def _shut(self) -> None:
        shut(self._wire)


class Connections:
    """What is open to each host, for any number of threads.

    Args:
        certificates: of registries, and of this machine for them.
        most_per_host: connections to one host at the same time.
        patience: how long is waited.
        proxies: by which some hosts are asked; None for none.
    """

    def __init__(self, certificates: Certificates, most_per_host: int, patience: Patience, proxies: Proxies | None = None) -> None:
        self._proxies = proxies or Proxies()
        self._certificates = certificates
        self._most = most_per_host
        self._patience = patience
        self._heads = Deadlines(patience.head)
        self._pools: dict[tuple[str, str, int, bool], urllib3.HTTPConnectionPool] = {}
        self._lock = threading.Lock()
        self.requests = 0
        self.bytes_fetched = 0

    def send(  # noqa: PLR0913 - a request
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        is_insecure: bool,
        at: str,
        body: bytes | None = None,
        see: Callable[[], object] = see_wanted,
    ) -> Answer:
        """Send a request, and return the answer as soon as its head has come.

        While there is no place among the connections to the host, `see` is called again and again; it raises where nobody waits any more.

        Raises:
            LostError: none came.
            RejectedError: TLS failed.
            SourceError: the URL is none, or files of certificates cannot be used.
        """
        pool = self._pool(*origin(url, at), is_insecure=is_insecure, at=at)
        parts = urlsplit(url)
        with self._lock:
            self.requests += 1
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        if pool.proxy is not None and parts.scheme == "http":
            # Such a proxy makes the request in place of this program; by TLS it only passes on what it cannot read.
            target = f"http://{parts.netloc}{target}"
        sent = {"User-Agent": "cstore", "Accept-Encoding": "identity", **headers}
        timeout = urllib3.Timeout(connect=self._patience.connect, read=self._patience.silence)
        try:
            response = _answered(pool, see, method, target, body=body, headers=sent, timeout=timeout, assert_same_host=False)
        except SSLError as error:
            raise RejectedError(_reason(error)) from None
        except NewConnectionError as error:
            raise UnreachableError(_reason(error)) from None
        except (HTTPError, OSError, ValueError) as error:
            reason = _reason(error.original_error if isinstance(error, ProxyError) else error)
            if _REFUSED in reason:
                raise RejectedError(f"the proxy {_called(pool)} refuses it ({reason.partition(_REFUSED)[2].strip()})") from None
            raise LostError(f"the proxy {_called(pool)} cannot be used: {reason}" if isinstance(error, ProxyError) else reason) from None
        return Answer(url, response, headers.get("Authorization", ""), self._patience, self)

    def count_bytes(self, size: int) -> None:
        """Note bytes that came."""
        with self._lock:
            self.bytes_fetched += size

    def close(self) -> None:
        """Close all connections on which nobody waits."""
        for pool in self._pools.values():
            pool.close()
        self._heads.close()

    def _pool(self, scheme: str, host: str, port: int, *, is_insecure: bool, at: str) -> urllib3.HTTPConnectionPool:
        key = (scheme, host, port, is_insecure)
        with self._lock:
            if key not in self._pools:
                options: dict[str, Any] = {"maxsize": self._most, "block": True}
                if scheme == "https":
                    options["ssl_context"] = self._certificates.context(host, port, is_insecure=is_insecure, at=at)
                proxy = self._proxies.of(scheme, host, port)
                try:
                    made = self._manager(proxy, options, at).connection_from_host(host, port, scheme)
                except HTTPError:
                    raise _no_address(at) from None
                # Where a proxy makes the request, how that is spoken to counts.
                is_secure = isinstance(made, urllib3.HTTPSConnectionPool)
                made.ConnectionCls = watched(HTTPSConnection if is_secure else HTTPConnection, self._heads)
                self._pools[key] = made
            return self._pools[key]

    def _manager(self, proxy: Proxy | None, options: dict[str, Any], at: str) -> urllib3.PoolManager:
        if proxy is None:
            return urllib3.PoolManager(**options)
        context = self._certificates.context(proxy.host, proxy.port, is_insecure=False, at=at) if proxy.scheme == "https" else None
        return urllib3.ProxyManager(proxy.url, proxy_headers=dict(proxy.headers), proxy_ssl_context=context, **options)


def _called(pool: urllib3.HTTPConnectionPool) -> str:
    """Return how people are told of a pool's proxy."""
    return "" if pool.proxy is None else f"{pool.proxy.host}:{pool.proxy.port}"


def _answered(
    pool: urllib3.HTTPConnectionPool,
    see: Callable[[], object],
    method: str,
    target: str,
    **asked: Any,  # noqa: ANN401 - as urllib3 has it
) -> urllib3.BaseHTTPResponse:
    """Send a request as soon as one of the pool's connections is free."""
    # What is waited for is seconds, whole or not, which urllib3's types do not tell.
    usual: dict[str, Any] = {"redirect": False, "retries": False, "preload_content": False, "decode_content": False, "pool_timeout": LOOK}
    while True:
        see_wanted()
        see()
        try:
            return pool.urlopen(method, target, **usual, **asked)
        except EmptyPoolError:
            continue


def _reason(error: Exception) -> str:
    """Return in a few words what went wrong, without addresses of objects."""
    text = str(error.__cause__ or error.__context__ or error)
    if _OBJECT in text:
        text = text.rpartition(_OBJECT)[2].partition(": ")[2]
    return text or type(error).__name__
