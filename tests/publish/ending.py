"""The command line in a process of its own that is ended at a moment, and all that it leaves behind."""

from __future__ import annotations

import io
import os
import signal
import sys
import tarfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.cli import add, main  # noqa: F401 - what is imported already takes no time of a run
from cstore.model.layout import CATALOG
from tests.publish.cvmfs import NAME, STORE, Publisher, publishing_machine
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import listing
from tools.crashes.offspring import adopting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@frozen
class Change:
    """A change of a store, as a command line, which is tried on machines that are all alike."""

    verb: tuple[str, ...]
    """The verb and what follows the location."""
    place: Path
    before: bytes
    """A tar of the repository before."""
    settings: tuple[str, ...] = ()
    """Of the repositories."""
    upstream: str = "local"
    """Where the repositories are stored: `gw` behind a gateway."""

    @contextmanager
    def machine(self, name: object) -> Iterator[Publisher]:
        """Yield a machine with the repository as it is before the change, and without a call in its log."""
        with publishing_machine(self.place / f"site-{name}", *self.settings, upstream=self.upstream) as publisher:
            code, told = publisher.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=self.before)
            assert code == 0, told
            (publisher.machine.site.root / "calls.log").unlink()
            yield publisher

    @property
    def arguments(self) -> list[str]:
        return [self.verb[0], f"cvmfs://{NAME}/{STORE}", *self.verb[1:]]


def packed(top: Path) -> bytes:
    """Return a tar of all that is below a directory."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(top.resolve().rglob("*")):
            archive.add(path, str(path.relative_to(top.resolve())), recursive=False)
    return made.getvalue()


def run(publisher: Publisher, arguments: Sequence[str], prepare: Callable[[], object], watch: Callable[[int, int], object]) -> int:
    """Run the command line in a forked process, wait for all that it has started, and return its exit code.

    Args:
        publisher: the machine.
        arguments: of the command line.
        prepare: is called in the new process.
        watch: is called in this one with the number of the new process, and a descriptor from which its stderr can be read.
    """
    reader, writer = os.pipe()
    with adopting() as wait, os.fdopen(reader, "rb", buffering=0) as said:
        child = os.fork()
        if child == 0:
            said.close()
            _be_command_line(publisher, arguments, prepare, writer)
        os.close(writer)
        watch(child, reader)
        while said.read(1 << 16):
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        wait()
    return code


def _be_command_line(publisher: Publisher, arguments: Sequence[str], prepare: Callable[[], object], stderr: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(publisher.environment)
        os.dup2(stderr, 2)
        with open(os.devnull, "w") as sys.stdout, os.fdopen(2, "w", closefd=False) as sys.stderr:  # noqa: PTH123
            prepare()
            try:
                main(arguments)
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            finally:
                sys.setprofile(None)
    finally:
        os._exit(code)


def nothing(*_: object) -> None:
    """Do nothing."""


class Ending:
    """Sends a signal to this process at one of Python's calls, counted from 1; 0 for none."""

    def __init__(self, number: int, ending: signal.Signals = signal.SIGKILL) -> None:
        self._number = number
        self._ending = ending
        self._count = 0

    def __call__(self) -> None:
        sys.setprofile(self._called)

    def _called(self, _frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            self._count += 1
            if self._count == self._number:
                os.kill(os.getpid(), self._ending)


class EndingAt(Ending):
    """Sends a signal to this process as it calls a function of C."""

    def __init__(self, function: object) -> None:
        super().__init__(0)
        self._function = function

    def _called(self, _frame: object, event: str, argument: object) -> None:
        if event == "c_call" and argument is self._function:
            os.kill(os.getpid(), self._ending)


class Counting:
    """Counts Python's calls in a run, and leaves the number in a file."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._count = 0

    def __call__(self) -> None:
        sys.setprofile(self._called)

    def _called(self, _frame: object, event: str, argument: object) -> None:
        self._count += event in ("call", "c_call")
        if event == "c_call" and argument is sys.setprofile:
            self._log.write_text(str(self._count))


def wrong(publisher: Publisher, change: Change, expected: Sequence[Path]) -> list[str]:
    """Return what is wrong with what is published: it must be one of the expected stores, with nothing left open or over.

    Then the change is made again, undisturbed; it must have its effect without anybody's help.
    """
    found = [*_unsound(publisher), *_left_over(publisher)]
    if listing(publisher.store) not in [listing(store) for store in expected]:
        found.append("it is neither the old nor the new store")
    return [*found, *_wrong_again(publisher, change, expected[-1])]


def wrong_for_readers(publisher: Publisher, change: Change, expected: Sequence[Path]) -> list[str]:
    """Return the same of a change in several revisions, between which there may be trees that no index names."""
    found = _unsound(publisher)
    if names(publisher.store) not in [names(store) for store in expected]:
        found.append("readers see neither the old nor the new store")
    return [*found, *_wrong_again(publisher, change, expected[-1])]


def _wrong_again(publisher: Publisher, change: Change, expected: Path) -> list[str]:
    code = run(publisher, change.arguments, nothing, nothing)
    found = [f"the next run ends with {code}"] if code else []
    if listing(publisher.store) != listing(expected):
        found.append("the next run does not end with the new store")
    return [*found, *_unsound(publisher), *_left_over(publisher)]


def _unsound(publisher: Publisher) -> list[str]:
    found = ["a transaction is open"] if publisher.is_open else []
    return [*found, *filter(None, [publisher.check()]), *_judged(publisher, problems)]


def _left_over(publisher: Publisher) -> list[str]:
    """Return what is left over; behind a gateway the store's own directory is a catalog."""
    return [problem for problem in _judged(publisher, unfinished) if problem != "./.cvmfscatalog is left over"]


def _judged(publisher: Publisher, judge: Callable[[Path], list[str]]) -> list[str]:
    if not publisher.store.exists() or {path.name for path in publisher.store.iterdir()} <= {CATALOG}:
        return []
    try:
        return judge(publisher.store)
    except (OSError, ValueError, LookupError) as error:
        return [f"it cannot be judged: {error!r}"]


def killed_after(seconds: float, words: bytes) -> Callable[[int, int], None]:
    """Return a function that kills a process some time after it has said something."""

    def watch(child: int, reader: int) -> None:
        said = b""
        while words not in said and (more := os.read(reader, 1 << 16)):
            said += more
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)

    return watch
