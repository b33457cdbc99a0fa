"""The command line in a forked process: what is imported already takes no time of a run, and each run makes the same system calls."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import socket
import sys
import tempfile
from typing import TYPE_CHECKING, NoReturn

from attrs import frozen

import cstore
from cstore.cli import main
from tools.crashes.disturbance import Undisturbed
from tools.crashes.offspring import adopting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.crashes.disturbance import Disturbance

__all__ = ["Ended", "import_all", "run"]


@frozen
class Ended:
    """How a run has ended."""

    code: int
    """The exit code; minus the number of the signal that killed it."""
    out: str
    err: str


def import_all() -> None:
    """Import all modules of cstore."""
    for module in pkgutil.walk_packages(cstore.__path__, "cstore."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def run(arguments: Sequence[str], environment: Mapping[str, str], disturbance: Disturbance | None = None) -> Ended:
    """Run the command line in a forked process, and wait until it and all that it has started have ended.

    Args:
        arguments: of the command line.
        environment: what is added to this process's.
        disturbance: what is done to it meanwhile.
    """
    disturbance = disturbance or Undisturbed()
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with adopting() as wait:
            process = os.fork()
            if process == 0:
                ours.close()
                _be_command_line(arguments, environment, disturbance, theirs, (out.fileno(), err.fileno()))
            theirs.close()
            disturbance.attend(process, ours)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            wait()
        said = [os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace") for file in (out, err)]
    return Ended(code, *said)


def _be_command_line(
    arguments: Sequence[str], environment: Mapping[str, str], disturbance: Disturbance, line: socket.socket, outputs: tuple[int, int]
) -> NoReturn:
    code: object = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(environment)
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        with os.fdopen(1, "w", closefd=False) as sys.stdout, os.fdopen(2, "w", closefd=False) as sys.stderr:
            disturbance.begin(line)
            line.recv(1)
            try:
                main(arguments)
                code = 0
            except SystemExit as end:
                code = end.code or 0
            except BaseException as error:  # noqa: BLE001 - it is told as Python tells it
                sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code if isinstance(code, int) else 1)
