from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from cstore.errors import SourceError
from cstore.registry.authentication import Authentication, TokenRequest
from cstore.registry.credentials import Credentials, Login
from cstore.registry.endpoint import Endpoint
from tests.compat.programs import require
from tools.registries.server import Registry
from tools.registries.tokens import TokenServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE, OTHER = Endpoint("registry.example.org", "a/b"), Endpoint("registry.example.org", "c")
BEARER = ['Bearer realm="https://auth.example.org/t?x=y",service="s"']
BASIC = ['Basic realm="r"']
ALICE = Credentials({"registry.example.org": Login("alice", "secret")})
WITH_TOKEN = Credentials({"registry.example.org": Login("alice", "", "identity")})


class Server:
    """What a server of tokens was asked; it gives one token after the other."""

    def __init__(self, **answer: object) -> None:
        self.asked: list[TokenRequest] = []
        self._answer = answer

    def __call__(self, _endpoint: Endpoint, request: TokenRequest, _at: str) -> bytes:
        self.asked.append(request)
        return json.dumps({"token": f"t{len(self.asked)}", **self._answer}).encode()


def test_nothing_is_known_at_first() -> None:
    assert Authentication(ALICE, Server()).known(HERE, "x") is None


def test_basic() -> None:
    some = Authentication(ALICE, Server())
    assert some.after_refusal(HERE, BASIC, None, "x") == "Basic YWxpY2U6c2VjcmV0"
    assert some.known(HERE, "x") == some.known(OTHER, "x") == "Basic YWxpY2U6c2VjcmV0"
    assert some.after_refusal(HERE, BASIC, "Basic YWxpY2U6c2VjcmV0", "x") is None


@pytest.mark.parametrize("credentials", [Credentials(), WITH_TOKEN], ids=["none", "only an identity token"])
def test_basic_without_a_password(credentials: Credentials) -> None:
    some = Authentication(credentials, Server())
    assert (some.after_refusal(HERE, BASIC, None, "x"), some.known(HERE, "x")) == (None, None)


@pytest.mark.parametrize(
    ("credentials", "account", "proof"),
    [(Credentials(), {}, {}), (ALICE, {"account": ["alice"]}, {"Authorization": "Basic YWxpY2U6c2VjcmV0"})],
)
def test_bearer(credentials: Credentials, account: dict[str, list[str]], proof: dict[str, str]) -> None:
    """Spec Q5."""
    server = Server()
    some = Authentication(credentials, server)
    assert some.after_refusal(HERE, BEARER, None, "x") == some.known(HERE, "x") == "Bearer t1"
    (asked,) = server.asked
    parts = urlsplit(asked.url)
    assert (asked.method, parts.netloc, parts.path, asked.headers) == ("GET", "auth.example.org", "/t", proof)
    assert parse_qs(parts.query) == {"x": ["y"], **account, "service": ["s"], "scope": ["repository:a/b:pull"]}


def test_an_identity_token() -> None:
    server = Server()
    assert Authentication(WITH_TOKEN, server).after_refusal(HERE, BEARER, None, "x") == "Bearer t1"
    (asked,) = server.asked
    assert (asked.method, asked.url) == ("POST", "https://auth.example.org/t?x=y")
    assert parse_qs((asked.body or b"").decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["cstore"],
        "service": ["s"],
        "scope": ["repository:a/b:pull"],
        "refresh_token": ["identity"],
    }
    assert "identity" not in repr(asked)


def test_another_repository_costs_no_refused_request_first() -> None:
    server = Server()
    some = Authentication(ALICE, server)
    some.after_refusal(HERE, BEARER, None, "x")
    assert (some.known(OTHER, "x"), some.known(OTHER, "x"), some.known(HERE, "x")) == ("Bearer t2", "Bearer t2", "Bearer t1")
    assert "scope=repository%3Ac%3Apull" in server.asked[1].url


def test_bearer_is_taken_where_both_will_do() -> None:
    assert Authentication(ALICE, Server()).after_refusal(HERE, [*BASIC, *BEARER], None, "x") == "Bearer t1"


def test_a_token_that_another_thread_has_got_meanwhile_is_taken() -> None:
    server = Server()
    some = Authentication(ALICE, server)
    some.after_refusal(HERE, BEARER, None, "x")
    assert some.after_refusal(HERE, BEARER, "Bearer old", "x") == "Bearer t1"
    assert some.after_refusal(HERE, BEARER, "Bearer t1", "x") == "Bearer t2"


@pytest.mark.parametrize(("lasts", "asked"), [(None, 1), (3600, 1), (0.001, 2), (-5, 1), ("long", 1), (True, 1)])
def test_a_token_is_good_for_its_time(lasts: object, asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("cstore.registry.authentication.time.monotonic", lambda: now[0])
    server = Server(expires_in=lasts)
    some = Authentication(ALICE, server)
    some.after_refusal(HERE, BEARER, None, "x")
    now[0] += 0.95 if asked == 2 else 0.5
    some.known(HERE, "x")
    assert len(server.asked) == asked
    now[0] += 54 if lasts != 3600 else 3300
    some.known(HERE, "x")
    assert len(server.asked) == asked + 1


@pytest.mark.parametrize(
    "answer",
    [{"token": ""}, {"token": 7}, {"token": "a b"}, {"token": "a\r\nX: y"}, {"token": "é"}, {"token": "x" * 70000}],
    ids=["empty", "a number", "a space", "a line", "no ASCII", "long"],
)
def test_what_is_no_token(answer: dict[str, object]) -> None:
    with pytest.raises(SourceError) as error:
        Authentication(ALICE, Server(**answer)).after_refusal(HERE, BEARER, None, "x")
    assert str(error.value) == "x: expected a token from the server of tokens, found something else"


def test_no_json_is_no_token() -> None:
    with pytest.raises(SourceError) as error:
        Authentication(ALICE, lambda *_request: b"secret").after_refusal(HERE, BEARER, None, "x")
    assert str(error.value) == "x: expected a token from the server of tokens, found something else"


def test_the_other_member() -> None:
    answer = {"token": None, "access_token": "other"}
    assert Authentication(ALICE, Server(**answer)).after_refusal(HERE, BEARER, None, "x") == "Bearer other"


@pytest.mark.parametrize("realm", ["http://auth.example.org/", "ftp://auth.example.org/", "", "/token", "https://["])
def test_a_server_of_tokens_without_tls_is_not_asked(realm: str) -> None:
    """Spec Q6."""
    server = Server()
    with pytest.raises(SourceError) as error:
        Authentication(ALICE, server).after_refusal(HERE, [f'Bearer realm="{realm}"'], None, "x")
    assert str(error.value) == "x: expected a server of tokens at an address that begins with https://, found another one"
    assert server.asked == []


def test_but_for_an_insecure_registry() -> None:
    insecure = Endpoint("registry.example.org", "a", is_insecure=True)
    assert Authentication(ALICE, Server()).after_refusal(insecure, ['Bearer realm="http://a/"'], None, "x") == "Bearer t1"


@pytest.mark.parametrize(("values", "found"), [([], "nothing"), (["Negotiate"], "negotiate"), (["Digest a=b, NTLM"], "digest, ntlm")])
def test_what_is_not_understood(values: list[str], found: str) -> None:
    with pytest.raises(SourceError) as error:
        Authentication(ALICE, Server()).after_refusal(HERE, values, None, "x")
    assert str(error.value) == f"x: expected a registry that asks for Basic or Bearer, found one that asks for {found}"


@pytest.fixture(params=["token", "access_token"])
def tokens(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TokenServer]:
    require("docker-registry", "openssl")
    users, identity_tokens = {"alice": "s3cret word"}, {"the identity": "alice"}
    with TokenServer(tmp_path / "tokens", users=users, identity_tokens=identity_tokens, key=request.param) as server:
        yield server


@pytest.mark.parametrize("login", [Login("alice", "s3cret word"), Login("", "", "the identity")], ids=["password", "identity token"])
def test_a_real_registry_and_real_tokens(tokens: TokenServer, tmp_path: Path, layout: Path, login: Login) -> None:
    with Registry(tmp_path / "registry", tokens=tokens) as registry:
        registry.put("atlas/app", layout)
        registry.put("atlas/other", layout)
        with registry.registries(credentials=Credentials({registry.address: login})) as registries:
            assert set(registries.tags(registry.name("atlas/app"))) == {"many", "v1"}
            for _ in range(2):
                registries.digest(registry.name("atlas/app:v1"))
            registries.digest(registry.name("atlas/other:v1"))
            assert registries.requests == 8
        assert [(asked["scope"], asked["user"], asked["service"]) for asked in tokens.asked] == [
            (f"repository:atlas/{name}:pull", "alice", "registry of tests, with a comma") for name in ("app", "other")
        ]


@pytest.mark.parametrize("login", [Login("alice", "wr0ng word"), Login("", "", "another identity")], ids=["password", "identity token"])
def test_a_real_server_of_tokens_that_refuses(tokens: TokenServer, tmp_path: Path, layout: Path, login: Login) -> None:
    with Registry(tmp_path / "registry", tokens=tokens) as registry:
        registry.put("atlas/app", layout)
        with registry.registries(credentials=Credentials({registry.address: login})) as registries, pytest.raises(SourceError) as error:
            registries.tags(registry.name("atlas/app"))
        said = "no, Basic …" if login.password else "no, …"
        assert str(error.value) == (
            f'docker://{registry.address}/atlas/app: expected a token from {urlsplit(tokens.url).netloc}, found status 401, "{said}"'
        )


def test_a_token_that_allows_too_little(tokens: TokenServer, tmp_path: Path, layout: Path) -> None:
    with Registry(tmp_path / "registry", tokens=tokens) as registry:
        registry.put("atlas/app", layout)
        with registry.registries() as registries, pytest.raises(SourceError) as error:
            registries.tags(registry.name("atlas/app"))
        assert str(error.value) == (
            f"docker://{registry.address}/atlas/app: expected a list of tags from {registry.address}, "
            'found status 401, "authentication required"'
        )


@pytest.mark.parametrize(("lasts", "says", "requests"), [(300, 1, 6), (2, 300, 7)], ids=["it says so", "the registry says so"])
def test_a_token_that_ends_is_exchanged(tmp_path: Path, layout: Path, lasts: int, says: int, requests: int) -> None:
    require("docker-registry", "openssl")
    with TokenServer(tmp_path / "tokens", lasts=lasts, says=says) as tokens, Registry(tmp_path / "registry", tokens=tokens) as registry:
        registry.put("atlas/app", layout)
        with registry.registries() as registries:
            registries.digest(registry.name("atlas/app:v1"))
            time.sleep(min(lasts, says) + 0.1)
            registries.digest(registry.name("atlas/app:v1"))
            assert (len(tokens.asked), registries.requests) == (2, requests)
