"""The leases that a gateway hands out: one for each publisher, on a path and all below it."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

from tools.cvmfs_standin.site import CommandError, locked

if TYPE_CHECKING:
    from tools.cvmfs_standin.site import Repository

__all__ = ["acquire", "check", "drop", "overlap"]


def acquire(repository: Repository, path: str) -> None:
    """Take a lease.

    Raises:
        CommandError: another publisher holds one that overlaps; with exit code 16.
    """
    wanted = f"{repository.name}/{path}"
    with locked(repository.storage / "leases.lock"):
        held = _read(repository)
        for host, (leased, _) in held.items():
            if host != repository.site.host and overlap(wanted, leased):
                raise CommandError("CernVM-FS transaction error: lease path busy", 16)
        expires = time.time() + float(repository.setting("STANDIN_LEASE_SECONDS", "7200"))
        _write(repository, held | {repository.site.host: (wanted, expires)})


def check(repository: Repository) -> None:
    """See that this publisher's lease has not run out; nothing renews it."""
    if repository.site.host not in _read(repository):
        raise CommandError("the lease has expired")


def drop(repository: Repository) -> None:
    """Give this publisher's lease back, if there is one."""
    with locked(repository.storage / "leases.lock"):
        held = _read(repository)
        if held.pop(repository.site.host, None):
            _write(repository, held)


def overlap(one: str, other: str) -> bool:
    """Whether one path begins with the other: as TEXT, without case, and with `_` for any character, as SQL's LIKE compares."""
    return _is_prefix(one, other) or _is_prefix(other, one)


def _is_prefix(prefix: str, text: str) -> bool:
    pattern = "".join("." if character == "_" else re.escape(character) for character in prefix)
    return re.match(pattern, text, re.IGNORECASE | re.DOTALL) is not None


def _read(repository: Repository) -> dict[str, tuple[str, float]]:
    place = repository.storage / "leases.json"
    held: dict[str, tuple[str, float]] = json.loads(place.read_text()) if place.exists() else {}
    return {host: (path, expires) for host, (path, expires) in held.items() if expires > time.time()}


def _write(repository: Repository, held: dict[str, tuple[str, float]]) -> None:
    new = repository.storage / "leases.new"
    new.write_text(json.dumps(held))
    new.replace(repository.storage / "leases.json")
