"""Choosing a source by its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.errors import SourceError
from cstore.model.platform import Platform
from cstore.source import open_source
from tests.images import Image, docker_archive, file, oci_archive, tar, write_layout

if TYPE_CHECKING:
    from pathlib import Path

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
IMAGE = Image(layers=(tar(file("a", b"1")),))


def test_every_transport_opens_the_same_image(tmp_path: Path) -> None:
    sources = [
        write_layout(tmp_path / "layout", IMAGE),
        oci_archive(tmp_path / "oci.tar", IMAGE),
        docker_archive(tmp_path / "docker.tar", [IMAGE]),
    ]
    images = [open_source(source, AMD64) for source in sources]
    assert {image.id for image in images} == {IMAGE.id}
    assert [image.at for image in images] == sources
    for image in images:
        image.close()


@pytest.mark.parametrize("text", ["", "oci", "oci:", "docker:x", "dir:/x", "/x", "OCI:/x"])
def test_another_text_is_no_source(text: str) -> None:
    with pytest.raises(SourceError) as error:
        open_source(text, AMD64)
    assert str(error.value) == f'source: expected one of docker://…, oci:…, oci-archive:…, docker-archive:…, found "{text}"'


def test_an_image_for_another_platform_is_taken_unless_somebody_asked(tmp_path: Path) -> None:
    source = write_layout(tmp_path / "layout", IMAGE)
    assert open_source(source, ARM64).config.platform == AMD64
    with pytest.raises(SourceError) as error:
        open_source(source, ARM64, asked=True)
    assert str(error.value) == f"{source}: expected an image for linux/arm64, found one for linux/amd64"
    assert open_source(source, AMD64, asked=True).id == IMAGE.id
