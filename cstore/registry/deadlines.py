"""Connections that are given up where nothing has come in time: one thread watches over all of them (spec Q7)."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Deadlines", "shut"]


class Deadlines:
    """Has whoever reads from a connection too long find its end; for any number of threads.

    A thread for each request would take longer than the request.

    Args:
        seconds: after which a connection is given up.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._watched: dict[object, tuple[float, socket.socket]] = {}
        """Until when each may take, in the order in which they began, and so in that of their ends."""
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, connection: socket.socket) -> Iterator[None]:
        """Watch over a connection while the body runs."""
        key = object()
        with self._changed:
            self._watched[key] = (time.monotonic() + self._seconds, connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="cstore-deadlines", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._watched.pop(key, None)

    def close(self) -> None:
        """End the thread; it begins anew when something is to be watched again."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def _watch(self) -> None:
        with self._changed:
            while self._thread is threading.current_thread():
                now = time.monotonic()
                for key, (end, connection) in [*self._watched.items()]:
                    if end > now:
                        break
                    del self._watched[key]
                    shut(connection)
                # Whatever comes meanwhile ends later than what is there, or than in so many seconds.
                self._changed.wait(next((end - now for end, _ in self._watched.values()), self._seconds))


def shut(connection: socket.socket | None) -> None:
    """Have whoever waits for a connection find its end."""
    if connection is None:
        return
    try:
        # Not by the method of TLS's sockets, which changes the object that another thread is using.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return
