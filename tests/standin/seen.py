"""What a repository of the stand-in holds, as tests compare it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tests.images import END

if TYPE_CHECKING:
    from pathlib import Path

    from tools.cvmfs_standin.harness import Standin

_KINDS = {stat.S_IFCHR: "char", stat.S_IFIFO: "fifo", stat.S_IFDIR: "directory", stat.S_IFBLK: "block"}


def ingest(machine: Standin, stream: bytes, *options: str) -> int:
    """Ingest a tar at the root with the tar's owners, and return the exit code."""
    return machine.run("ingest", "-k", "-t", "-", "-b", "/", *options, "r", data=stream)[0]


def cut(stream: bytes) -> bytes:
    """Return a tar without the zeros that end it."""
    assert stream.endswith(END)
    return stream[: -len(END)]


def client(machine: Standin) -> Path:
    """Return where the newest revision is."""
    return machine.site.root / "client/r"


def tree(machine: Standin) -> dict[str, str | bytes]:
    """Return all entries: the content of files, `-> text` of symlinks, else the kind."""
    found: dict[str, str | bytes] = {}
    root = client(machine)
    for directory, names, files in os.walk(root.resolve()):
        for name in names + files:
            path = os.path.relpath(os.path.join(directory, name), root.resolve())  # noqa: PTH118 - beside relpath
            mode = (root / path).lstat().st_mode
            if stat.S_ISLNK(mode):
                found[path] = f"-> {(root / path).readlink()}"
            elif stat.S_ISREG(mode):
                found[path] = (root / path).read_bytes()
            else:
                found[path] = _KINDS[stat.S_IFMT(mode)]
    return found


def revision(machine: Standin) -> int:
    """Return the number of what is published, as a client would read it."""
    text = (machine.repository("r").storage / ".cvmfspublished").read_text()
    return int(next(line[1:] for line in text.splitlines() if line.startswith("S")))


def owner(machine: Standin, path: str) -> tuple[int, int, int]:
    """Return owner, group and mode of an entry."""
    status = (client(machine) / path).lstat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


def is_open(machine: Standin) -> bool:
    """Whether a transaction is open on this host."""
    return machine.repository("r").flag.exists()
