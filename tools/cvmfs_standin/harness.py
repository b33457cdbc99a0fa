"""The stand-in as a test uses it: a repository to publish to, gone with all its mounts afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from attrs import field, frozen

from tools.cvmfs_standin.command import main
from tools.cvmfs_standin.mounts import mounts_below, show_published, unmount
from tools.cvmfs_standin.revisions import make_repository
from tools.cvmfs_standin.site import Repository, Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["COMMAND", "Standin", "standin"]

COMMAND = Path(__file__).parent / "cvmfs_server"
"""The program that takes the place of the real one."""


@frozen
class Standin:
    """A publisher's machine."""

    site: Site
    extra: Mapping[str, str] = field(factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a caller of the program needs in its environment, together with what it has."""
        own = {"CVMFS_STANDIN": str(self.site.root), "CVMFS_STANDIN_HOST": self.site.host, "CVMFS_STANDIN_PYTHON": sys.executable}
        return {**os.environ, **own, **self.extra}

    def on(self, host: str) -> Standin:
        """Return another publisher of the same repositories."""
        return Standin(Site(self.site.root, host), self.extra)

    def failing(self, plan: str) -> Standin:
        """Return the same publisher, where calls fail as planned."""
        return Standin(self.site, {**self.extra, "CVMFS_STANDIN_FAIL": plan})

    def make(self, name: str, *settings: str, upstream: str = "local") -> Repository:
        """Make a repository, as `mkfs` does."""
        repository = make_repository(self.site, name, upstream, settings)
        show_published(repository)
        return repository

    def repository(self, name: str) -> Repository:
        """Return the places of a repository."""
        return Repository(self.site, name)

    def start(self, *arguments: str, stdin: int | IO[bytes] = subprocess.DEVNULL, cwd: str | Path = "/") -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [COMMAND, *arguments], env=self.environment, cwd=cwd, stdin=stdin, stdout=pipe, stderr=pipe, start_new_session=True
        )

    def run(self, *arguments: str, data: bytes = b"", cwd: str | Path = "/") -> tuple[int, str]:
        """Run a command, and return its exit code and what it said on both outputs.

        It runs in a forked process, which spares the start of a Python; `start` runs the program itself.
        """
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output:
            stdin.write(data)
            stdin.seek(0)
            process = os.fork()
            if process == 0:
                _be_command(arguments, self.environment, cwd, (stdin.fileno(), output.fileno()))
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            output.seek(0)
            return code, output.read().decode()

    def costs(self, name: str) -> list[dict[str, Any]]:
        """Return what each revision has cost, oldest first."""
        code, told = self.run("costs", name)
        if code:
            raise RuntimeError(told)
        found: list[dict[str, Any]] = json.loads(told)
        return found

    def calls(self) -> list[list[str]]:
        """Return the arguments of all calls so far."""
        log = self.site.root / "calls.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def _be_command(arguments: Sequence[str], environment: Mapping[str, str], cwd: str | Path, descriptors: tuple[int, int]) -> NoReturn:
    """Go on as the command, and end."""
    code = 1
    try:
        os.dup2(descriptors[0], 0)
        os.dup2(descriptors[1], 1)
        os.dup2(descriptors[1], 2)
        os.chdir(cwd)
        with os.fdopen(1, "w", closefd=False) as sys.stdout, os.fdopen(2, "w", closefd=False) as sys.stderr:
            code = main(arguments, environment)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        raise
    finally:
        os._exit(code)


@contextmanager
def standin(root: Path) -> Iterator[Standin]:
    """Yield a machine without repositories, below a directory."""
    machine = Standin(Site(root))
    try:
        yield machine
    finally:
        clients = [Path(call[-1]) for call in machine.calls() if call[0] == "client"]
        for place in [mount for top in (*clients, root) for mount in mounts_below(top)]:
            unmount(place)
