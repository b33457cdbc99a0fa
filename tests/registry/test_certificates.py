from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from cstore.errors import SourceError
from cstore.registry.certificates import Certificates
from cstore.registry.configuration import Configuration
from cstore.registry.credentials import Credentials
from cstore.registry.registries import Registries
from cstore.registry.rule import Rule
from tests.compat.programs import require
from tests.registries import make_certificate
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[tuple[Registry, Path]]:
    """A registry that speaks TLS, and its certificate."""
    require("docker-registry")
    place = tmp_path_factory.mktemp("secure")
    certificate = make_certificate(place)
    with Registry(place / "registry", certificate=certificate) as registry:
        registry.put("atlas/app", layout)
        yield registry, certificate


def tags(registry: Registry, configuration: Configuration) -> tuple[str, ...]:
    with Registries(configuration=configuration, credentials=Credentials(), pause=lambda _seconds: None) as registries:
        return registries.tags(registry.name("atlas/app"))


def test_a_certificate_that_nobody_knows_is_refused(secure: tuple[Registry, Path]) -> None:
    """Spec Q4."""
    registry, _ = secure
    with pytest.raises(SourceError) as error:
        tags(registry, Configuration())
    said = str(error.value)
    assert said.startswith(
        f"docker://{registry.address}/atlas/app: expected a connection to {registry.address} that can be trusted, found: "
    )
    assert "certificate verify failed" in said


def test_one_that_the_administrator_trusts_is_taken(secure: tuple[Registry, Path], tmp_path: Path) -> None:
    registry, certificate = secure
    place = tmp_path / "certs.d" / registry.address
    place.mkdir(parents=True)
    (place / "ca.crt").write_bytes(certificate.read_bytes())
    assert set(tags(registry, Configuration(certificates=(tmp_path / "none", tmp_path / "certs.d")))) == {"many", "v1"}


def test_an_insecure_registry_may_have_any(secure: tuple[Registry, Path]) -> None:
    registry, _ = secure
    assert set(tags(registry, Configuration((Rule(prefix=registry.address, is_insecure=True),)))) == {"many", "v1"}


def test_which_directory_is_taken(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path).read_bytes()
    for name in ("a.example.org", "b.example.org:443", "docker.io"):
        (tmp_path / "certs.d" / name).mkdir(parents=True)
        (tmp_path / "certs.d" / name / "ca.crt").write_bytes(certificate)
    certificates = Certificates((tmp_path / "certs.d",))
    own = len(ssl.create_default_context().get_ca_certs())

    def authorities(host: str, port: int) -> int:
        return len(certificates.context(host, port, is_insecure=False, at="x").get_ca_certs()) - own

    assert [authorities("a.example.org", port) for port in (443, 5000)] == [1, 0]
    assert [authorities("b.example.org", port) for port in (443, 5000)] == [1, 0]
    assert [authorities(host, 443) for host in ("registry-1.docker.io", "docker.io", "c.example.org")] == [1, 1, 0]


def test_a_certificate_of_this_machine(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    place = tmp_path / "certs.d/a.example.org"
    place.mkdir(parents=True)
    (place / "client.cert").write_bytes(certificate.read_bytes())
    with pytest.raises(SourceError) as error:
        Certificates((tmp_path / "certs.d",)).context("a.example.org", 443, is_insecure=False, at="x")
    assert (
        str(error.value) == f"x: {place}/client.cert: expected a certificate in PEM with a key beside it, found: No such file or directory"
    )
    (place / "client.key").write_bytes(certificate.with_suffix(".key").read_bytes())
    assert Certificates((tmp_path / "certs.d",)).context("a.example.org", 443, is_insecure=False, at="x").verify_mode is ssl.CERT_REQUIRED
    (place / "client.cert").unlink()
    with pytest.raises(SourceError) as error:
        Certificates((tmp_path / "certs.d",)).context("a.example.org", 443, is_insecure=False, at="x")
    assert str(error.value) == f"x: {place}/client.key: expected client.cert beside it, found none"


def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    place = tmp_path / "a.example.org"
    place.mkdir()
    (place / "ca.crt").write_text("nothing")
    with pytest.raises(SourceError) as error:
        Certificates((tmp_path,)).context("a.example.org", 443, is_insecure=False, at="x")
    assert str(error.value) == f"x: {place}/ca.crt: expected a certificate in PEM, found: nothing that TLS can use"


def test_a_registry_that_wants_a_certificate_from_this_machine_gets_it(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    key = certificate.with_suffix(".key")
    place = tmp_path / "certs.d/127.0.0.1:1"
    place.mkdir(parents=True)
    for name, content in (("ca.crt", certificate), ("client.cert", certificate), ("client.key", key)):
        (place / name).write_bytes(content.read_bytes())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    server.load_verify_locations(certificate)
    server.verify_mode = ssl.CERT_REQUIRED
    client = Certificates((tmp_path / "certs.d",)).context("127.0.0.1", 1, is_insecure=False, at="x")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    done = [False, False]
    for _ in range(6):
        for number, end in enumerate(ends):
            try:
                end.do_handshake()
                done[number] = True
            except ssl.SSLWantReadError:
                continue
    assert done == [True, True]
    assert ends[1].getpeercert() is not None
