"""Spec Q15."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from cstore.errors import SourceError
from cstore.model.remote import RemoteName
from cstore.registry.certificates import Certificates
from cstore.registry.configuration import Configuration
from cstore.registry.connections import Connections, LostError
from cstore.registry.credentials import Credentials, Login
from cstore.registry.patience import Patience
from cstore.registry.proxies import Proxies, Proxy
from cstore.registry.registries import Registries
from cstore.registry.rule import Rule
from tests.compat.programs import require
from tests.registries import make_certificate
from tools.registries.forward import ForwardProxy
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

HOST = "registry.example.org"
NAME = RemoteName.parse(f"docker://{HOST}/atlas/app:v1")
USER = {"alice": "secret"}
PATIENCE = 60


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("http://proxy.example.org:3128", "http://proxy.example.org:3128", None),
        ("proxy.example.org:3128", "http://proxy.example.org:3128", None),
        ("proxy", "http://proxy:80", None),
        ("https://proxy.example.org/", "https://proxy.example.org:443", None),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", None),
        ("http://user:pass%40word@proxy:1", "http://proxy:1", "Basic dXNlcjpwYXNzQHdvcmQ="),
        ("user@proxy:1", "http://proxy:1", "Basic dXNlcjo="),
    ],
)
def test_a_proxy_is_read(text: str, url: str, shown: str | None) -> None:
    proxy = Proxy.parse(text, "x")
    assert (proxy.url, proxy.headers.get("Proxy-Authorization")) == (url, shown)
    assert "Basic" not in repr(proxy)


@pytest.mark.parametrize(
    "text", ["socks5://proxy:1080", "http://", "http://proxy:x", "http://user:secret@", "http://[::1", "a b", "http://a\n"]
)
def test_what_is_no_proxy(text: str) -> None:
    with pytest.raises(SourceError) as error:
        Proxies.usual({"HTTPS_PROXY": text})
    assert str(error.value) == "HTTPS_PROXY: expected an address of a proxy such as http://proxy.example.org:3128, found another one"


A, B = "http://a:1", "http://b:2"


@pytest.mark.parametrize(
    ("environment", "http", "https"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": A}, A, None),
        ({"HTTPS_PROXY": A}, None, A),
        ({"http_proxy": A, "https_proxy": B}, A, B),
        ({"HTTPS_PROXY": A, "https_proxy": B}, None, A),
        ({"HTTPS_PROXY": "", "https_proxy": B}, None, B),
        ({"ALL_PROXY": A}, None, None),
        ({"HTTPS_PROXY": A, "NO_PROXY": "*"}, None, None),
        ({"HTTPS_PROXY": A, "NO_PROXY": "example.org", "no_proxy": "none"}, None, None),
        ({"HTTPS_PROXY": A, "NO_PROXY": "", "no_proxy": "example.org"}, None, None),
    ],
)
def test_which_variables_count(environment: Mapping[str, str], http: str | None, https: str | None) -> None:
    proxies = Proxies.usual(environment)
    found = {scheme: proxies.of(scheme, HOST, 443) for scheme in ("http", "https")}
    assert {scheme: proxy and proxy.url for scheme, proxy in found.items()} == {"http": http, "https": https}


EXCLUDED = [
    ("", HOST, 443, False),
    ("example.org", HOST, 443, True),
    ("example.org", "example.org", 443, True),
    ("example.org", "anexample.org", 443, False),
    (".example.org", HOST, 443, True),
    (".example.org", "example.org", 443, False),
    ("*.example.org", HOST, 443, True),
    ("*.example.org", "example.org", 443, False),
    ("Registry.Example.org", "REGISTRY.example.org", 443, True),
    ("example.org:5000", HOST, 443, False),
    ("example.org:5000", HOST, 5000, True),
    ("none, example.org ,", HOST, 443, True),
    ("exam*.org", HOST, 443, False),
    ("192.0.2.7", "192.0.2.7", 443, True),
    ("192.0.2.7:5000", "192.0.2.7", 443, False),
    ("192.0.2.7:5000", "192.0.2.7", 5000, True),
    ("192.0.2.0/24", "192.0.2.7", 443, True),
    ("192.0.2.9/24", "192.0.2.7", 443, True),
    ("192.0.2.0/24", "192.0.3.7", 443, False),
    ("192.0.2.0/24", HOST, 443, False),
    ("2001:db8::/32", "2001:db8::1", 443, True),
    ("2001:db8::1", "2001:db8::1", 443, True),
    ("[2001:db8::1]:5000", "2001:db8::1", 5000, True),
    ("[2001:db8::1]:5000", "2001:db8::1", 443, False),
    ("/,:,:80,[", HOST, 443, False),
    ("", "localhost", 443, True),
    ("", "127.0.0.7", 443, True),
    ("", "::1", 443, True),
]


@pytest.mark.parametrize(("variable", "host", "port", "is_direct"), EXCLUDED)
def test_which_hosts_are_asked_directly(variable: str, host: str, port: int, *, is_direct: bool) -> None:
    proxies = Proxies.usual({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": variable})
    assert (proxies.of("https", host, port) is None) == is_direct


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[tuple[Registry, Path]]:
    """A registry that speaks TLS and wants a password, and a directory where its certificate is an authority."""
    require("docker-registry")
    place = tmp_path_factory.mktemp("proxied")
    certificate = make_certificate(place)
    (place / "certs.d" / HOST).mkdir(parents=True)
    (place / "certs.d" / HOST / "ca.crt").write_bytes(certificate.read_bytes())
    with Registry(place / "registry", certificate=certificate, users=USER) as registry:
        registry.put("atlas/app", layout)
        yield registry, place


def asked_by(proxies: Proxies, place: Path, *, insecure: bool = False, **more: object) -> Registries:
    rules = (Rule(prefix=HOST, is_insecure=True),) if insecure else ()
    configuration = Configuration(rules, (place / "certs.d",))
    credentials = Credentials({HOST: Login(*next(iter(USER.items())))})
    return Registries(configuration=configuration, credentials=credentials, pause=lambda _seconds: None, proxies=proxies, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("by_tls", [False, True], ids=["http", "https"])
def test_a_registry_behind_a_tunnel(secure: tuple[Registry, Path], tmp_path: Path, *, by_tls: bool) -> None:
    """The proxy sees who asks it and which host is asked for, and nothing of what is said there."""
    registry, place = secure
    certificate = place / "server.pem" if by_tls else None
    with ForwardProxy({HOST: registry.address}, login="bob:hidden", certificate=certificate) as proxy:
        if by_tls:
            (tmp_path / "certs.d" / proxy.address).mkdir(parents=True)
            (tmp_path / "certs.d" / proxy.address / "ca.crt").write_bytes((place / "server.pem").read_bytes())
            (tmp_path / "certs.d" / HOST).symlink_to(place / "certs.d" / HOST)
        scheme = "https" if by_tls else "http"
        proxies = Proxies.usual({"HTTPS_PROXY": f"{scheme}://bob:hidden@{proxy.address}"})
        with asked_by(proxies, tmp_path if by_tls else place) as registries:
            assert set(registries.tags(NAME)) == {"many", "v1"}
            document = registries.document(NAME, registries.digest(NAME))
        assert document.data.startswith(b"{")
    assert {(seen.method, seen.path) for seen in proxy.seen} == {("CONNECT", f"{HOST}:443")}
    assert {name for seen in proxy.seen for name in seen.headers} <= {"Host", "Proxy-Authorization", "User-Agent"}
    assert len(proxy.seen) <= 4, "a tunnel is used again"


def test_a_plain_registry_is_asked_by_the_proxy(registry: Registry, tmp_path: Path) -> None:
    with ForwardProxy({HOST: registry.address}, login="bob:hidden") as proxy:
        proxies = Proxies.usual({"http_proxy": f"bob:hidden@{proxy.address}", "https_proxy": proxy.address})
        with asked_by(proxies, tmp_path, insecure=True) as registries:
            assert "v1" in registries.tags(NAME)
    assert ("GET", f"http://{HOST}/v2/atlas/app/tags/list?n=1000") in {
        (seen.method, seen.path.replace("n=10000", "n=1000")) for seen in proxy.seen
    }
    assert {seen.headers["Host"] for seen in proxy.seen if seen.method == "GET"} == {HOST}


def test_a_proxy_that_does_not_know_who_asks(secure: tuple[Registry, Path]) -> None:
    registry, place = secure
    with ForwardProxy({HOST: registry.address}, login="bob:hidden") as proxy:
        proxies = Proxies.usual({"HTTPS_PROXY": f"http://bob:wrong@{proxy.address}"})
        with asked_by(proxies, place) as registries, pytest.raises(SourceError) as error:
            registries.tags(NAME)
    said = f"the proxy {proxy.address} refuses it (407 Proxy Authentication Required)"
    assert str(error.value) == f"docker://{HOST}/atlas/app: expected a connection to {HOST} that can be trusted, found: {said}"
    assert len(proxy.seen) == 1


def test_a_proxy_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with asked_by(Proxies.usual({"https_proxy": address}), tmp_path) as registries, pytest.raises(SourceError) as error:
            registries.tags(NAME)
    said = f"the proxy {address} cannot be used: [Errno 111] Connection refused"
    assert str(error.value) == f"docker://{HOST}/atlas/app: expected an answer from {HOST}, found none ({said})"


def test_a_proxy_that_answers_byte_by_byte_is_given_up() -> None:
    """Spec Q7."""
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        with server.accept()[0] as client, suppress(OSError):
            for byte in b"HTTP/1.1 200 " + bytes(1000):
                if over.wait(0.05):
                    return
                client.sendall(bytes([byte]))

    patience = Patience(connect=PATIENCE, silence=PATIENCE, head=0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        proxies = Proxies.usual({"HTTPS_PROXY": f"127.0.0.1:{server.getsockname()[1]}"})
        with closing(Connections(Certificates(), 1, patience, proxies)) as connections, pytest.raises(LostError):
            connections.send("GET", f"https://{HOST}/", {}, is_insecure=False, at="x")
        over.set()
        thread.join()


def test_it_is_as_skopeo_does_it(tmp_path: Path) -> None:
    """Whether that asks the proxy for a name that nobody else knows."""
    require("skopeo")
    asks = [(variable, host, port, is_direct) for variable, host, port, is_direct in EXCLUDED if host.endswith("example.org")][:9]
    found = []
    for variable, host, port, _ in asks:
        with ForwardProxy({}) as proxy:
            variables = {"HTTPS_PROXY": f"http://{proxy.address}", "NO_PROXY": variable, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
            command = ["skopeo", "inspect", f"docker://{host}:{port}/a:b"]
            subprocess.run(command, env=variables, capture_output=True, check=False, timeout=PATIENCE)
            found.append((variable, host, port, not proxy.seen))
    assert found == asks
