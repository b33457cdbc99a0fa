from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from cstore.errors import SourceError
from cstore.registry.configuration import Configuration
from cstore.registry.credentials import Credentials, Login
from cstore.registry.patience import Patience
from tests.registries import make_certificate
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import registries_of

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.model.digest import Digest
    from cstore.registry.registries import Registries
    from tools.registries.server import Registry

BASIC = {"WWW-Authenticate": 'Basic realm="a, b"'}
SHORT = Patience(connect=2, silence=0.4, head=0.8, window=0.4)


def digest(registries: Registries, registry: Registry, address: str) -> Digest:
    name = registry.name("atlas/app:v1")
    return registries.digest(type(name)(address, name.repository, name.tag))


def refused(registry: Registry, *faults: Fault, **options: object) -> tuple[str, Proxy]:
    """Return the error where a registry is asked for a digest through a proxy, the proxy's address replaced."""
    with Proxy(registry.address, *faults) as proxy, registries_of(proxy.address, **options) as registries:
        with pytest.raises(SourceError) as error:
            digest(registries, registry, proxy.address)
        return str(error.value).replace(proxy.address, "HOST").removeprefix("docker://HOST/atlas/app:v1: "), proxy


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_asked_again_after(registry: Registry, status: int) -> None:
    """Spec Q8."""
    pauses: list[float] = []
    fault = Fault("HEAD", status=status, headers={"Retry-After": "7"}, times=2)
    with Proxy(registry.address, fault) as proxy, registries_of(proxy.address, pause=pauses.append) as registries:
        digest(registries, registry, proxy.address)
    assert len(proxy.asked("HEAD")) == 3
    assert pauses == [7, 7]


def test_asked_again_at_a_date(registry: Registry) -> None:
    pauses: list[float] = []
    headers = {"Retry-After": "Tue, 24 Nov 2026 12:00:09 GMT", "Date": "Tue, 24 Nov 2026 12:00:00 GMT"}
    with (
        Proxy(registry.address, Fault("HEAD", status=429, headers=headers)) as proxy,
        registries_of(proxy.address, pause=pauses.append) as registries,
    ):
        digest(registries, registry, proxy.address)
    assert pauses == [9]


@pytest.mark.parametrize("fault", [Fault("HEAD", drop=True, times=3), Fault("HEAD", drip=0.1, times=1)], ids=["no answer", "slow"])
def test_asked_again_where_no_answer_came(registry: Registry, fault: Fault) -> None:
    with Proxy(registry.address, fault) as proxy, registries_of(proxy.address, patience=SHORT) as registries:
        digest(registries, registry, proxy.address)
        assert len(proxy.asked("HEAD")) == (fault.times or 0) + 1


def test_asked_five_times_at_most(registry: Registry) -> None:
    pauses: list[float] = []
    said, proxy = refused(registry, Fault("", status=503, times=None), pause=pauses.append)
    assert said == "expected a manifest from HOST, found status 503 (Service Unavailable)"
    assert (len(proxy.seen), len(pauses)) == (5, 4)


def test_a_registry_that_wants_a_long_pause_is_not_asked_again(registry: Registry) -> None:
    pauses: list[float] = []
    _, proxy = refused(registry, Fault("", status=429, headers={"Retry-After": "3600"}, times=None), pause=pauses.append)
    assert (len(proxy.seen), pauses) == (1, [])


@pytest.mark.parametrize("status", [402, 403, 404, 410, 418, 501])
def test_not_asked_again_after(registry: Registry, status: int) -> None:
    said, proxy = refused(registry, Fault("HEAD", status=status, times=None), Fault("GET", status=status, times=None))
    assert said.startswith(f"expected a manifest from HOST, found status {status}")
    assert len(proxy.seen) == (2 if status == 501 else 1)


def test_nobody_there(registry: Registry) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with registries_of(address) as registries, pytest.raises(SourceError) as error:
            digest(registries, registry, address)
    assert (
        str(error.value)
        == f"docker://{address}/atlas/app:v1: expected an answer from {address}, found none ([Errno 111] Connection refused)"
    )


@pytest.mark.parametrize("where", ["the same", "another"])
def test_what_shows_who_is_asking_goes_nowhere_else(registry: Registry, where: str) -> None:
    """Spec Q6."""
    with Proxy(registry.address) as other, Proxy(registry.address) as proxy:
        target = proxy.address if where == "the same" else other.address
        proxy.faults += [
            Fault("", status=401, headers=BASIC, unless_authorized=True, times=None),
            Fault("HEAD", redirect=target),
        ]
        login = Credentials({proxy.address: Login("alice", "secret"), other.address: Login("bob", "other")})
        with registries_of(proxy.address, credentials=login) as registries:
            digest(registries, registry, proxy.address)
        led = (proxy if where == "the same" else other).seen[-1]
        assert ("Authorization" in led.headers) == (where == "the same")
        assert [seen.headers.get("Authorization") for seen in proxy.seen[:2]] == [None, "Basic YWxpY2U6c2VjcmV0"]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("file:///etc/passwd", "expected an address that begins with https:// and a host, found another one"),
        ("http://%00/", "expected an address that begins with https:// and a host, found another one"),
        ("http://[", "expected to be led to an address, found something else"),
        ("http://user:secret@127.0.0.1:1/", "expected an address that begins with https:// and a host, found another one"),
        ("/v2/atlas/app/manifests/v1", "expected up to 10 redirects, found more"),
    ],
)
def test_redirects_that_are_not_followed(registry: Registry, target: str, said: str) -> None:
    assert refused(registry, Fault("", status=302, headers={"Location": target}, times=None))[0] == said


def test_no_redirect_leads_from_https_to_http(registry: Registry, tmp_path: Path) -> None:
    """Spec Q6."""
    certificate = make_certificate(tmp_path)
    with Proxy(registry.address) as plain, Proxy(registry.address, certificate=certificate) as proxy:
        (tmp_path / "certs.d" / proxy.address).mkdir(parents=True)
        (tmp_path / "certs.d" / proxy.address / "ca.crt").write_bytes(certificate.read_bytes())
        with registries_of(configuration=Configuration(certificates=(tmp_path / "certs.d",))) as registries:
            digest(registries, registry, proxy.address)
            proxy.faults.append(Fault("", redirect=plain.address))
            with pytest.raises(SourceError) as error:
                digest(registries, registry, proxy.address)
    said = "expected to be led to an address that begins with https://, found another one"
    assert str(error.value) == f"docker://{proxy.address}/atlas/app:v1: {said}"
    assert plain.seen == []


def test_a_redirect_without_an_address(registry: Registry) -> None:
    assert refused(registry, Fault("", status=302, times=None))[0] == "expected a manifest from HOST, found status 302 (Found)"


def test_a_wrong_password_is_told_and_not_repeated(registry: Registry) -> None:
    said, proxy = refused(
        registry,
        Fault("", status=401, headers=BASIC, body=b'{"errors":[{"message":"not alice:secret"}]}', times=None),
        credentials=Credentials({"127.0.0.1": Login("alice", "secret")}),
    )
    assert said == "expected a manifest from HOST, found status 401 (Unauthorized)"
    assert "Authorization" not in proxy.seen[-1].headers


@pytest.mark.parametrize("status", [403, 404, 500])
def test_what_was_shown_is_in_no_message(registry: Registry, status: int) -> None:
    """Spec Q6."""
    body = b'{"errors":[{"message":"you said Basic YWxpY2U6c2VjcmV0, alice:secret"}]}'
    faults = Fault("", status=401, headers=BASIC, unless_authorized=True, times=None), Fault("", status=status, body=body, times=None)
    with Proxy(registry.address, *faults) as proxy:
        login = Credentials({proxy.address: Login("alice", "secret")})
        with registries_of(proxy.address, credentials=login) as registries, pytest.raises(SourceError) as error:
            registries.document(registry.name("atlas/app:v1").__class__(proxy.address, "atlas/app", "v1"))
    assert str(error.value).endswith(f'found status {status}, "you said Basic …, …"')


def test_a_registry_that_always_says_401(registry: Registry) -> None:
    with Proxy(registry.address, Fault("", status=401, headers=BASIC, times=None)) as proxy:
        login = Credentials({proxy.address: Login("alice", "secret")})
        with registries_of(proxy.address, credentials=login) as registries, pytest.raises(SourceError) as error:
            digest(registries, registry, proxy.address)
    assert str(error.value).endswith(f"expected a manifest from {proxy.address}, found status 401 (Unauthorized)")
    assert len(proxy.seen) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("/token", status=500, times=None), "expected a token from HOST, found status 500 (Internal Server Error)"),
        (Fault("/token", status=403, body=b'{"details":"no"}', times=None), 'expected a token from HOST, found status 403, "no"'),
        (
            Fault("/token", status=307, headers={"Location": "/x"}, times=None),
            "expected a token from HOST, found status 307 (Temporary Redirect)",
        ),
        (Fault("/token", status=200, body=b"{}", times=None), "expected a token from the server of tokens, found something else"),
        (Fault("/token", status=200, body=bytes(9 << 20), times=None), "expected an answer of up to 8388608 bytes, found more"),
    ],
)
def test_a_server_of_tokens_that_fails(registry: Registry, fault: Fault, said: str) -> None:
    with Proxy(registry.address, fault) as proxy:
        headers = {"WWW-Authenticate": f'Bearer realm="http://{proxy.address}/token"'}
        proxy.faults.append(Fault("/v2/", status=401, headers=headers, unless_authorized=True, times=None))
        with registries_of(proxy.address) as registries, pytest.raises(SourceError) as error:
            digest(registries, registry, proxy.address)
    assert str(error.value).replace(proxy.address, "HOST") == f"docker://HOST/atlas/app:v1: {said}"
    assert len(proxy.asked("/token")) == (5 if fault.status == 500 else 1)


def test_without_tls_only_where_that_is_allowed(registry: Registry) -> None:
    """Spec Q4."""
    with registries_of() as registries, pytest.raises(SourceError) as error:
        digest(registries, registry, registry.address)
    assert str(error.value).startswith(f"docker://{registry.address}/atlas/app:v1: expected a")


def test_tls_is_tried_once(registry: Registry) -> None:
    with Proxy(registry.address) as proxy, registries_of(proxy.address) as registries:
        for _ in range(2):
            digest(registries, registry, proxy.address)
        assert registries.requests == 3
