from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from cstore.errors import SourceError, StoreError
from cstore.model.about import About
from cstore.model.layout import Form
from cstore.model.platform import Platform
from cstore.model.remote import RemoteName
from cstore.publish.batch import publishing
from cstore.registry.cache import Cache
from cstore.source import open_source
from cstore.source.fetch import Fetcher
from cstore.source.registry import from_registry
from cstore.store import Store
from tests.compat.programs import require, skopeo
from tests.images import CREATED, Image, file, image_index, json_of, put_blob, put_index, tar, write_layout
from tests.registries import IMAGE, MANY
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import Registry, registries_of

if TYPE_CHECKING:
    from pathlib import Path

LACKING = f"sha256:{'0' * 64}"
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64", "v8")


def named(address: str, rest: str = "atlas/app:v1") -> RemoteName:
    return RemoteName.parse(f"docker://{address}/{rest}")


def test_an_image(registry: Registry) -> None:
    with registry.registries() as registries:
        image = from_registry(registry.name("atlas/app:v1"), AMD64, registries)
        assert (image.id, str(image.digest), image.index_bytes) == (IMAGE.id, IMAGE.digest, None)
        assert (image.manifest_bytes, image.config_bytes) == (json_of(IMAGE.manifest), json_of(IMAGE.config))
        assert (image.at, image.names) == (f"docker://{registry.address}/atlas/app:v1", (f"{registry.address}/atlas/app:v1",))
        requests = registries.requests
        for descriptor, content in zip(image.manifest.layers, IMAGE.blobs, strict=True):
            for _ in range(2):
                with image.open_blob(descriptor) as blob:
                    assert blob.read() == content
        assert registries.requests == requests + 2
        image.close()


def test_by_digest(registry: Registry) -> None:
    with registry.registries() as registries:
        image = from_registry(registry.name(f"atlas/app@{IMAGE.digest}"), AMD64, registries)
        assert (image.id, image.names) == (IMAGE.id, (f"{registry.address}/atlas/app@{IMAGE.digest}",))
        image = from_registry(registry.name(f"atlas/app:v9@{IMAGE.digest}"), AMD64, registries)
        assert (image.id, image.names) == (IMAGE.id, (f"{registry.address}/atlas/app:v9",))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_image_index_of_three_platforms(registry: Registry, tmp_path: Path, number: int) -> None:
    with registry.registries() as registries:
        image = from_registry(registry.name("atlas/app:many"), Platform.parse(MANY[number].platform), registries)
    assert image.id == MANY[number].id
    assert image.index_bytes == image_index(tmp_path, MANY)


def test_an_image_index_without_the_platform(registry: Registry) -> None:
    with registry.registries() as registries, pytest.raises(SourceError) as error:
        from_registry(registry.name("atlas/app:many"), Platform("linux", "riscv64"), registries)
    there = "linux/amd64, linux/arm64/v8, linux/ppc64le"
    assert str(error.value) == f"docker://{registry.address}/atlas/app:many: expected an image for linux/riscv64, found images for: {there}"


def test_nothing_but_a_head_where_nothing_has_changed(registry: Registry, tmp_path: Path) -> None:
    """Spec Q12."""
    for wanted in (["HEAD", "GET", "GET", "GET"], ["HEAD"]):
        with Proxy(registry.address) as proxy, registries_of(proxy.address, cache=Cache(tmp_path / "cache")) as registries:
            from_registry(named(proxy.address, "atlas/app:many"), ARM64, registries)
        assert [seen.method for seen in proxy.seen] == wanted


def test_image_indexes_without_end(registry: Registry, tmp_path: Path) -> None:
    inner = put_blob(tmp_path, json_of(IMAGE.manifest), IMAGE.media_type("manifest"))
    for blob in (*IMAGE.blobs, json_of(IMAGE.config)):
        put_blob(tmp_path, blob, "")
    for _ in range(5):
        entry = {**inner, "platform": {"os": "linux", "architecture": "amd64"}}
        kind = "application/vnd.oci.image.index.v1+json"
        inner = put_blob(tmp_path, json_of({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}), kind)
    put_index(tmp_path, [inner])
    registry.put("atlas/nested", tmp_path)
    with registry.registries() as registries, pytest.raises(SourceError) as error:
        from_registry(registry.name("atlas/nested"), AMD64, registries)
    assert str(error.value).endswith(": expected a manifest below at most 4 image indexes, found more of them")


def test_through_the_source_of_anything(registry: Registry) -> None:
    text = f"docker://{registry.address}/atlas/app:v1"
    with registry.registries() as registries:
        assert open_source(text, ARM64, registries=registries).id == IMAGE.id
        with pytest.raises(SourceError) as error:
            open_source(text, ARM64, asked=True, registries=registries)
        assert str(error.value) == f"{text}: expected an image for linux/arm64/v8, found one for linux/amd64"
    with pytest.raises(SourceError) as error:
        open_source(text, AMD64)
    assert str(error.value) == f"{text}: expected registries that can be asked, found none"


@pytest.mark.parametrize("kind", ["docker.image.rootfs.foreign.diff.tar.gzip", "oci.image.layer.nondistributable.v1.tar+gzip"])
def test_a_foreign_layer_is_taken_where_it_is_there(registry: Registry, kind: str) -> None:
    """Spec M4."""
    manifest = {**IMAGE.manifest, "layers": [{**layer, "mediaType": f"application/vnd.{kind}"} for layer in IMAGE.manifest["layers"]]}
    lacking = [manifest["layers"][0], {**manifest["layers"][1], "digest": LACKING}]
    for layers in (manifest["layers"], lacking):
        document = json_of({**manifest, "layers": layers})
        faults = Fault("HEAD", status=405), Fault("/manifests/", status=200, body=document, times=None)
        with Proxy(registry.address, *faults) as proxy, registries_of(proxy.address) as registries:
            image = from_registry(named(proxy.address), AMD64, registries)
            image.open_blob(image.manifest.layers[0]).close()
            if layers is lacking:
                with pytest.raises(SourceError) as error:
                    image.open_blob(image.manifest.layers[1])
                assert str(error.value) == (
                    f"docker://{proxy.address}/atlas/app:v1: blob {LACKING}: expected a blob from {proxy.address}, "
                    'found status 404, "blob unknown to registry"; it is a foreign layer, which a registry need not have'
                )


def test_the_store_is_the_one_that_a_layout_gives(registry: Registry, layout: Path, tmp_path: Path) -> None:
    with publishing(tmp_path / "layout", platform="linux/amd64") as batch:
        batch.add(f"oci:{layout}:v1", name="example.org/app:v1")
        batch.add(f"oci:{layout}:many", name="example.org/app:many")
    with registry.registries() as registries, publishing(tmp_path / "registry", registries=registries, platform="linux/amd64") as batch:
        batch.add(f"docker://{registry.address}/atlas/app:v1", name="example.org/app:v1")
        batch.add(f"docker://{registry.address}/atlas/app:many", name="example.org/app:many")
    assert content(tmp_path / "registry") == content(tmp_path / "layout")


def add(store: Path, address: str, *faults: Fault) -> Proxy:
    """Add the image to a store through a proxy with faults, under the same name whatever its address."""
    with Proxy(address, *faults) as proxy, registries_of(proxy.address) as registries:
        with publishing(store, registries=registries, platform="linux/amd64") as batch:
            batch.add(f"docker://{proxy.address}/atlas/app:v1", name="example.org/app:v1")
        return proxy


def content(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


REQUESTS = ["HEAD .*/manifests/", "GET .*/manifests/", "GET .*/blobs/sha256:"]
FAULTS = {
    "403": {"status": 403},
    "500": {"status": 500},
    "dropped": {"drop": True},
    "flipped": {"flip": True},
    "shorter": {"resize": -1},
    "longer": {"resize": 1},
    "cut off": {"cut": 3},
    "redirected to nobody": {"redirect": "127.0.0.1:1"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_with_every_request_failing_in_turn_nothing_is_published(registry: Registry, tmp_path: Path, fault: str) -> None:
    undisturbed = add(tmp_path / "undisturbed", registry.address)
    asked = [(seen.method, seen.path) for seen in undisturbed.seen]
    assert len(asked) == 5
    for number, (method, path) in enumerate(sorted(asked)):
        if method == "HEAD" and fault in ("flipped", "shorter", "longer", "cut off"):
            continue
        with pytest.raises(StoreError):
            add(tmp_path / "store", registry.address, Fault(f"{method} {path}$", times=None, **FAULTS[fault]))  # type: ignore[arg-type]
        assert not (tmp_path / "store").exists(), number
    add(tmp_path / "store", registry.address)
    assert content(tmp_path / "store") == content(tmp_path / "undisturbed")


def test_what_is_repaired_by_trying_again_gives_the_same_store(registry: Registry, tmp_path: Path) -> None:
    add(tmp_path / "undisturbed", registry.address)
    for number, fault in enumerate(({"status": 503}, {"drop": True}, {"cut": 3})):
        add(tmp_path / str(number), registry.address, *(Fault(request, **fault) for request in REQUESTS))  # type: ignore[arg-type]
        assert content(tmp_path / str(number)) == content(tmp_path / "undisturbed")


def test_a_download_that_is_no_longer_wanted_ends(registry: Registry, tmp_path: Path) -> None:
    layers = (tar(file("fails", b"x")), tar(file("slow", bytes(100_000))))
    image = Image(layers=layers, compression="none")
    write_layout(tmp_path / "image", {"v1": image})
    registry.put("atlas/slow", tmp_path / "image")
    digests = [layer["digest"] for layer in image.manifest["layers"]]
    faults = Fault(digests[0], status=404, times=None), Fault(digests[1], pause=0.001, times=None)
    begin = time.monotonic()
    with Proxy(registry.address, *faults) as proxy, registries_of(proxy.address) as registries:
        source = from_registry(named(proxy.address, "atlas/slow:v1"), AMD64, registries)
        fetcher = Fetcher(workers=2)
        with pytest.raises(SourceError, match=f"blob {digests[0]}: "):
            fetcher.fetch(source, Store.new(tmp_path / "store", About(form=Form.DIRECT)))
        fetcher.close()
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_layers_of_every_compression(registry: Registry, tmp_path: Path, compression: str) -> None:
    write_layout(tmp_path / "image", {"v1": Image(layers=IMAGE.layers, compression=compression)})
    registry.put(f"atlas/{compression}", tmp_path / "image")
    with registry.registries() as registries, publishing(tmp_path / "store", registries=registries, platform="linux/amd64") as batch:
        batch.add(f"docker://{registry.address}/atlas/{compression}:v1")
    assert batch.receipt is not None
    assert batch.receipt.layers == 2


def test_a_real_manifest_of_schema_1_is_refused(tmp_path: Path) -> None:
    """Spec Q12."""
    require("docker-registry", "skopeo")
    history = [{"created": CREATED, "created_by": "x"} for _ in IMAGE.layers]
    write_layout(tmp_path / "image", {"v1": Image(layers=IMAGE.layers, family="docker", history=history)})
    with Registry(tmp_path / "registry", schema_1=True) as registry:
        registry.put("atlas/new", tmp_path / "image")
        source, target = (f"docker://{registry.address}/atlas/{name}:v1" for name in ("new", "old"))
        skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--format", "v2s1", source, target)
        with registry.registries() as registries, pytest.raises(SourceError) as error:
            from_registry(registry.name("atlas/old:v1"), AMD64, registries)
    wanted = "a manifest of OCI or of Docker's schema 2, found schema 1, which podman no longer writes"
    assert str(error.value) == f"{target}: expected {wanted}"


def test_credentials_appear_nowhere(layout: Path, tmp_path: Path) -> None:
    """Spec Q6."""
    require("docker-registry")
    with Registry(tmp_path / "registry", users={"alice": "s3cret"}) as registry:
        registry.put("atlas/app", layout)
        with registry.registries(cache=Cache(tmp_path / "cache")) as registries:
            with publishing(tmp_path / "store", registries=registries, platform="linux/amd64") as batch:
                batch.add(f"docker://{registry.address}/atlas/app:v1")
            assert "s3cret" not in f"{registries!r} {vars(registries)!r}"
    for place in ("cache", "store"):
        for name, data in content(tmp_path / place).items():
            assert b"s3cret" not in data, name
            assert b"YWxpY2U6czNjcmV0" not in data, name
