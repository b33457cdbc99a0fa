"""Whose a transaction is that is open: only what cstore has opened itself is it ever to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import Factory, define, field

from cstore.publish.program import wait_for_reader

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

__all__ = ["Opening"]

Mark = tuple[int, int, int]


@define
class Opening:
    """A call that is about to open a transaction, and what becomes known of that one.

    Args:
        flag: the file that CernVM-FS has in the repository's spool while a transaction is open.
    """

    flag: Path
    is_ours: bool = field(default=False, init=False)
    """Whether the call has opened its transaction: from then on nobody else's is in its way."""
    _before: Mark | None = field(default=Factory(lambda self: _mark(self.flag), takes_self=True), init=False)
    _opened: Mark | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def wait(self, pipe: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until the program has read what is in its pipe, which it does in a transaction of its own only, or has ended."""
        self._process = process
        self.is_ours = wait_for_reader(pipe, process)
        self._opened = _mark(self.flag)

    def wait_unseen(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of a program that reads nothing: the transaction that one leaves which was killed was not open before."""
        self._process = process
        self.is_ours = process.wait() < 0 and self._before is None
        self._opened = _mark(self.flag)

    def is_left_open(self) -> bool:
        """Whether the program was killed and its transaction is open still, this very one, and none that was opened since."""
        return self.is_ours and self._process is not None and (self._process.poll() or 0) < 0 and _mark(self.flag) == self._opened


def _mark(flag: Path) -> Mark | None:
    """Return what tells a transaction from any other, None where none is open."""
    try:
        found = flag.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
