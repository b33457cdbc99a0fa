"""Short writes that tell the truth: the kernel writes the first half of the bytes, and says so.

strace can only make a call return a number without writing anything, which no program can survive. Here the kernel hands a write to
this process instead (seccomp's user notification, Linux 5.6), which makes it with half of its bytes, on the same open file.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import select
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.crashes.calls import Point

__all__ = ["is_possible", "listener", "shorten"]

_MACHINES = {"x86_64": (317, {"write": 1, "pwrite64": 18}), "aarch64": (277, {"write": 64, "pwrite64": 68})}
"""The numbers of seccomp and of the calls that can be shortened."""
_PIDFD_GETFD = 438
_NO_NEW_PRIVILEGES = 38
_SET_FILTER, _NEW_LISTENER = 1, 8
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_LOAD_NUMBER, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_RECEIVED = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")


def is_possible() -> bool:
    """Whether this machine is one of those whose numbers are known."""
    return platform.machine() in _MACHINES


def listener(call: str) -> int:
    """See that this process makes no such call any more before a listener has agreed, and return the listener's descriptor."""
    seccomp, numbers = _MACHINES[platform.machine()]
    instructions = (
        (_LOAD_NUMBER, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 1, numbers[call]),
        (_RETURN, 0, 0, _NOTIFY),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("@HxxxxxxP", len(instructions), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return _checked(libc.syscall(seccomp, _SET_FILTER, _NEW_LISTENER, ctypes.create_string_buffer(program)))


def shorten(listening: int, process: int, point: Point) -> bool:
    """Let all calls pass until the last program has ended that makes them, but one, which is shortened; return whether there was one.

    Args:
        listening: the descriptor of the listener.
        process: the one that is disturbed; programs that it starts are not.
        point: which call of each of its threads.
    """
    counts: dict[int, int] = {}
    has_shortened = False
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    while not any(event & select.POLLHUP for _, event in poll.poll()):
        received = bytearray(_RECEIVED.size)
        try:
            fcntl.ioctl(listening, _RECEIVE, received)
        except OSError:
            # Whoever asked was killed meanwhile.
            continue
        identity, thread, _, _, _, _, *arguments = _RECEIVED.unpack(received)
        answer = _ANSWER.pack(identity, 0, 0, _CONTINUE)
        if Path(f"/proc/{process}/task/{thread}").exists():
            counts[thread] = counts.get(thread, 0) + 1
            if counts[thread] == point.number and arguments[2] > 1:
                answer = _ANSWER.pack(identity, _half(process, point.call, arguments), 0, 0)
                has_shortened = True
        with suppress(OSError):
            fcntl.ioctl(listening, _SEND, answer)
    return has_shortened


def _half(process: int, call: str, arguments: list[int]) -> int:
    """Write the first half of the bytes that another process wanted to write, and return how many these were."""
    descriptor, address, size, offset, *_ = arguments
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        data = memory.read(size // 2)
    with closing(_Descriptor(process, descriptor)) as file:
        return os.write(file.number, data) if call == "write" else os.pwrite(file.number, data, offset)


class _Descriptor:
    """A copy of an open file of another process."""

    def __init__(self, process: int, descriptor: int) -> None:
        handle = os.pidfd_open(process)
        try:
            self.number = _checked(ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, handle, descriptor, 0))
        finally:
            os.close(handle)

    def close(self) -> None:
        os.close(self.number)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
