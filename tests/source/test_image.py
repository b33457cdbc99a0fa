from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import ContentError, FormatError, SourceError, StoreError
from cstore.model.digest import Digest
from cstore.source.files import DirectoryFiles
from cstore.source.image import SourceImage, nothing, read_blob
from tests.images import Image, file, json_of, tar

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = Image(layers=(tar(file("a")), tar(file("b"))))


def read(manifest: bytes = json_of(IMAGE.manifest), config: bytes = json_of(IMAGE.config)) -> SourceImage:
    return SourceImage.read(
        at="oci:x",
        names=("localhost/x:latest",),
        manifest=manifest,
        index=None,
        config=config,
        open_blob=lambda _descriptor, _tick=nothing: io.BytesIO(),
        close=lambda: None,
    )


def test_what_an_image_is_called() -> None:
    image = read()
    assert (image.id, str(image.digest)) == (IMAGE.id, IMAGE.digest)
    assert [str(diff_id) for diff_id in image.config.diff_ids] == IMAGE.diff_ids
    assert image.chain[0] == IMAGE.diff_ids[0].removeprefix("sha256:")
    assert len(set(image.chain)) == 2


def without_a_layer() -> dict[str, Any]:
    return {**IMAGE.manifest, "layers": IMAGE.manifest["layers"][:1]}


@pytest.mark.parametrize(
    ("parts", "kind", "sentence"),
    [
        pytest.param({"manifest": b"[]"}, FormatError, "oci:x: manifest: expected an object, found an array", id="manifest"),
        pytest.param({"config": b"7"}, FormatError, "oci:x: config: expected an object, found 7", id="config"),
        pytest.param(
            {"config": b"{}"}, FormatError, "oci:x: config.rootfs: expected an object, found nothing", id="a config without layers"
        ),
        pytest.param(
            {"manifest": json_of(without_a_layer())},
            SourceError,
            "oci:x: expected a layer for each diff ID of the config (2), found 1 layers",
            id="fewer layers than diff IDs",
        ),
        pytest.param(
            {"config": json_of({**IMAGE.config, "rootfs": {"diff_ids": []}})},
            SourceError,
            "oci:x: expected a layer for each diff ID of the config (0), found 2 layers",
            id="more layers than diff IDs",
        ),
    ],
)
def test_what_is_no_image(parts: dict[str, bytes], kind: type[StoreError], sentence: str) -> None:
    with pytest.raises(StoreError) as error:
        read(**parts)
    assert (type(error.value), str(error.value)) == (kind, sentence)


@pytest.mark.parametrize(("part", "what"), [("manifest", "manifest"), ("config", "config")])
def test_what_is_no_json(part: str, what: str) -> None:
    with pytest.raises(FormatError, match=rf"^oci:x: {what}: expected JSON, found an empty file \("):
        read(**{part: b""})


def test_an_image_whose_config_has_a_digest_that_makes_no_id() -> None:
    manifest = {**IMAGE.manifest, "config": {**IMAGE.manifest["config"], "digest": "sha512:" + "ab" * 64}}
    image = read(json_of(manifest))
    with pytest.raises(FormatError) as error:
        _ = image.id
    shown = ("ab" * 64)[:100]
    assert str(error.value) == f'oci:x: manifest.config.digest: expected an ID of 64 hexadecimal digits, found "{shown}…"'


DATA = b"hello"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_small_blob_is_read_and_verified(tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "blob").write_bytes(DATA)
    hasher = Digest(algorithm, "").hasher()
    hasher.update(DATA)
    assert read_blob(DirectoryFiles(tmp_path), "blob", Digest(algorithm, hasher.hexdigest()), 5, "at") == DATA


@pytest.mark.parametrize(
    ("digest", "size", "sentence"),
    [
        pytest.param(Digest.of(DATA), 4, "at: expected 4 bytes, found more", id="too long"),
        pytest.param(Digest.of(DATA), 6, "at: expected 6 bytes, found 5", id="too short"),
        pytest.param(Digest.of(b""), 5, f"at: expected digest {Digest.of(b'')}, found {Digest.of(DATA)}", id="other bytes"),
        pytest.param(
            Digest.of(DATA), (8 << 20) + 1, "at: expected up to 8388608 bytes, found a declared size of 8388609", id="declared too big"
        ),
    ],
)
def test_a_blob_that_is_not_the_promised_one(tmp_path: Path, digest: Digest, size: int, sentence: str) -> None:
    (tmp_path / "blob").write_bytes(DATA)
    with pytest.raises(SourceError if "declared" in sentence else ContentError) as error:
        read_blob(DirectoryFiles(tmp_path), "blob", digest, size, "at")
    assert str(error.value) == sentence
