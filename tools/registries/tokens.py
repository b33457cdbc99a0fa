"""A server that gives tokens for a docker-registry, as its specification of token authentication has it.

    with TokenServer(tmp_path / "tokens", users={"alice": "secret"}) as tokens:
        with Registry(tmp_path / "registry", tokens=tokens) as registry: ...

Tokens are real: signed with a key of its own, whose certificate the registry knows. It needs the program openssl.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tools.registries.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["TokenServer"]

_SERVICE = "registry of tests, with a comma"
_ISSUER = "tests"


class TokenServer(Serving):
    """Gives tokens to users who know their passwords, or to everybody where there are no users.

    Args:
        place: a directory that is made.
        users: their passwords.
        identity_tokens: users by the identity tokens that stand for them.
        key: the member of its answers in which the token is: `token` or `access_token`.
        lasts: seconds that a token is good for, up to one less.
        says: seconds that it says to be good for; None for the truth.
    """

    def __init__(  # noqa: PLR0913 - keywords, each of them one thing to choose
        self,
        place: Path,
        *,
        users: Mapping[str, str] | None = None,
        identity_tokens: Mapping[str, str] | None = None,
        key: str = "token",
        lasts: int = 300,
        says: int | None = None,
    ) -> None:
        place.mkdir()
        self._place = place
        self._users = dict(users or {})
        self._identity_tokens = dict(identity_tokens or {})
        self._key = key
        self._lasts = lasts
        self._says = lasts if says is None else says
        self.asked: list[dict[str, str]] = []
        """What each request asked for: `method`, `scope`, `user`, and so on."""
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests"]
        files = ["-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem")]
        subprocess.run([*command, *files], check=True, capture_output=True)
        self._certificate = "".join((place / "cert.pem").read_text().splitlines()[1:-1])
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), self._handler()))
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"

    @property
    def settings(self) -> dict[str, object]:
        """What stands in the registry's configuration below `auth.token`."""
        return {"realm": self.url, "service": _SERVICE, "issuer": _ISSUER, "rootcertbundle": str(self._place / "cert.pem")}

    def token(self, repository: str, actions: Sequence[str]) -> str:
        """Return a token that allows these actions in a repository."""
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self._certificate]}
        access = [{"type": "repository", "name": repository, "actions": list(actions)}] if repository else []
        # The registry takes tokens that ended less than a minute ago.
        times = {"iat": now - 60, "nbf": now - 60, "exp": now + self._lasts - 60}
        said = {"iss": _ISSUER, "sub": "", "aud": _SERVICE, "jti": str(len(self.asked)), "access": access, **times}
        text = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(said).encode())}"
        sign = ["openssl", "dgst", "-sha256", "-sign", str(self._place / "key.pem")]
        signature = subprocess.run(sign, input=text.encode(), check=True, capture_output=True).stdout
        return f"{text}.{_encoded(signature)}"

    def _user(self, headers: Mapping[str, str], form: Mapping[str, str]) -> str | None:
        """Return who is asking, empty for nobody in particular; None for somebody who lies."""
        if "refresh_token" in form:
            return self._identity_tokens.get(form["refresh_token"])
        scheme, _, value = headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return ""
        user, _, password = base64.b64decode(value).decode().partition(":")
        return user if self._users.get(user) == password else None

    def _answer(self, method: str, headers: Mapping[str, str], form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        user = self._user(headers, form)
        self.asked.append({"method": method, **form, "user": "?" if user is None else user})
        if user is None:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": f"no, {headers.get('Authorization', form.get('refresh_token'))}"}]}
        _, repository, actions = form.get("scope", "::").split(":")
        allowed = actions.split(",") if user or not self._users else []
        return 200, {self._key: self.token(repository, allowed), "expires_in": self._says}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send("GET", urlsplit(self.path).query)

            def do_POST(self) -> None:
                self._send("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _send(self, method: str, text: str) -> None:
                form = {name: values[0] for name, values in parse_qs(text).items()}
                status, value = server._answer(method, dict(self.headers.items()), form)
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        return Handler


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
