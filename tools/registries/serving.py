"""A server of tests that answers as long as it is entered."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import socket

__all__ = ["QuietServer", "Serving"]


class QuietServer(ThreadingHTTPServer):
    """A server that waits for nobody at its end."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, _request: socket.socket | tuple[bytes, socket.socket], _address: object) -> None:
        """Say nothing of those who go away."""


class Serving:
    """A context manager around a server.

    Args:
        server: is bound already.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
