from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError, SourceError, StoreError
from cstore.model.digest import Digest
from cstore.model.remote import RemoteName
from cstore.registry.cache import Cache
from cstore.registry.configuration import Configuration
from cstore.registry.registries import Registries
from cstore.registry.rule import Mirror, Rule
from tests.images import digest_of, json_of
from tests.registries import IMAGE
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import Registry, registries_of

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = json_of(IMAGE.manifest)
DIGEST = Digest.parse(IMAGE.digest)
LAYER = Digest.parse(digest_of(IMAGE.blobs[0]))


def named(address: str, rest: str = "atlas/app:v1") -> RemoteName:
    return RemoteName.parse(f"docker://{address}/{rest}")


def test_a_document_by_tag_and_by_digest(registry: Registry) -> None:
    with registry.registries() as registries:
        assert registries.digest(registry.name("atlas/app:v1")) == DIGEST
        for text in ("atlas/app:v1", f"atlas/app@{DIGEST}"):
            found = registries.document(registry.name(text))
            assert (found.data, found.digest, found.media_type) == (MANIFEST, DIGEST, "application/vnd.oci.image.manifest.v1+json")
        assert registries.digest(registry.name(f"atlas/app@{DIGEST}")) == DIGEST


def test_an_unchanged_image_costs_one_request(registry: Registry, tmp_path: Path) -> None:
    """Spec Q12."""
    for wanted in ([("HEAD", "v1"), ("GET", str(DIGEST))], [("HEAD", "v1")]):
        with Proxy(registry.address) as proxy, registries_of(proxy.address, cache=Cache(tmp_path / "cache")) as registries:
            registries.document(named(proxy.address), registries.digest(named(proxy.address)))
        assert [(seen.method, seen.path.rpartition("/")[2]) for seen in proxy.seen] == wanted


def test_of_several_threads_one_asks_for_a_document(registry: Registry) -> None:
    slow = Fault("GET .*/manifests/", drip=0.0005, times=None)
    with Proxy(registry.address, slow) as proxy, registries_of(proxy.address) as registries, ThreadPoolExecutor(4) as threads:
        name = named(proxy.address)
        wanted = registries.digest(name)
        found = [*threads.map(lambda _: registries.document(name, wanted).data, range(4))]
        assert len({*found}) == len(proxy.asked("GET")) == 1


def test_all_kinds_are_asked_for(registry: Registry) -> None:
    with Proxy(registry.address) as proxy, registries_of(proxy.address) as registries:
        registries.document(named(proxy.address))
    assert proxy.seen[0].headers["Accept"].split(", ") == [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]


@pytest.mark.parametrize(
    "fault",
    [Fault("HEAD", without=("Docker-Content-Digest",)), Fault("HEAD", status=405), Fault("HEAD", status=501)],
    ids=["no digest", "405", "501"],
)
def test_a_registry_that_tells_no_digest_is_asked_for_all(registry: Registry, fault: Fault) -> None:
    with Proxy(registry.address, fault) as proxy, registries_of(proxy.address) as registries:
        assert registries.digest(named(proxy.address)) == DIGEST
        registries.document(named(proxy.address), DIGEST)
    assert [seen.method for seen in proxy.seen] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(
            Fault("HEAD", headers={"Docker-Content-Digest": "x"}, without=("Docker-Content-Digest",)),
            'Docker-Content-Digest: expected a digest, found "x"',
            id="no digest",
        ),
        pytest.param(Fault("GET", flip=True, times=None), f"expected digest {DIGEST}, found sha256:", id="other bytes"),
        pytest.param(Fault("GET", resize=1, times=None), f"expected digest {DIGEST}, found sha256:", id="more bytes"),
        pytest.param(
            Fault("GET", status=200, body=bytes((8 << 20) + 1)), "expected an answer of up to 8388608 bytes, found more", id="too long"
        ),
        pytest.param(Fault("GET", cut=5, times=None), "expected a manifest from HOST, found only a part of it (", id="cut off"),
        pytest.param(
            Fault("GET", status=404, body=b'{"errors":[{"message":"manifest unknown"}]}'),
            'expected a manifest from HOST, found status 404, "manifest unknown"',
            id="not there any more",
        ),
    ],
)
def test_what_fails(registry: Registry, tmp_path: Path, fault: Fault, said: str) -> None:
    with (
        Proxy(registry.address, fault) as proxy,
        registries_of(proxy.address, cache=Cache(tmp_path / "cache")) as registries,
        pytest.raises(StoreError) as error,
    ):
        registries.document(named(proxy.address), registries.digest(named(proxy.address)))
    assert str(error.value).replace(proxy.address, "HOST").startswith(f"docker://HOST/atlas/app:v1: {said}")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_document_that_is_cut_off_is_asked_for_again(registry: Registry) -> None:
    with Proxy(registry.address, Fault("GET", cut=5, times=2)) as proxy, registries_of(proxy.address) as registries:
        assert registries.document(named(proxy.address)).data == MANIFEST
    assert len(proxy.seen) == 3


def test_a_name_with_a_digest_that_is_another_one(registry: Registry) -> None:
    wrong = Digest.of(b"")
    with (
        Proxy(registry.address, Fault("HEAD", status=200, headers={"Docker-Content-Digest": str(DIGEST)})) as proxy,
        registries_of(proxy.address) as registries,
        pytest.raises(ContentError) as error,
    ):
        registries.digest(named(proxy.address, f"atlas/app@{wrong}"))
    assert str(error.value) == f"docker://{proxy.address}/atlas/app@{wrong}: expected digest {wrong}, found {DIGEST}"


def test_what_is_not_there(registry: Registry) -> None:
    with registry.registries() as registries:
        for text, wanted in (("atlas/app:none", "a manifest"), ("atlas/none:v1", "a manifest")):
            with pytest.raises(SourceError) as error:
                registries.digest(registry.name(text))
            assert (
                str(error.value)
                == f"docker://{registry.address}/{text}: expected {wanted} from {registry.address}, found status 404 (Not Found)"
            )
        with pytest.raises(SourceError) as error:
            registries.document(registry.name("atlas/app:none"))
        assert str(error.value).endswith('found status 404, "manifest unknown"')
        with pytest.raises(SourceError) as error:
            registries.blob(registry.name("atlas/app:v1"), Digest.of(b"none"), 4)
        assert str(error.value).endswith('found status 404, "blob unknown to registry"')


def test_a_document_that_says_to_be_too_large(registry: Registry) -> None:
    with registry.registries() as registries, pytest.raises(SourceError) as error:
        registries.document(registry.name("atlas/app:v1"), DIGEST, 8_388_609)
    assert str(error.value).endswith(": expected up to 8388608 bytes, found a declared size of 8388609")
    assert registries.requests == 0


@pytest.mark.parametrize("suffix", ["json", "prettyjws"])
def test_schema_1_is_refused(registry: Registry, suffix: str) -> None:
    """Spec Q12."""
    kind = {"Content-Type": f"application/vnd.docker.distribution.manifest.v1+{suffix}"}
    with (
        Proxy(registry.address, Fault("GET", status=200, headers=kind, body=b'{"schemaVersion":1}')) as proxy,
        registries_of(proxy.address) as registries,
        pytest.raises(SourceError) as error,
    ):
        registries.document(named(proxy.address), registries.digest(named(proxy.address)))
    assert str(error.value).endswith(": expected a manifest of OCI or of Docker's schema 2, found schema 1, which podman no longer writes")


def test_a_blob_is_told_of_and_fetched_once(registry: Registry, tmp_path: Path) -> None:
    told: list[tuple[str, str, int]] = []

    def progress(work: str, subject: str, total: int) -> object:
        told.append((work, subject, total))
        return lambda _size: None

    size = len(IMAGE.blobs[0])
    with registry.registries(cache=Cache(tmp_path / "cache"), progress=progress) as registries:
        for _ in range(2):
            with registries.blob(registry.name("atlas/app:v1"), LAYER, size) as file:
                assert (file.tell(), file.read()) == (0, IMAGE.blobs[0])
        assert told == [("downloading", str(LAYER), size)]
        assert registries.bytes_fetched == size


def mirrored(registry: Registry, *mirrors: str) -> Registries:
    """Return registries for which example.org is the registry, with mirrors before it."""
    places = tuple(Mirror(location=f"{mirror}/atlas", is_insecure=True) for mirror in mirrors)
    rule = Rule(prefix="example.org/x", location=f"{registry.address}/atlas", is_insecure=True, mirrors=places)
    return registries_of(configuration=Configuration((rule,)))


def test_mirrors_come_first(registry: Registry) -> None:
    """Spec Q2."""
    with (
        Proxy(registry.address) as first,
        Proxy(registry.address) as second,
        mirrored(registry, first.address, second.address) as registries,
    ):
        name = named("example.org", "x/app:v1")
        assert registries.document(name, registries.digest(name)).data == MANIFEST
        with registries.blob(name, LAYER, len(IMAGE.blobs[0])) as file:
            assert file.read() == IMAGE.blobs[0]
    assert [seen.method for seen in first.seen] == ["HEAD", "GET", "GET"]
    assert second.seen == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("", status=404, times=None),
        Fault("", status=500, times=None),
        Fault("", drop=True, times=None),
        Fault("GET", flip=True, times=None),
        Fault("GET", resize=-1, times=None),
        Fault("", status=401, headers={"WWW-Authenticate": "Basic"}, times=None),
        Fault("", status=401, headers={"WWW-Authenticate": "Negotiate"}, times=None),
    ],
    ids=["404", "500", "dropped", "flipped", "shorter", "Basic", "Negotiate"],
)
def test_a_mirror_that_fails_is_passed_over(registry: Registry, fault: Fault) -> None:
    with Proxy(registry.address, fault) as proxy, mirrored(registry, proxy.address) as registries:
        name = named("example.org", "x/app:v1")
        assert registries.document(name, registries.digest(name)).data == MANIFEST
        with registries.blob(name, LAYER, len(IMAGE.blobs[0])) as file:
            assert file.read() == IMAGE.blobs[0]
    assert len(proxy.seen) <= 6


def test_where_all_fail_each_is_told(registry: Registry) -> None:
    with Proxy(registry.address, Fault("", status=403, times=None)) as proxy, mirrored(registry, proxy.address) as registries:
        with pytest.raises(SourceError) as error:
            registries.digest(named("example.org", "x/none:v1"))
        assert str(error.value) == (
            f"docker://example.org/x/none:v1: expected a manifest from {registry.address}, found status 404 (Not Found); "
            f"mirror {proxy.address}/atlas/none: expected a manifest from {proxy.address}, found status 403 (Forbidden)"
        )


def test_mirrors_are_not_asked_for_tags(registry: Registry) -> None:
    with Proxy(registry.address) as proxy, mirrored(registry, proxy.address) as registries:
        assert "v1" in registries.tags(named("example.org", "x/app"))
    assert proxy.seen == []


def test_a_private_registry(tmp_path: Path, layout: Path) -> None:
    with Registry(tmp_path / "registry", users={"alice": "secret"}) as registry:
        registry.put("atlas/app", layout)
        with registry.registries() as registries:
            assert set(registries.tags(registry.name("atlas/app"))) == {"v1", "many"}
        with registries_of(registry.address) as registries, pytest.raises(SourceError) as error:
            registries.tags(registry.name("atlas/app"))
        assert str(error.value) == (
            f"docker://{registry.address}/atlas/app: expected a list of tags from {registry.address}, "
            'found status 401, "authentication required"'
        )


def test_a_document_without_a_type_is_told_by_the_registry(registry: Registry) -> None:
    data = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    kind = {"Content-Type": "application/vnd.oci.image.index.v1+json; charset=utf-8"}
    with Proxy(registry.address, Fault("GET", status=200, body=data, headers=kind)) as proxy, registries_of(proxy.address) as registries:
        found = registries.document(named(proxy.address))
    assert (found.data, found.digest, found.media_type) == (data, Digest.of(data), "application/vnd.oci.image.index.v1+json")


def test_the_usual_files(tmp_path: Path) -> None:
    with Registries.usual({}, tmp_path) as registries:
        assert registries.requests == 0
