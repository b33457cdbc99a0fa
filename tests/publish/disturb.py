"""The command line disturbed: killed at one system call, or told by the system that one failed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

WRITING = (
    "openat,write,pwrite64,rename,renameat,renameat2,mkdir,mkdirat,symlink,symlinkat,link,linkat,unlink,unlinkat,rmdir,mknod,mknodat,"
    "chown,lchown,fchown,fchownat,chmod,fchmod,fchmodat,utimensat,truncate,ftruncate,fallocate,fsync,fdatasync,syncfs,sync_file_range,"
    "setxattr,lsetxattr,fsetxattr,removexattr,copy_file_range,sendfile"
)
_CHECKOUT = Path(__file__).parents[2]
_CALL = re.compile(r"\d+ +(\w+)\((.*)")


@frozen
class Point:
    """One system call of a run: the `number`th of its name."""

    call: str
    number: int

    @property
    def errors(self) -> tuple[str, ...]:
        """What can go wrong there: what takes nothing does not lack space."""
        return (
            ("EIO", "EACCES") if self.call in ("unlink", "unlinkat", "rmdir", "fchmod", "chmod", "fsync", "syncfs") else ("ENOSPC", "EIO")
        )


@frozen
class Run:
    """How a run ended."""

    code: int
    said: str
    """On stderr."""


def run(arguments: Sequence[str], *before: str) -> Run:
    """Run the command line as a program, with another before it."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "cstore", *arguments], cwd=_CHECKOUT, env=environment(), capture_output=True, text=True, check=False
    )
    return Run(done.returncode, done.stderr)


def environment() -> dict[str, str]:
    """Return an environment in which one run makes the same system calls as the other."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}


def points(arguments: Sequence[str], root: Path, log: Path) -> list[Point]:
    """Run the command line undisturbed, and return its calls that write below a store."""
    done = run(arguments, *_strace(log))
    assert done.code == 0, done.said
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        call, rest = match.groups()
        counts[call] += 1
        if str(root) in rest and (call != "openat" or "O_CREAT" in rest):
            found.append(Point(call, counts[call]))
    return found


def killed(arguments: Sequence[str], point: Point, log: Path) -> Run:
    """Run the command line and kill it as it enters a call."""
    done = run(arguments, *_strace(log, "-f"), "-e", f"inject={point.call}:signal=SIGKILL:when={point.number}")
    assert done.code == -signal.SIGKILL, done.said
    return done


def refused(arguments: Sequence[str], point: Point, error: str, log: Path) -> Run:
    """Run the command line and let one call fail."""
    done = run(arguments, *_strace(log), "-e", f"inject={point.call}:error={error}:when={point.number}")
    assert "(INJECTED)" in log.read_text(errors="replace")
    return done


def _strace(log: Path, *how: str) -> tuple[str, ...]:
    """Return the command that traces another; a quick way that cannot send signals, unless told how."""
    return ("strace", *(how or ("-f", "--seccomp-bpf")), "-qq", "-y", "-o", str(log), "-e", f"trace={WRITING}")
