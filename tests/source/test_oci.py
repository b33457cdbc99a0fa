from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import ContentError, FormatError, SourceError, StoreError
from cstore.model.platform import Platform
from cstore.source import open_source
from cstore.source.oci import from_archive, from_directory
from tests.images import TAG, Image, descriptor, file, image_index, json_of, oci_archive, put_blob, put_image, put_index, tar, write_layout

if TYPE_CHECKING:
    from pathlib import Path

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64", "v8")
ONE, TWO = (Image(layers=(tar(file("a", content)),)) for content in (b"1", b"2"))
FOR_ARM = Image(layers=ONE.layers, platform="linux/arm64/v8")


@pytest.mark.parametrize("family", ["oci", "docker"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_an_image_of_a_layout(tmp_path: Path, family: str, compression: str) -> None:
    image = Image(layers=ONE.layers, family=family, compression=compression)
    source = open_source(write_layout(tmp_path / "x", image), AMD64)
    assert (source.id, str(source.digest), source.index_bytes) == (image.id, image.digest, None)
    assert (source.manifest_bytes, source.config_bytes) == (json_of(image.manifest), json_of(image.config))
    with source.open_blob(source.manifest.layers[0]) as blob:
        assert blob.read() == image.blobs[0]
    source.close()


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_an_image_of_an_archive(tmp_path: Path, compression: str) -> None:
    oci_archive(tmp_path / "x.tar", {"v1": ONE, "v2": TWO}, compression)
    source = from_archive(str(tmp_path / "x.tar"), "v2", AMD64)
    assert (source.id, source.at) == (TWO.id, f"oci-archive:{tmp_path}/x.tar")
    assert source.open_blob(source.manifest.layers[0]).read() == TWO.blobs[0]
    source.close()


@pytest.mark.parametrize(
    ("images", "tag", "image"),
    [
        pytest.param(ONE, "", ONE, id="the only one"),
        pytest.param({"v1": ONE}, "", ONE, id="the only one, with a tag"),
        pytest.param({"v1": ONE, "v2": TWO}, "v2", TWO, id="by its tag"),
        pytest.param({"v1": ONE, "v2": ONE}, "", ONE, id="one with two tags"),
    ],
)
def test_which_image_is_meant(tmp_path: Path, images: Image | dict[str, Image], tag: str, image: Image) -> None:
    write_layout(tmp_path, images)
    assert from_directory(str(tmp_path), tag, AMD64).id == image.id


@pytest.mark.parametrize(
    ("images", "tag", "said"),
    [
        pytest.param({"b": ONE, "a": TWO}, "", "expected one image, found 2; name one of the tags: a, b", id="several"),
        pytest.param({"b": ONE, "a": TWO}, "c", 'expected an image with the tag "c", found the tags: a, b', id="no such tag"),
        pytest.param(ONE, "c", 'expected an image with the tag "c", found the tags: none', id="no tags"),
        pytest.param({}, "", "expected one image, found 0; name one of the tags: none", id="none"),
    ],
)
def test_no_image_is_meant(tmp_path: Path, images: Image | dict[str, Image], tag: str, said: str) -> None:
    write_layout(tmp_path, images)
    with pytest.raises(SourceError) as error:
        from_directory(str(tmp_path), tag, AMD64)
    assert str(error.value) == f"oci:{tmp_path}: {said}"


def test_the_same_tag_on_two_images(tmp_path: Path) -> None:
    more: dict[str, Any] = {"annotations": {TAG: "v1"}}
    put_index(tmp_path, [put_image(tmp_path, ONE, **more), put_image(tmp_path, TWO, **more)])
    with pytest.raises(SourceError) as error:
        from_directory(str(tmp_path), "v1", AMD64)
    assert str(error.value) == f"oci:{tmp_path}: expected one image, found 2; name one of the tags: v1"


@pytest.mark.parametrize(
    ("file_name", "annotations", "tag", "names"),
    [
        pytest.param("App", {}, "", ("localhost/app:latest",), id="the directory's name"),
        pytest.param("app.tar", {}, "", ("localhost/app:latest",), id="without .tar"),
        pytest.param("app.oci.tar", {}, "", ("localhost/app:latest",), id="without .oci.tar"),
        pytest.param("app", {TAG: "v1"}, "", ("localhost/app:v1",), id="the image's tag"),
        pytest.param("app", {TAG: "v1"}, "v1", ("localhost/app:v1",), id="the tag that was asked for"),
        pytest.param("app", {TAG: "example.org/x:1"}, "", ("example.org/x:1",), id="a tag that is a full name"),
        pytest.param("app", {TAG: "1", "io.containerd.image.name": "docker.io/x:2"}, "", ("docker.io/library/x:2",), id="containerd's"),
        pytest.param("-app-", {}, "", (), id="no name can be made of it"),
        pytest.param("app", {TAG: "a b/c"}, "", (), id="a tag that is no name"),
    ],
)
def test_which_names_it_gives(tmp_path: Path, file_name: str, annotations: dict[str, str], tag: str, names: tuple[str, ...]) -> None:
    layout = tmp_path / file_name
    layout.mkdir()
    put_index(layout, [put_image(layout, ONE, annotations=annotations)])
    assert from_directory(str(layout), tag, AMD64).names == names


@pytest.mark.parametrize("family", ["oci", "docker"])
@pytest.mark.parametrize(("platform", "image"), [(AMD64, ONE), (ARM64, FOR_ARM)], ids=["amd64", "arm64"])
def test_an_image_of_an_image_index(tmp_path: Path, family: str, platform: Platform, image: Image) -> None:
    images = [Image(layers=item.layers, platform=item.platform, family=family) for item in (ONE, FOR_ARM)]
    write_layout(tmp_path, {"v1": images})
    source = from_directory(str(tmp_path), "", platform)
    assert source.id == (images[0] if image is ONE else images[1]).id
    assert source.index_bytes == image_index(tmp_path, images)


def nested(layout: Path, depth: int, **more: object) -> bytes:
    """Put an image below several image indexes, and return the outermost."""
    inner = put_image(layout, ONE)
    data = b""
    for _ in range(depth):
        entry = {**inner, "platform": {"os": "linux", "architecture": "amd64"}}
        data = json_of({"schemaVersion": 2, "manifests": [entry], **more})
        inner = put_blob(layout, data, "application/vnd.oci.image.index.v1+json")
    put_index(layout, [inner])
    return data


def test_the_outermost_image_index_is_the_one_that_is_kept(tmp_path: Path) -> None:
    tmp_path.joinpath("blobs").mkdir()
    outermost = nested(tmp_path, 3)
    source = from_directory(str(tmp_path), "", AMD64)
    assert (source.id, source.index_bytes) == (ONE.id, outermost)


def test_image_indexes_without_end(tmp_path: Path) -> None:
    nested(tmp_path, 4)
    with pytest.raises(SourceError) as error:
        from_directory(str(tmp_path), "", AMD64)
    assert str(error.value) == f"oci:{tmp_path}: expected a manifest below at most 4 image indexes, found more of them"


def test_an_image_index_without_the_platform(tmp_path: Path) -> None:
    write_layout(tmp_path, {"v1": [FOR_ARM]})
    with pytest.raises(SourceError) as error:
        from_directory(str(tmp_path), "", AMD64)
    assert str(error.value) == f"oci:{tmp_path}: expected an image for linux/amd64, found images for: linux/arm64/v8"


@pytest.mark.parametrize("media_type", ["", "application/x"])
def test_a_document_without_a_known_type_is_told_by_its_members(tmp_path: Path, media_type: str) -> None:
    index = image_index(tmp_path, [ONE])
    put_index(tmp_path, [put_blob(tmp_path, index, media_type)])
    assert from_directory(str(tmp_path), "", AMD64).index_bytes == index
    put_index(tmp_path, [put_blob(tmp_path, json_of(ONE.manifest), media_type)])
    assert from_directory(str(tmp_path), "", AMD64).index_bytes is None


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as error:
        from_directory(str(tmp_path / "none"), "", AMD64)
    assert str(error.value) == f"oci:{tmp_path}/none: expected a directory, found none"


BIG = b" " * (8 << 20) + b"{}"
PLACE = "oci:{0}: "


@pytest.mark.parametrize(
    ("name", "content", "kind", "sentence"),
    [
        pytest.param(
            "oci-layout", None, SourceError, "{0}/oci-layout: expected a file, found: No such file or directory", id="no oci-layout"
        ),
        pytest.param("oci-layout", b"[]", FormatError, PLACE + "oci-layout: expected an object, found an array", id="oci-layout"),
        pytest.param(
            "oci-layout", b"{}", FormatError, PLACE + "oci-layout.imageLayoutVersion: expected text, found nothing", id="no version"
        ),
        pytest.param(
            "oci-layout",
            b'{"imageLayoutVersion":"2.0.0"}',
            FormatError,
            PLACE + 'oci-layout.imageLayoutVersion: expected "1.0.0", found "2.0.0"',
            id="another version",
        ),
        pytest.param("oci-layout", BIG, SourceError, PLACE + "oci-layout: expected up to 8388608 bytes, found more", id="big oci-layout"),
        pytest.param("index.json", None, SourceError, "{0}/index.json: expected a file, found: No such file or directory", id="no index"),
        pytest.param("index.json", b"{}", FormatError, PLACE + "index.json.schemaVersion: expected 2, found nothing", id="no image index"),
        pytest.param("index.json", BIG, SourceError, PLACE + "index.json: expected up to 8388608 bytes, found more", id="big index"),
    ],
)
def test_a_damaged_layout(tmp_path: Path, name: str, content: bytes | None, kind: type[StoreError], sentence: str) -> None:
    write_layout(tmp_path, ONE)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StoreError) as error:
        from_directory(str(tmp_path), "", AMD64)
    assert (type(error.value), str(error.value)) == (kind, sentence.format(tmp_path))


@pytest.mark.parametrize(
    ("manifest", "media_type", "sentence"),
    [
        pytest.param(
            {"schemaVersion": 2, "config": 7}, "x", PLACE + "manifest.config: expected an object, found 7", id="the config is no object"
        ),
        pytest.param({"schemaVersion": 2}, "x", PLACE + "manifest.config: expected an object, found nothing", id="no config"),
        pytest.param([], "x", PLACE + "manifest: expected an object, found an array", id="no object"),
        pytest.param(
            {"schemaVersion": 1, "fsLayers": []},
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            PLACE + "manifest: expected a manifest of OCI or of Docker's schema 2, found schema 1, which podman no longer writes",
            id="schema 1",
        ),
        pytest.param(
            {"schemaVersion": 2, "mediaType": "y", "config": descriptor(b"", "z")},
            "x",
            PLACE + 'manifest: expected the manifest of an image, found media type "y"',
            id="another document with a config",
        ),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, manifest: object, media_type: str, sentence: str) -> None:
    put_blob(tmp_path, b"", "")
    put_index(tmp_path, [put_blob(tmp_path, json_of(manifest), media_type)])
    with pytest.raises(StoreError) as error:
        from_directory(str(tmp_path), "", AMD64)
    assert str(error.value) == sentence.format(tmp_path)


@pytest.mark.parametrize("what", ["manifest", "config"])
def test_a_blob_that_is_not_the_promised_one(tmp_path: Path, what: str) -> None:
    write_layout(tmp_path, ONE)
    promised = descriptor(json_of(ONE.manifest if what == "manifest" else ONE.config), "")
    blob = tmp_path / "blobs" / "sha256" / promised["digest"].removeprefix("sha256:")
    blob.write_bytes(b"{" + bytes(promised["size"] - 1))
    with pytest.raises(ContentError) as error:
        from_directory(str(tmp_path), "", AMD64)
    place = f"blob {promised['digest']}" if what == "manifest" else "config"
    assert str(error.value).startswith(f"oci:{tmp_path}: {place}: expected digest {promised['digest']}, found sha256:")


def test_an_archive_without_a_layout(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tar(file("a")))
    with pytest.raises(SourceError) as error:
        from_archive(str(tmp_path / "x.tar"), "", AMD64)
    assert str(error.value) == f'{tmp_path}/x.tar: expected a member "oci-layout", found none'
