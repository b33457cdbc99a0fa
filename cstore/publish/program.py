"""How `cvmfs_server` is run, fed and understood."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import termios
import time
from array import array
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, TYPE_CHECKING

from cstore.errors import PublishError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["BusyError", "answer", "running", "wait_for_reader", "wide_pipe"]

_IN_TRANSACTION = 17
_LEASE_BUSY = 16
_BUSY_WORDS = ("lease path busy", "another process is", "already in a transaction", "cannot establish writable mountpoint", "already open")
_TOLD = 400
_PAUSE = 0.002
_PIPE = 1 << 20


class BusyError(PublishError):
    """Somebody else's transaction is open, or holds the lease."""


@contextmanager
def running(
    command: Sequence[str], call: str, stdin: int = subprocess.DEVNULL, output: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program while the body runs, and see that it ends well; the body's own error comes first.

    Args:
        command: the program with its arguments.
        call: how errors name the call, such as `cvmfs_server publish REPOSITORY`.
        stdin: an open file that it reads.
        output: an open file that gets all that it says; None if only errors shall tell of it.

    Raises:
        BusyError: somebody else is publishing.
        PublishError: it failed, or there is no such program.
    """
    with ExitStack() as files:
        output = output or files.enter_context(tempfile.TemporaryFile())
        # In a session of its own, Ctrl-C reaches cstore alone, which then ends the stream as it should. The directory must not be in
        # the repository.
        try:
            process = subprocess.Popen(command, stdin=stdin, stdout=output, stderr=subprocess.STDOUT, cwd="/", start_new_session=True)
        except OSError as error:
            raise PublishError(f"{command[0]}: expected the program of CernVM-FS, found: {error.strerror}") from None
        try:
            yield process
        except BrokenPipeError:
            # It stopped reading, and says why.
            _see_end(process, call, output)
            raise PublishError(f"{call}: expected it to read the whole stream, found that it stopped") from None
        except BaseException:
            process.wait()
            raise
        _see_end(process, call, output)


def answer(command: Sequence[str], call: str) -> str:
    """Run the program to its end, and return what it says.

    Raises:
        PublishError: it failed, or there is no such program.
    """
    with tempfile.TemporaryFile() as output:
        with running(command, call, output=output):
            pass
        output.seek(0)
        return output.read().decode("utf-8", "replace")


def _see_end(process: subprocess.Popen[bytes], call: str, output: IO[bytes]) -> None:
    code = process.wait()
    if code == 0:
        return
    output.seek(0)
    told = output.read().decode("utf-8", "replace")
    kind = BusyError if code in (_IN_TRANSACTION, _LEASE_BUSY) or any(words in told for words in _BUSY_WORDS) else PublishError
    shown = " ".join(told.split())[-_TOLD:] or "it said nothing"
    raise kind(f"{call}: expected it to publish, found exit code {code}: {shown}")


def wide_pipe() -> tuple[int, int]:
    """Return the reading and the writing end of a pipe with room for one write of a tar stream (decision 12).

    So the next write is made while the reader works on the last one. Where the system refuses so large a pipe, it has its usual size.
    """
    reader, writer = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
    return reader, writer


def wait_for_reader(pipe: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a program has read what is in its pipe, or has ended; return whether it has read it.

    It reads only when its transaction is open, so that one which is open is its own.
    """
    waiting = array("i", [1])
    has_ended = False
    while not has_ended:
        has_ended = process.poll() is not None
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        if not waiting[0]:
            return True
        time.sleep(0 if has_ended else _PAUSE)
    return False
