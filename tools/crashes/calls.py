"""The system calls of a run that change files or see to it that changes last, as strace has recorded them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TRACED", "Point", "points"]

_OPENING = frozenset(("open", "openat", "openat2"))
_LOCKING = frozenset(("fcntl",))
_CHANGING = frozenset(
    (
        *("creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "truncate", "ftruncate", "fallocate"),
        *("copy_file_range", "sendfile", "splice", "vmsplice", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
        *("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "chmod", "fchmod", "fchmodat", "fchmodat2"),
        *("chown", "lchown", "fchown", "fchownat", "utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr"),
        *("removexattr", "lremovexattr", "fremovexattr", "fsync", "fdatasync", "syncfs", "sync", "sync_file_range", "msync", "flock"),
    )
)
TRACED = ",".join(f"?{call}" for call in sorted(_CHANGING | _OPENING | _LOCKING))
"""What strace is to record; a call that it does not know, this machine has not."""

_LINE = re.compile(r"(\d+) +(\w+)\((.*)")
_WRITTEN = re.compile(r"\) += (\d+)$")
_OUTPUT = re.compile(r"[12][<,]")
_SHORTENED = frozenset(("write", "pwrite64"))


@frozen
class Point:
    """A system call at which a run is disturbed: the `number`th of its name in its thread, from 1 on."""

    call: str
    number: int
    shown: str
    """The call as it was recorded."""
    is_output: bool
    """Whether it writes to standard output or standard error."""

    @property
    def can_be_short(self) -> bool:
        """Whether it writes bytes of which a part could be written."""
        written = _WRITTEN.search(self.shown)
        return self.call in _SHORTENED and written is not None and int(written[1]) > 1

    def __str__(self) -> str:
        return f"{self.call} {self.number}: {self.shown}"


def points(log: Path) -> list[Point]:
    """Return all points of a recorded run, in their order.

    Numbers count the calls of a name within a thread, as strace counts them when it disturbs one. So they do not depend on how threads
    take turns, and what two threads do at the same number is one point.
    """
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], Point] = {}
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, call, rest = match.groups()
        counts[thread, call] += 1
        number = counts[thread, call]
        if _changes(call, rest):
            found.setdefault((call, number), Point(call, number, rest, call in _SHORTENED and _OUTPUT.match(rest) is not None))
    return [*found.values()]


def _changes(call: str, rest: str) -> bool:
    if call in _OPENING:
        return "O_CREAT" in rest or "O_TRUNC" in rest or "O_TMPFILE" in rest
    return call in _CHANGING or ("SETLK" in rest and "F_WRLCK" in rest)
