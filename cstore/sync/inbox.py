"""What is asked of a watch from outside: by signals, and by notifications of registries."""

from __future__ import annotations

import threading
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Inbox"]

_MOST = 1000
"""Names that are remembered one by one; with more, a round looks at everything."""


class _Asked(Enum):
    STOP = "stop"
    EVERYTHING = "everything"
    NAMES = "names"


@define
class Inbox:
    """Requests to a watch. Any thread may make them, and `stop` and `look_at_all` a signal handler too: those take no lock."""

    stopping: bool = field(default=False, init=False)
    _wakes: SimpleQueue[_Asked] = field(factory=SimpleQueue, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _names: set[str] = field(factory=set, init=False)
    _everything: bool = field(default=False, init=False)

    def stop(self) -> None:
        """Ask for the end after the running round."""
        self.stopping = True
        self._wakes.put(_Asked.STOP)

    def look_at_all(self) -> None:
        """Ask for a round over everything now."""
        self._wakes.put(_Asked.EVERYTHING)

    def look_at(self, names: Collection[str]) -> None:
        """Ask for a round over some names soon; with too many of them it is one over everything."""
        with self._lock:
            wake = bool(names) and not self._names
            if len(self._names) <= _MOST:
                self._names.update(names)
        if wake:
            self._wakes.put(_Asked.NAMES)

    def wait(self, seconds: float) -> None:
        """Wait until something is asked, at most some seconds; signal handlers run meanwhile."""
        try:
            self._note(self._wakes.get(timeout=max(seconds, 0.0)))
            while True:
                self._note(self._wakes.get_nowait())
        except Empty:
            return

    def _note(self, asked: _Asked) -> None:
        self._everything = self._everything or asked is _Asked.EVERYTHING

    @property
    def wants_all(self) -> bool:
        """Whether somebody wants a round over everything; as of the last `wait`."""
        return self._everything or len(self._names) > _MOST

    @property
    def wants_some(self) -> bool:
        """Whether somebody wants a round over some names."""
        return bool(self._names)

    def take(self) -> frozenset[str]:
        """Take the names that were asked for, and with them what `wants_all` says."""
        self._everything = False
        with self._lock:
            names, self._names = frozenset(self._names), set()
        return names
