"""Archives of images: what cstore makes of one is what podman makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.compat.images import digest_of, manifest_of
from tests.compat.programs import cstore, run, skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.conftest import Images, Readers

SIBLING = "localhost/sibling:1"


@pytest.fixture
def docker_archive(images: Images, tmp_path: Path) -> Path:
    """An archive as `docker save` and `podman save` write it."""
    skopeo("copy", images.sibling.source, f"docker-archive:{tmp_path}/saved.tar:{SIBLING}")
    return tmp_path / "saved.tar"


def test_docker_archive_has_the_ids_that_podman_gives_to_it(docker_archive: Path, form: str, readers: Readers, tmp_path: Path) -> None:
    loaded = readers()
    loaded("load", "--input", docker_archive)
    cstore("add", tmp_path / "store", f"docker-archive:{docker_archive}", "--layout", form)
    ours = json.loads(cstore("inspect", tmp_path / "store", SIBLING, "--json"))
    theirs = loaded.inspect(SIBLING)
    assert ours["id"] == theirs["Id"]
    assert ours["digest"] == theirs["Digest"] == json.loads(skopeo("inspect", f"docker-archive:{docker_archive}"))["Digest"]
    assert [layer["id"] for layer in ours["layers"]][-1] in loaded.own_layers()
    assert sorted(layer["id"] for layer in ours["layers"]) == sorted(loaded.own_layers())
    podman = readers(tmp_path / "store")
    assert podman.inspect(SIBLING)["Digest"] == theirs["Digest"]
    assert podman.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


def test_docker_archive_by_podman_is_added(images: Images, readers: Readers, tmp_path: Path) -> None:
    cstore("add", tmp_path / "store", images.sibling.source, "--name", SIBLING)
    cstore("add", tmp_path / "store", images.by_umoci.source, "--name", "localhost/by-umoci:1")
    podman = readers(tmp_path / "store")
    podman("save", "--multi-image-archive", "--output", tmp_path / "saved.tar", SIBLING, "localhost/by-umoci:1")
    cstore("add", tmp_path / "second", f"docker-archive:{tmp_path}/saved.tar:{SIBLING}")
    (image,) = json.loads(cstore("list", tmp_path / "second", "--json"))["images"]
    assert (image["names"], image["id"]) == ([SIBLING], podman.image_id(SIBLING))
    assert readers(tmp_path / "second").container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


def test_docker_archive_that_is_compressed_is_added(docker_archive: Path, tmp_path: Path) -> None:
    run("gzip", "--fast", docker_archive)
    cstore("add", tmp_path / "store", f"docker-archive:{docker_archive}.gz")
    assert json.loads(cstore("list", tmp_path / "store", "--json"))["images"][0]["names"] == [SIBLING]


def test_oci_archive_keeps_the_digest_of_its_manifest(images: Images, form: str, readers: Readers, tmp_path: Path) -> None:
    skopeo("copy", "--preserve-digests", images.sibling.source, f"oci-archive:{tmp_path}/saved.tar:sibling")
    cstore("add", tmp_path / "store", f"oci-archive:{tmp_path}/saved.tar:sibling", "--name", SIBLING, "--layout", form)
    podman = readers(tmp_path / "store")
    assert podman.inspect(SIBLING)["Digest"] == digest_of(images.layout, "sibling")
    assert podman.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


def test_oci_archive_by_podman_is_added(images: Images, readers: Readers, tmp_path: Path) -> None:
    cstore("add", tmp_path / "store", images.sibling.source, "--name", SIBLING)
    podman = readers(tmp_path / "store")
    podman("save", "--format=oci-archive", "--output", tmp_path / "saved.tar", SIBLING)
    cstore("add", tmp_path / "second", f"oci-archive:{tmp_path}/saved.tar", "--name", SIBLING)
    first, second = (json.loads(cstore("inspect", tmp_path / name, SIBLING, "--json")) for name in ("store", "second"))
    assert first["id"] == second["id"]
    assert [layer["id"] for layer in first["layers"]] == [layer["id"] for layer in second["layers"]]
    assert readers(tmp_path / "second").container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


def test_image_with_zstd_layers_is_added(images: Images, form: str, readers: Readers, tmp_path: Path) -> None:
    skopeo("copy", "--dest-compress-format=zstd", "--dest-compress", images.sibling.source, f"dir:{tmp_path}/dir")
    skopeo("copy", f"dir:{tmp_path}/dir", f"oci:{tmp_path}/zstd:sibling")
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest_of(tmp_path / "zstd", "sibling")["layers"]} == {"zstd"}
    cstore("add", tmp_path / "store", f"oci:{tmp_path}/zstd:sibling", "--name", SIBLING, "--layout", form)
    assert readers(tmp_path / "store").container(SIBLING, "cat", "/etc/sibling") == "sibling\n"
