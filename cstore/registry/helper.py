"""Credential helpers: programs `docker-credential-NAME` that keep credentials (spec Q3)."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from cstore.errors import FormatError, SourceError
from cstore.index.gojson import decode
from cstore.model.digest import found
from cstore.model.fields import Fields
from cstore.registry.login import Login
from cstore.waiting import ended_by

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ask_helper"]

_SECONDS = 30.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NONE = "credentials not found"
_TOKEN = "<token>"  # noqa: S105 - in place of a user it says that the secret is an identity token
_SHOWN = 200


def ask_helper(name: str, server: str, environment: Mapping[str, str] | None, seconds: float = _SECONDS) -> Login | None:
    """Ask a helper for the credentials of a server; None where it has none.

    Args:
        name: of the helper, without `docker-credential-`.
        server: what it is asked for.
        environment: of the program; None for this process's own.
        seconds: how long it may take.

    Raises:
        SourceError: there is no such program, it fails, takes too long, or says something else than credentials.
    """
    if not _NAME.fullmatch(name):
        raise SourceError(f"credential helper: expected a name such as secretservice, found {found(name)}")
    program = f"docker-credential-{name}"
    try:
        done = _run([program, "get"], server.encode(), environment, seconds)
    except subprocess.TimeoutExpired:
        raise SourceError(f"{program}: expected credentials for {server} within {seconds:g} s, found no answer") from None
    except OSError as error:
        raise SourceError(f"{program}: expected a program that gives credentials, found: {error.strerror}") from None
    if done.returncode:
        # Helpers say on their standard output why they fail; it has no secrets then.
        text = (done.stdout.strip() or done.stderr.strip()).decode(errors="replace")
        if _NONE in text:
            return None
        shown = "".join(sign if sign.isprintable() else "?" for sign in text[:_SHOWN])
        raise SourceError(f'{program}: expected credentials for {server}, found exit code {done.returncode}, "{shown}"')
    return _login(done.stdout, f"{program}: {server}")


def _run(command: list[str], said: bytes, environment: Mapping[str, str] | None, seconds: float) -> subprocess.CompletedProcess[bytes]:
    """Run a program as `subprocess.run` does; it is killed where nobody waits for it any more."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        try:
            with ended_by(process.kill):
                out, err = process.communicate(said, timeout=seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _login(data: bytes, at: str) -> Login | None:
    try:
        take = Fields(decode(data, ""), "")
        user, secret = take.text_or("Username", ""), take.text_or("Secret", "")
    except FormatError:
        # What it has said may be a secret.
        raise SourceError(f"{at}: expected JSON with Username and Secret, found something else") from None
    if not secret:
        return None
    return Login("", "", secret) if user == _TOKEN else Login(user, secret)
