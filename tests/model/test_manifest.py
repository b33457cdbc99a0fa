from __future__ import annotations

import copy
from typing import Any

import pytest

from cstore.errors import FormatError, SourceError, StoreError
from cstore.model.manifest import Descriptor, ImageIndex, Manifest
from cstore.model.platform import Platform

SHA = "sha256:" + "ab" * 32
OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"


def blob(media_type: str, **more: object) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": SHA, "size": 5, **more}


CONFIG = blob(f"{OCI}.config.v1+json")
MANIFEST: dict[str, Any] = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": CONFIG, "layers": []}


def test_a_descriptor_is_read() -> None:
    value = blob("x", platform={"os": "linux", "architecture": "arm", "variant": "v7"}, annotations={"k": "v"}, urls=[])
    before = copy.deepcopy(value)
    descriptor = Descriptor.from_dict(value)
    assert (descriptor.media_type, str(descriptor.digest), descriptor.size) == ("x", SHA, 5)
    assert (descriptor.platform, descriptor.annotations) == (Platform("linux", "arm", "v7"), {"k": "v"})
    assert value == before


def test_a_descriptor_need_not_say_more_than_digest_and_size() -> None:
    descriptor = Descriptor.from_dict({"digest": SHA, "size": 0})
    assert (descriptor.media_type, descriptor.platform, descriptor.annotations) == ("", None, {})


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        pytest.param({"mediaType": 1}, "at.mediaType: expected text, found 1", id="media type"),
        pytest.param({"digest": "sha256:12"}, 'at.digest: expected a digest, found "sha256:12"', id="digest"),
        pytest.param({"size": -1}, "at.size: expected a number of at least 0, found -1", id="negative size"),
        pytest.param({"size": None}, "at.size: expected a whole number, found nothing", id="no size"),
        pytest.param({"platform": "linux"}, 'at.platform: expected an object, found "linux"', id="platform"),
        pytest.param({"platform": {"os": 1}}, "at.platform.os: expected text, found 1", id="system"),
        pytest.param({"annotations": {"k": 1}}, "at.annotations['k']: expected text, found 1", id="annotation"),
    ],
)
def test_a_wrong_member_of_a_descriptor_is_named(members: dict[str, object], sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        Descriptor.from_dict({**blob("x"), **members}, "at")
    assert str(error.value) == sentence


@pytest.mark.parametrize("family", [OCI, DOCKER])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_the_layers_of_both_families_are_read(family: str, compression: str) -> None:
    dot, tar = ("+", "layer.v1.tar") if family == OCI else (".", "image.rootfs.diff.tar")
    layer = blob(f"{family}.{tar}" + ("" if compression == "none" else dot + compression))
    kind = f"{OCI}.config.v1+json" if family == OCI else f"{DOCKER}.container.image.v1+json"
    media_type = f"{OCI}.manifest.v1+json" if family == OCI else f"{DOCKER}.distribution.manifest.v2+json"
    manifest = Manifest.from_dict({"schemaVersion": 2, "mediaType": media_type, "config": blob(kind), "layers": [layer]})
    assert (manifest.media_type, manifest.config.media_type) == (media_type, kind)
    assert [item.media_type for item in manifest.layers] == [layer["mediaType"]]


def test_a_manifest_without_media_type_is_of_oci() -> None:
    value = {key: item for key, item in MANIFEST.items() if key != "mediaType"}
    assert Manifest.from_dict(value).media_type == f"{OCI}.manifest.v1+json"


SCHEMA_1 = "at: expected a manifest of OCI or of Docker's schema 2, found schema 1, which podman no longer writes"


@pytest.mark.parametrize(
    ("members", "kind", "sentence"),
    [
        pytest.param({"schemaVersion": 1}, SourceError, SCHEMA_1, id="schema 1 by version"),
        pytest.param({"mediaType": f"{DOCKER}.distribution.manifest.v1+json"}, SourceError, SCHEMA_1, id="schema 1 by type"),
        pytest.param({"mediaType": f"{DOCKER}.distribution.manifest.v1+prettyjws"}, SourceError, SCHEMA_1, id="schema 1, signed"),
        pytest.param({"schemaVersion": 3}, FormatError, "at.schemaVersion: expected 2, found 3", id="schema 3"),
        pytest.param({"schemaVersion": None}, FormatError, "at.schemaVersion: expected 2, found nothing", id="no schema"),
        pytest.param({"schemaVersion": "2"}, FormatError, 'at.schemaVersion: expected 2, found "2"', id="a text for the schema"),
        pytest.param(
            {"mediaType": "application/x"},
            SourceError,
            'at: expected the manifest of an image, found media type "application/x"',
            id="another document",
        ),
        pytest.param(
            {"config": blob("application/vnd.cncf.helm.config.v1+json")},
            SourceError,
            'at: expected an image, found an artifact with a config of type "application/vnd.cncf.helm.config.v1+json"',
            id="artifact",
        ),
        pytest.param({"config": None}, FormatError, "at.config: expected an object, found nothing", id="no config"),
        pytest.param({"layers": {}}, FormatError, "at.layers: expected an array, found an object", id="layers"),
        pytest.param(
            {"layers": [blob(f"{OCI}.layer.v1.tar"), blob("x", size=True)]},
            FormatError,
            "at.layers[1].size: expected a whole number, found true",
            id="a layer's size",
        ),
        pytest.param(
            {"layers": [blob(f"{OCI}.layer.v1.tar+gzip+encrypted")]},
            SourceError,
            f'at.layers[0]: expected a layer of tar, gzip or zstd, found an encrypted one of type "{OCI}.layer.v1.tar+gzip+encrypted"',
            id="encrypted layer",
        ),
        pytest.param(
            {"layers": [blob("application/x")]},
            SourceError,
            'at.layers[0]: expected a layer of tar, gzip or zstd, found another one of type "application/x"',
            id="another layer",
        ),
    ],
)
def test_a_manifest_that_cannot_be_read(members: dict[str, object], kind: type[StoreError], sentence: str) -> None:
    with pytest.raises(StoreError) as error:
        Manifest.from_dict({**MANIFEST, **members}, "at")
    assert (type(error.value), str(error.value)) == (kind, sentence)


def entry(platform: str | None, digest: str) -> dict[str, Any]:
    made = {"digest": f"sha256:{digest * 64}", "size": 1}
    if platform is not None:
        made["platform"] = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
    return made


def test_the_entry_that_fits_best_is_chosen() -> None:
    entries = [
        entry(None, "0"),
        entry("linux/arm/v6", "1"),
        entry("linux/arm/v7", "2"),
        entry("linux/amd64", "3"),
        entry("linux/amd64", "4"),
    ]
    index = ImageIndex.from_dict({"schemaVersion": 2, "manifests": entries})
    assert index.choose(Platform.parse("linux/amd64")).digest.hex == "3" * 64
    assert index.choose(Platform.parse("linux/arm/v7")).digest.hex == "2" * 64
    assert index.choose(Platform.parse("linux/arm/v6")).digest.hex == "1" * 64


@pytest.mark.parametrize(
    ("entries", "there"),
    [
        pytest.param([], "none", id="empty"),
        pytest.param([entry(None, "0")], "none", id="without platforms"),
        pytest.param([entry("windows/amd64", "0"), entry("linux/arm64", "1")], "linux/arm64, windows/amd64", id="others"),
    ],
)
def test_an_image_index_without_the_platform(entries: list[dict[str, Any]], there: str) -> None:
    index = ImageIndex.from_dict({"schemaVersion": 2, "manifests": entries})
    with pytest.raises(SourceError) as error:
        index.choose(Platform.parse("linux/arm/v7"), "oci:x")
    assert str(error.value) == f"oci:x: expected an image for linux/arm/v7, found images for: {there}"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        pytest.param([], "at: expected an object, found an array", id="array"),
        pytest.param({"schemaVersion": 1}, "at.schemaVersion: expected 2, found 1", id="schema 1"),
        pytest.param({"schemaVersion": True}, "at.schemaVersion: expected 2, found true", id="a bool for the schema"),
        pytest.param({"schemaVersion": 2, "manifests": 1}, "at.manifests: expected an array, found 1", id="manifests"),
        pytest.param({"schemaVersion": 2, "manifests": [1]}, "at.manifests[0]: expected an object, found 1", id="an entry"),
    ],
)
def test_a_malformed_image_index(value: object, sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        ImageIndex.from_dict(value, "at")
    assert str(error.value) == sentence
