"""How a run is disturbed at a point: killed, told that a call failed, or left with half a write."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from attrs import define, field

from tools.crashes.calls import TRACED, Point
from tools.crashes.short_writes import is_possible, listener, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Disturbance", "Kind", "Recording", "Undisturbed", "disturbance"]


class Kind(Enum):
    """What happens at a point."""

    KILL = "SIGKILL"
    ENOSPC = "ENOSPC"
    EIO = "EIO"
    EINTR = "EINTR"
    SHORT = "short write"

    def fits(self, point: Point) -> bool:
        """Whether it can happen there: only writes can be short."""
        return self is not Kind.SHORT or (point.can_be_short and is_possible())


class Disturbance(Protocol):
    """What is done to a process while it runs the command line."""

    def begin(self, line: socket.socket) -> None:
        """Do, in the process itself, what must be done before."""
        ...

    def attend(self, process: int, line: socket.socket) -> None:
        """Let the process begin by a byte on the line, and return when it has ended."""
        ...


class Undisturbed:
    """Nothing is done."""

    def begin(self, _line: socket.socket) -> None:
        """Do nothing."""

    def attend(self, _process: int, line: socket.socket) -> None:
        """Let it begin."""
        line.send(b"1")


@define
class Recording:
    """All calls are recorded that change files.

    Args:
        log: the file that gets the record.
    """

    log: Path

    def begin(self, _line: socket.socket) -> None:
        """Do nothing."""

    def attend(self, process: int, line: socket.socket) -> None:
        """Trace it to its end."""
        with _strace(process, self.log, "-y", "-e", f"trace={TRACED}"):
            line.send(b"1")


@define
class _Injected:
    """strace disturbs a call."""

    point: Point
    kind: Kind
    log: Path
    has_happened: bool = field(default=False, init=False)

    def begin(self, _line: socket.socket) -> None:
        """Do nothing."""

    def attend(self, process: int, line: socket.socket) -> None:
        """Disturb it when the call comes."""
        how = "signal=SIGKILL" if self.kind is Kind.KILL else f"error={self.kind.value}"
        call = self.point.call
        with _strace(process, self.log, "-e", f"trace={call}", "-e", f"inject={call}:{how}:when={self.point.number}"):
            line.send(b"1")
        said = self.log.read_text(errors="replace")
        self.has_happened = ("killed by SIGKILL" if self.kind is Kind.KILL else "(INJECTED)") in said
        self.log.unlink()


@define
class _Shortened:
    """A write writes half of its bytes."""

    point: Point
    has_happened: bool = field(default=False, init=False)

    def begin(self, line: socket.socket) -> None:
        """Have writes asked for."""
        asked = listener(self.point.call)
        socket.send_fds(line, [b"1"], [asked])
        os.close(asked)

    def attend(self, process: int, line: socket.socket) -> None:
        """Answer until it and all that it has started have ended."""
        _, (listening, *_), _, _ = socket.recv_fds(line, 1, 1)
        try:
            line.send(b"1")
            self.has_happened = shorten(listening, process, self.point)
        finally:
            os.close(listening)


def disturbance(point: Point, kind: Kind, log: Path) -> _Injected | _Shortened:
    """Return what disturbs a run at a point.

    Args:
        point: where.
        kind: how; it must fit.
        log: a file for strace's own use.
    """
    return _Shortened(point) if kind is Kind.SHORT else _Injected(point, kind, log)


@contextmanager
def _strace(process: int, log: Path, *how: str) -> Iterator[None]:
    """Have strace attached to a process and its threads, not to programs that it starts, and wait for the end of the process."""
    command = ["strace", "-f", "-b", "execve", "-s0", *how, "-o", str(log), "-p", str(process)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        said = tracer.stderr.readline() if tracer.stderr else b""
        if b"attached" not in said:
            raise RuntimeError(f"strace: expected it to attach, found: {said.decode()}")
        yield
        if tracer.stderr:
            tracer.stderr.read()
