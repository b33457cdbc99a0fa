"""Credentials of users, from the files of podman and docker and from their helpers (spec Q3)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from cstore.registry.auth_files import AuthFile, usual_files
from cstore.registry.helper import ask_helper
from cstore.registry.login import Login

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Credentials", "Login"]


class Credentials:
    """Finds the credentials for a repository, for any number of threads.

    Args:
        logins: by registry or repository, for programs that have their own.
        files: where to look besides, in their order.
        environment: of credential helpers; None for this process's own.
    """

    def __init__(
        self,
        logins: Mapping[str, Login] | None = None,
        files: Sequence[AuthFile] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._files = (AuthFile(dict(logins or {})), *files)
        self._environment = environment
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str], Login | None] = {}
        """What helpers have said."""

    @classmethod
    def usual(cls, environment: Mapping[str, str], home: Path) -> Self:
        """Return those of a user, from the files in their usual places.

        Raises:
            SourceError: a file cannot be read.
            FormatError: a file is malformed.
        """
        return cls(files=usual_files(environment, home), environment=dict(environment) or None)

    def find(self, registry: str, repository: str) -> Login | None:
        """Return the credentials for a repository; None where there are none.

        The first file that has any decides. In each, a helper comes first.

        Raises:
            SourceError: a helper fails.
        """
        for file in self._files:
            helper = file.helper(registry)
            found = (self._from(*helper) if helper else None) or file.login(registry, repository)
            if found:
                return found
        return None

    def _from(self, name: str, server: str) -> Login | None:
        with self._lock:
            if (name, server) not in self._asked:
                self._asked[name, server] = ask_helper(name, server, self._environment)
            return self._asked[name, server]
