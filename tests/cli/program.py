"""The command line called in this process, or in another one as another user."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import orjson
from attrs import frozen

from cstore.cli import main

if TYPE_CHECKING:
    from pathlib import Path

USER = 12345
"""A user that no machine has."""


@frozen
class Outcome:
    """How a call of the command line ended."""

    code: object
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was printed
        return orjson.loads(self.out)

    @property
    def sentence(self) -> str:
        """What it says on failing, without the lines that tell of progress; it must be one line."""
        (line,) = [line for line in self.err.splitlines() if not line.startswith(("downloading ", "verifying ", "unpacking "))]
        return line


def call(*arguments: object) -> Outcome:
    """Call the command line in this process."""
    out, err = StringIO(), StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
    return Outcome(code, out.getvalue(), err.getvalue())


def call_as_user(log: Path, *arguments: object, user: int = USER) -> Outcome:
    """Call the command line as a plain user, in a process of its own; root only.

    What it needs must be imported already, since the user may not be able to read the interpreter's modules.
    """
    child = os.fork()
    if child == 0:
        code: object = 1
        try:
            with log.open("w") as said, redirect_stderr(said):
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                ended = call(*arguments)
                said.write(ended.err)
                code = ended.code
        finally:
            sys.stdout.flush()
            os._exit(code if isinstance(code, int) else 1)
    _, status = os.waitpid(child, 0)
    return Outcome(os.waitstatus_to_exitcode(status), "", log.read_text())
