from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import ContentError, FormatError, SourceError, StoreError
from cstore.model.platform import Platform
from cstore.source.docker_archive import from_archive
from tests.images import DOCKER, Image, compressed, docker_archive, file, json_of, tar

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.source.image import SourceImage

AMD64 = Platform("linux", "amd64")
BASE, TOP = tar(file("a", b"1")), tar(file("b", b"2"))
ONE = Image(layers=(BASE, TOP), compression="none")
TWO = Image(layers=(TOP,), compression="none")


def opened(path: Path, name: str = "") -> SourceImage:
    return from_archive(str(path), name, AMD64)


def raw_archive(path: Path, manifest: object, members: dict[str, bytes] | None = None) -> Path:
    data = manifest if isinstance(manifest, bytes) else json_of(manifest)
    path.write_bytes(tar(file("manifest.json", data), *(file(name, content) for name, content in (members or {}).items())))
    return path


@pytest.mark.parametrize("outside", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("inside", ["none", "gzip", "zstd"])
def test_layers_are_read_unpacked_and_the_manifest_is_the_one_that_podman_makes(tmp_path: Path, inside: str, outside: str) -> None:
    image = Image(layers=(BASE, TOP), compression=inside)
    docker_archive(tmp_path / "x.tar", [image], outside)
    source = opened(tmp_path / "x.tar")
    config = json_of(image.config)
    assert source.config_bytes == config
    expected = {
        "schemaVersion": 2,
        "mediaType": f"{DOCKER}.distribution.manifest.v2+json",
        "config": {
            "mediaType": f"{DOCKER}.container.image.v1+json",
            "size": len(config),
            "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
        },
        "layers": [
            {
                "mediaType": f"{DOCKER}.image.rootfs.diff.tar.gzip",
                "size": len(layer),
                "digest": f"sha256:{hashlib.sha256(layer).hexdigest()}",
            }
            for layer in (BASE, TOP)
        ],
    }
    assert source.manifest_bytes == json.dumps(expected, separators=(",", ":")).encode()
    for layer, data in zip(source.manifest.layers, (BASE, TOP), strict=True):
        with source.open_blob(layer) as blob:
            assert blob.read() == data
    assert (source.index_bytes, source.id) == (None, image.id)
    source.close()


def test_an_image_with_one_layer_twice(tmp_path: Path) -> None:
    docker_archive(tmp_path / "x.tar", [Image(layers=(BASE, TOP, BASE), compression="none")])
    source = opened(tmp_path / "x.tar")
    assert len(source.manifest.layers) == len(set(source.chain)) == 3
    source.close()


@pytest.mark.parametrize(
    ("images", "name", "image", "names"),
    [
        pytest.param([ONE], "", ONE, (), id="without a name"),
        pytest.param({"debian:12": ONE}, "", ONE, ("docker.io/library/debian:12",), id="a name is completed"),
        pytest.param({"a.b/x:1": ONE, "a.b/y:1": TWO}, "a.b/y:1", TWO, ("a.b/y:1",), id="by name"),
        pytest.param({"debian:latest": ONE, "a.b/y:1": TWO}, "debian", ONE, ("docker.io/library/debian:latest",), id="by a short name"),
    ],
)
def test_which_image_is_meant(
    tmp_path: Path, images: dict[str, Image] | list[Image], name: str, image: Image, names: tuple[str, ...]
) -> None:
    docker_archive(tmp_path / "x.tar", images)
    source = opened(tmp_path / "x.tar", name)
    assert (source.id, source.names) == (image.id, names)
    source.close()


def test_all_names_are_given_and_null_is_none(tmp_path: Path) -> None:
    members = {"c": json_of(ONE.config), "0": BASE, "1": TOP}
    for tags, names in ((["a.b/x:1", "y"], ("a.b/x:1", "docker.io/library/y:latest")), (None, ())):
        path = raw_archive(tmp_path / "x.tar", [{"Config": "c", "RepoTags": tags, "Layers": ["0", "1"]}], members)
        source = opened(path)
        assert source.names == names
        source.close()


SAVED: dict[str, Any] = {"Config": "c", "RepoTags": ["a.b/x:1"], "Layers": ["0", "1"]}
MEMBERS = {"c": json_of(ONE.config), "0": BASE, "1": TOP}
AT = "docker-archive:{0}: "


@pytest.mark.parametrize(
    ("manifest", "name", "kind", "sentence"),
    [
        pytest.param({}, "", FormatError, AT + "manifest.json: expected an array, found an object", id="no array"),
        pytest.param([1], "", FormatError, AT + "manifest.json[0]: expected an object, found 1", id="no object"),
        pytest.param([{}], "", FormatError, AT + "manifest.json[0].Config: expected text, found nothing", id="no config"),
        pytest.param(
            [{**SAVED, "RepoTags": [1]}], "", FormatError, AT + "manifest.json[0].RepoTags[0]: expected text, found 1", id="no tag"
        ),
        pytest.param(
            [{**SAVED, "Layers": "0"}], "", FormatError, AT + 'manifest.json[0].Layers: expected an array, found "0"', id="no layers"
        ),
        pytest.param(
            [{**SAVED, "RepoTags": ["a.b/X"]}],
            "",
            FormatError,
            'name: expected an image name such as registry.example.org/path:tag, found "a.b/X": '
            "a path is of lower-case letters and digits, parted by single dots, dashes, underscores and slashes",
            id="a bad tag",
        ),
        pytest.param([], "", SourceError, AT + "expected one image, found 0; name one of: none", id="none"),
        pytest.param(
            [SAVED, {**SAVED, "RepoTags": ["a.b/w:2"]}],
            "",
            SourceError,
            AT + "expected one image, found 2; name one of: a.b/w:2, a.b/x:1",
            id="several",
        ),
        pytest.param([SAVED], "y", SourceError, AT + 'expected an image named "docker.io/library/y:latest", found: a.b/x:1', id="no such"),
        pytest.param(
            [{**SAVED, "Config": "d"}], "", SourceError, '{0}: expected a member "d", found none', id="a config that is not there"
        ),
        pytest.param(
            [{**SAVED, "Layers": ["0", "2"]}], "", SourceError, '{0}: expected a member "2", found none', id="a layer that is not there"
        ),
        pytest.param(
            [{**SAVED, "Layers": ["0"]}],
            "",
            SourceError,
            AT + "expected a layer for each diff ID of the config (2), found 1 layers",
            id="a layer too few",
        ),
        pytest.param(
            [{**SAVED, "Config": "0"}],
            "",
            FormatError,
            AT + "config: expected JSON, found 10240 bytes that are none (",
            id="a layer for a config",
        ),
        pytest.param(b"", "", FormatError, AT + "manifest.json: expected JSON, found an empty file (", id="empty"),
        pytest.param(b" " * ((8 << 20) + 1), "", SourceError, AT + "manifest.json: expected up to 8388608 bytes, found more", id="too big"),
    ],
)
def test_a_bad_archive(tmp_path: Path, manifest: object, name: str, kind: type[StoreError], sentence: str) -> None:
    path = raw_archive(tmp_path / "x.tar", manifest, MEMBERS)
    with pytest.raises(StoreError) as error:
        opened(path, name)
    assert type(error.value) is kind
    assert str(error.value).startswith(sentence.format(path).replace("10240", str(len(BASE))))
    assert sentence.endswith("(") or str(error.value) == sentence.format(path)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_damaged_layer(tmp_path: Path, compression: str) -> None:
    packed = compressed(bytes(range(256)) * 64, compression)
    path = raw_archive(tmp_path / "x.tar", [SAVED], {**MEMBERS, "1": packed[:8] + b"\xff" * 40})
    with pytest.raises(ContentError) as error:
        opened(path)
    assert str(error.value).startswith(f"1: expected {compression} data, found damage (")


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as error:
        opened(tmp_path / "none")
    assert str(error.value) == f"{tmp_path}/none: expected a file, found: No such file or directory"


def test_an_archive_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tar(file("a")))
    with pytest.raises(SourceError) as error:
        opened(tmp_path / "x.tar")
    assert str(error.value) == f'{tmp_path}/x.tar: expected a member "manifest.json", found none'
