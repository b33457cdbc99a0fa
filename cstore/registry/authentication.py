"""Showing a registry who is asking: nobody in particular, a user with a password, or the bearer of a token (spec Q5, Q6)."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from attrs import field, frozen

from cstore.errors import FormatError, SourceError
from cstore.index.gojson import decode
from cstore.model.fields import Fields
from cstore.registry.challenge import Challenge, parse_challenges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cstore.registry.credentials import Credentials, Login
    from cstore.registry.endpoint import Endpoint

__all__ = ["Authentication", "TokenRequest"]

_SHORTEST = 60.0
"""What a token lasts that does not say how long, as Docker's specification has it."""
_SHARE = 0.9
_CLIENT = "cstore"
_LONGEST_TOKEN = 65536


@frozen
class TokenRequest:
    """A request to the server that gives tokens."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What no message may repeat."""


@frozen
class _Proof:
    """What is sent in the header Authorization, and until when."""

    header: str = field(repr=False)
    end: float = float("inf")


class Authentication:
    """Knows what to send to which registry, for any number of threads.

    Args:
        credentials: of users.
        ask: sends a request for a token to an endpoint's server, and returns the body of its answer.
    """

    def __init__(self, credentials: Credentials, ask: Callable[[Endpoint, TokenRequest, str], bytes]) -> None:
        self._credentials = credentials
        self._ask = ask
        self._lock = threading.Lock()
        self._locks: dict[Endpoint, threading.Lock] = {}
        self._challenges: dict[str, Challenge] = {}
        """What each registry asked for last, so that another repository of it costs no refused request first."""
        self._proofs: dict[Endpoint, _Proof] = {}

    def known(self, endpoint: Endpoint, at: str) -> str | None:
        """Return what to send to a repository; None for nothing.

        Raises:
            SourceError: credentials or a token cannot be got.
            LostError: the server of tokens does not answer.
        """
        with self._locked(endpoint):
            proof = self._proofs.get(endpoint)
            if proof and time.monotonic() < proof.end:
                return proof.header
            challenge = self._challenges.get(endpoint.registry)
            return self._prove(endpoint, challenge, at) if challenge else None

    def after_refusal(self, endpoint: Endpoint, values: Iterable[str], sent: str | None, at: str) -> str | None:
        """Return what to send after an answer with status 401; None where there is nothing better than what was sent.

        Args:
            endpoint: what was asked.
            values: of the answer's WWW-Authenticate.
            sent: what was sent before.
            at: what errors call it.

        Raises:
            SourceError: credentials or a token cannot be got, or the registry asks for something else than these.
            LostError: the server of tokens does not answer.
        """
        challenges = {challenge.scheme: challenge for challenge in reversed(parse_challenges(values))}
        challenge = challenges.get("bearer") or challenges.get("basic")
        if challenge is None:
            asked = ", ".join(sorted(challenges)) or "nothing"
            raise SourceError(f"{at}: expected a registry that asks for Basic or Bearer, found one that asks for {asked}")
        with self._locked(endpoint):
            proof = self._proofs.get(endpoint)
            if proof and proof.header != sent and time.monotonic() < proof.end:
                return proof.header
            self._challenges[endpoint.registry] = challenge
            made = self._prove(endpoint, challenge, at)
            return None if made == sent else made

    def _prove(self, endpoint: Endpoint, challenge: Challenge, at: str) -> str | None:
        login = self._credentials.find(endpoint.registry, endpoint.repository)
        if challenge.scheme == "basic":
            made = None if login is None or login.identity_token else _Proof(_basic(login))
        else:
            request = _request(endpoint, challenge, login, at)
            made = _token(self._ask(endpoint, request, at), at)
        if made is None:
            self._proofs.pop(endpoint, None)
            return None
        self._proofs[endpoint] = made
        return made.header

    def _locked(self, endpoint: Endpoint) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(endpoint, threading.Lock())


def _basic(login: Login) -> str:
    return f"Basic {b64encode(f'{login.user}:{login.password}'.encode()).decode()}"


def _request(endpoint: Endpoint, challenge: Challenge, login: Login | None, at: str) -> TokenRequest:
    realm = challenge.parameters.get("realm", "")
    try:
        parts = urlsplit(realm)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "https" and not (endpoint.is_insecure and parts.scheme == "http"):
        raise SourceError(f"{at}: expected a server of tokens at an address that begins with https://, found another one")
    asked = {"service": challenge.parameters.get("service", ""), "scope": f"repository:{endpoint.repository}:pull"}
    asked = {name: value for name, value in asked.items() if value}
    if login and login.identity_token:
        form = {"grant_type": "refresh_token", "client_id": _CLIENT, **asked, "refresh_token": login.identity_token}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return TokenRequest("POST", realm, headers, urlencode(form).encode(), (login.identity_token,))
    account = {"account": login.user} if login else {}
    query = urlencode([*parse_qsl(parts.query), *account.items(), *asked.items()])
    headers = {"Authorization": _basic(login)} if login else {}
    return TokenRequest("GET", urlunsplit((parts.scheme, parts.netloc, parts.path, query, "")), headers)


def _token(data: bytes, at: str) -> _Proof:
    """Read a token, and say until when it is good: a little less long than its server says."""
    try:
        take = Fields(decode(data, ""), "")
        token = take.text_or("token", "") or take.text_or("access_token", "")
    except FormatError:
        # What it has instead may be a secret.
        token = ""
    if not token or len(token) > _LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise SourceError(f"{at}: expected a token from the server of tokens, found something else")
    lasts = take.raw("expires_in")
    seconds = max(float(lasts), 1.0) if isinstance(lasts, int | float) and not isinstance(lasts, bool) else _SHORTEST
    return _Proof(f"Bearer {token}", time.monotonic() + _SHARE * seconds)
