"""Where the stand-in keeps what a real publisher keeps in /cvmfs, /var/spool/cvmfs, /srv/cvmfs and /etc/cvmfs."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CommandError", "Repository", "Site", "locked"]

_SETTING = re.compile(r"^\s*(\w+)=[\"']?(.*?)[\"']?\s*$", re.MULTILINE)


class CommandError(Exception):
    """A command ends with a message on standard error and an exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@frozen
class Site:
    """One publisher's machine. Several hosts share the storage of one root, as publishers behind one gateway do."""

    root: Path
    host: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Site:
        """Find the site that the environment names."""
        if not environ.get("CVMFS_STANDIN"):
            raise CommandError("CVMFS_STANDIN: expected the directory of the stand-in's repositories, found nothing")
        return cls(Path(environ["CVMFS_STANDIN"]).absolute(), environ.get("CVMFS_STANDIN_HOST", ""))

    @property
    def home(self) -> Path:
        """What is `/` on this host."""
        return self.root / "hosts" / self.host if self.host else self.root

    def repositories(self) -> list[Repository]:
        """Return all repositories, by name."""
        return [Repository(self, path.name) for path in sorted((self.root / "srv/cvmfs").glob("*"))]

    def repository(self, name: str) -> Repository:
        """Find a repository; whatever follows a slash is ignored."""
        found = Repository(self, name.partition("/")[0])
        if not found.name or not (found.storage / "current").exists():
            raise CommandError(f"The repository {found.name} does not exist.")
        if self.host and not found.has_gateway:
            raise CommandError(f"{found.name} has no gateway, and so only one publisher")
        found.make_spool()
        return found


@frozen
class Repository:
    """The places of one repository."""

    site: Site
    name: str

    @property
    def storage(self) -> Path:
        """What a web server hands out (`.cvmfspublished`), and the stand-in's own records."""
        return self.site.root / "srv/cvmfs" / self.name

    @property
    def config(self) -> Path:
        """The repository's server.conf."""
        return self.site.root / "etc/cvmfs/repositories.d" / self.name / "server.conf"

    @property
    def spool(self) -> Path:
        """The publisher's own directory."""
        return self.site.home / "var/spool/cvmfs" / self.name

    @property
    def published(self) -> Path:
        """Where the publisher sees what is published."""
        return self.spool / "rdonly"

    @property
    def scratch(self) -> Path:
        """Where a transaction's changes gather: the union's upper directory."""
        return self.spool / "scratch/current"

    @property
    def union(self) -> Path:
        """Where a transaction writes."""
        return self.site.home / "cvmfs" / self.name

    @property
    def flag(self) -> Path:
        """Exists while a transaction is open."""
        return self.spool / "in_transaction.lock"

    @property
    def has_gateway(self) -> bool:
        """Whether it is published through a gateway."""
        return self.setting("CVMFS_UPSTREAM_STORAGE", "").startswith("gw,")

    @property
    def owner(self) -> tuple[int, int]:
        """User and group of the repository's owner."""
        entry = pwd.getpwnam(self.setting("CVMFS_USER", "root"))
        return entry.pw_uid, entry.pw_gid

    def setting(self, name: str, default: str) -> str:
        """Read a setting of server.conf; the last one counts."""
        found: dict[str, str] = dict(_SETTING.findall(self.config.read_text()))
        return found.get(name, default)

    def make_spool(self) -> None:
        """Make this host's directories, where they do not exist."""
        for path in (self.scratch, self.spool / "ofs_workdir", self.union, self.site.root / "client"):
            path.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(self.published):
            pin = (self.storage / "current").readlink() if self.has_gateway else "current"
            replace_link(self.storage / pin / "root", self.published)


def replace_link(target: Path | str, link: Path) -> None:
    """Let a symlink point elsewhere, atomically."""
    new = link.with_name(f"{link.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


@contextmanager
def locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[int]:
    """Hold a lock while the body runs.

    Raises:
        BlockingIOError: it was not to be waited for, and somebody holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)
