"""Podman builds on images of a read-only store: it tags them, builds from them, and pulls what it need not download."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.compat.images import blob_path, digest_of, manifest_of
from tests.compat.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.conftest import Images, Readers
    from tests.compat.podman import Podman

SIBLING = "localhost/sibling:1"


def test_tags_an_image(podman: Podman) -> None:
    podman("tag", SIBLING, "localhost/mine:2")
    assert podman.image_id("localhost/mine:2") == podman.image_id(SIBLING)
    assert podman.container("localhost/mine:2", "cat", "/etc/sibling") == "sibling\n"
    assert podman.own_layers() == []


def test_builds_from_an_image(podman: Podman, images: Images, tmp_path: Path) -> None:
    (tmp_path / "added").write_text("added\n")
    (tmp_path / "Containerfile").write_text(f"FROM {SIBLING}\nCOPY added /etc/added\nRUN rm /etc/sibling && cat /etc/added > /etc/run\n")
    podman("build", "--isolation=chroot", "--pull=never", "--tag", "localhost/built:1", tmp_path)
    built = podman.inspect("localhost/built:1")
    assert podman.container("localhost/built:1", "sh", "-c", "cat /etc/added /etc/run; ls /etc/sibling 2>&1 | wc -l") == "added\nadded\n1\n"
    assert built["RootFS"]["Layers"][: len(manifest_of(images.layout, "sibling")["layers"])] == podman.inspect(SIBLING)["RootFS"]["Layers"]
    assert len(podman.own_layers()) == len(built["RootFS"]["Layers"]) - len(podman.inspect(SIBLING)["RootFS"]["Layers"])


def test_pulls_an_image_without_its_layers(podman: Podman, readers: Readers, images: Images, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        name = registry.push(images.sibling.source, "team/pulled:1")
        for layer in manifest_of(images.layout, "sibling")["layers"]:
            registry.forget(layer["digest"])
        assert "404" in readers().refusal("pull", "--tls-verify=false", name), "the registry has no layer any more"
        podman("pull", "--tls-verify=false", name)
    assert podman.own_layers() == []
    assert podman.inspect(name)["Digest"] == digest_of(images.layout, "sibling")
    assert podman.container(name, "cat", "/etc/sibling") == "sibling\n"


def test_pulls_only_the_layers_that_the_store_lacks(podman: Podman, images: Images, tmp_path: Path) -> None:
    newer = images.sibling.fork("newer")
    with newer.layer() as tree:
        (tree / "etc/newer").write_text("newer\n")
    *below, top = manifest_of(images.layout, "newer")["layers"]
    with Registry(tmp_path / "registry") as registry:
        name = registry.push(newer.source, "team/newer:1")
        for layer in below:
            registry.forget(layer["digest"])
        podman("pull", "--tls-verify=false", name)
        assert registry.sent(top["digest"])
        assert not any(registry.sent(layer["digest"]) for layer in below)
    config = json.loads(blob_path(images.layout, manifest_of(images.layout, "newer")["config"]["digest"]).read_bytes())
    assert podman.inspect(name)["RootFS"]["Layers"] == config["rootfs"]["diff_ids"]
    assert len(podman.own_layers()) == 1
    assert podman.container(name, "cat", "/etc/sibling", "/etc/newer") == "sibling\nnewer\n"
