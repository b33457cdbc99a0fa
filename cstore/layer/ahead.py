"""A stream that a thread reads ahead, so that whoever takes it has the next bytes at hand."""

from __future__ import annotations

import io
import threading
from queue import Empty, Queue
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ahead"]

_CHUNK = 1 << 18
_MOST_CHUNKS = 8


class Ahead(io.RawIOBase):
    """Reads a stream ahead, by 2 MiB at most. What reading it raises is raised when its place is come to.

    Unpacking and hashing leave Python's lock to others, so that they go on in a thread while the caller waits for the reader of a pipe,
    or works with what came before.

    Args:
        raw: the stream; nobody else may read it, and it is closed with this one.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw
        self._chunks: Queue[bytes | BaseException] = Queue(_MOST_CHUNKS)
        self._rest = memoryview(b"")
        self._error: BaseException | None = None
        self._has_ended = False
        self._is_wanted = True
        # Whoever forgets to close it shall not keep the program from ending.
        self._thread = threading.Thread(target=self._read, name="cstore-ahead", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io.BufferedReader passes
        """Take what was read."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if not self._rest and not self._has_ended:
            self._rest = self._next()
        part = self._rest[: len(buffer)]
        self._rest = self._rest[len(part) :]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """End the thread, and close the stream."""
        if not self.closed:
            self._is_wanted = False
            _empty(self._chunks.get_nowait)
            self._thread.join()
            self._raw.close()
        super().close()

    def _next(self) -> memoryview:
        if self._error is not None:
            raise self._error
        chunk = self._chunks.get()
        if isinstance(chunk, BaseException):
            self._error = chunk
            raise chunk
        self._has_ended = not chunk
        return memoryview(chunk)

    def _read(self) -> None:
        """Read until the end, or until nobody wants it any more; what is put after the chunks were thrown away still finds room."""
        try:
            while self._is_wanted:
                chunk = self._raw.read(_CHUNK)
                self._chunks.put(chunk)
                if not chunk:
                    break
        except BaseException as error:  # noqa: BLE001 - raised where the stream is read
            self._chunks.put(error)


def _empty(take: Callable[[], object]) -> None:
    try:
        while True:
            take()
    except Empty:
        return
