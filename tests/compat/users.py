"""A plain user, made for the tests and removed after them."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from tests.compat.programs import require, run

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["User", "made_user"]

# The user may not be allowed to reach the interpreter and its modules, so all are loaded before root becomes the user.
_AS_USER = """
import importlib, os, pkgutil, sys
import cstore
for module in pkgutil.walk_packages(cstore.__path__, "cstore."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
user, group = int(sys.argv.pop(1)), int(sys.argv.pop(1))
os.setgroups([])
os.setresgid(group, group, group)
os.setresuid(user, user, user)
from cstore.cli import main
main()
"""


@frozen
class User:
    """A user with ranges of subordinate users and groups."""

    ids: tuple[int, int]
    """User and group."""
    home: Path
    """A directory of theirs."""

    def cstore(self, *arguments: str | Path) -> str:
        """Run cstore's command line as this user."""
        return run(sys.executable, "-c", _AS_USER, *map(str, self.ids), *arguments)


@contextmanager
def made_user() -> Iterator[User]:
    """Make a user, and remove it with all that it has."""
    require("useradd", "newuidmap")
    name = f"cstore-{os.getpid()}"
    home = Path(tempfile.mkdtemp(prefix="user-"))
    try:
        run("useradd", "--no-create-home", "--home-dir", home, "--shell", "/bin/sh", name)
        entry = pwd.getpwnam(name)
        home.chmod(0o755)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        yield User((entry.pw_uid, entry.pw_gid), home)
    finally:
        shutil.rmtree(home)
        run("userdel", name)
