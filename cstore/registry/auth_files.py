"""The files in which podman and docker keep credentials: containers-auth.json(5) and docker's config.json (spec Q3)."""

from __future__ import annotations

import os
from base64 import b64decode
from binascii import Error as NoBase64
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attrs import field, frozen

from cstore.errors import FormatError
from cstore.index.gojson import decode
from cstore.model.fields import Fields, text
from cstore.registry.configured import read_configured
from cstore.registry.endpoint import HUB
from cstore.registry.login import Login

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AuthFile", "usual_files"]

_HUB_KEY = "https://index.docker.io/v1/"
_HUB_NAMES = (HUB, "index.docker.io", "registry-1.docker.io")


@frozen
class AuthFile:
    """What one file says."""

    logins: Mapping[str, Login] = field(factory=dict, repr=False)
    """By their keys: registries, repositories or parts of them, and addresses as docker writes them."""
    helpers: Mapping[str, str] = field(factory=dict)
    """Names of credential helpers by registry."""
    store: str = ""
    """The name of the credential helper for all registries."""

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file.

        Raises:
            SourceError: it cannot be read.
            FormatError: it is malformed; the error does not show what stands in it.
        """
        at = str(file)
        try:
            value = decode(read_configured(file), "")
        except FormatError:
            raise FormatError(at, "expected JSON, found something else") from None
        take = Fields(value, at)
        return cls(take.mapping("auths", _login), take.mapping("credHelpers", text), take.text_or("credsStore", ""))

    def login(self, registry: str, repository: str) -> Login | None:
        """Return what the file itself has for a repository: the longest key counts, and docker's addresses of registries last."""
        key = f"{registry}/{repository}"
        while key:
            if (found := self.logins.get(key)) and found.is_useful:
                return found
            key = key.rpartition("/")[0]
        return next((login for key, login in self.logins.items() if _host(key) == _host(registry) and login.is_useful), None)

    def helper(self, registry: str) -> tuple[str, str] | None:
        """Return the name of the helper for a registry, and what to ask it for; None where there is none."""
        for key, name in self.helpers.items():
            if name and _host(key) == _host(registry):
                return name, key
        return (self.store, _HUB_KEY if registry == HUB else registry) if self.store else None


def usual_files(environment: Mapping[str, str], home: Path) -> tuple[AuthFile, ...]:
    """Return the files of a user in their usual places, in the order in which they count.

    Args:
        environment: REGISTRY_AUTH_FILE names the only one that counts; XDG_RUNTIME_DIR, XDG_CONFIG_HOME and DOCKER_CONFIG move others.
        home: the user's directory.

    Raises:
        SourceError: a file cannot be read, or the one that is named is not there.
        FormatError: a file is malformed.
    """
    if named := environment.get("REGISTRY_AUTH_FILE", ""):
        return (AuthFile.read(Path(named)),)
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    settings = environment.get("XDG_CONFIG_HOME", "")
    docker = environment.get("DOCKER_CONFIG", "")
    places = (
        Path(runtime) / "containers/auth.json" if runtime else Path(f"/run/containers/{os.getuid()}/auth.json"),
        (Path(settings) if settings else home / ".config") / "containers/auth.json",
        (Path(docker) if docker else home / ".docker") / "config.json",
    )
    return tuple(AuthFile.read(place) for place in places if place.exists())


def _host(key: str) -> str:
    """Return the registry that a key is about, if it is about one altogether: docker writes addresses, with a path of the protocol."""
    plain = key.removeprefix("https://").removeprefix("http://")
    host, _, path = plain.partition("/")
    if path.strip("/") not in ("", "v1", "v2"):
        return plain
    return HUB if host in _HUB_NAMES else host


def _login(value: object, at: str) -> Login:
    take = Fields({} if value is None else value, at)
    user, password = _secret(take, "username"), _secret(take, "password")
    if auth := _secret(take, "auth"):
        try:
            user, colon, password = b64decode(auth, validate=True).decode().partition(":")
        except (NoBase64, UnicodeDecodeError):
            colon = ""
        if not colon:
            raise FormatError(take.at("auth"), "expected a user and a password in base64, found something else")
    return Login(user, password.strip("\0"), _secret(take, "identitytoken"))


def _secret(take: Fields, key: str) -> str:
    """Return a text; an error does not show what stands in its place."""
    value = take.raw(key)
    if value is not None and not isinstance(value, str):
        raise FormatError(take.at(key), "expected text, found something else")
    return value or ""
