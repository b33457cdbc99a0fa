"""Podman reads what cstore writes: it lists, inspects, runs, saves and compares the images of a read-only store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.compat.images import blob_path, digest_of, manifest_of
from tests.compat.programs import cstore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.conftest import Images, Readers
    from tests.compat.podman import Podman

LAYERS = "registry.example.org/team/layers"
SIBLING = "localhost/sibling:1"


def test_lists_every_image_with_its_digest(podman: Podman, images: Images) -> None:
    listed = {
        (image["Id"], name, image["Digest"])
        for image in json.loads(podman("images", "--digests", "--format=json"))
        for name in image["Names"]
    }
    expected = {
        (manifest_of(images.layout, tag)["config"]["digest"].removeprefix("sha256:"), name, digest_of(images.layout, tag))
        for name, tag in (
            ("localhost/by-umoci:1", "by-umoci"),
            (f"{LAYERS}:1", "layers"),
            ("registry.example.org/team/index:1", "layers"),
            (SIBLING, "sibling"),
            ("localhost/topless:1", "topless"),
            ("localhost/sparse:1", "sparse"),
        )
    }
    assert listed == expected
    assert digest_of(images.layout, "layers").removeprefix("sha256:")[:12] in podman("images", "--digests")


def test_inspects_an_image(podman: Podman, images: Images) -> None:
    manifest = manifest_of(images.layout, "layers")
    config = json.loads(blob_path(images.layout, manifest["config"]["digest"]).read_bytes())
    found = podman.inspect(f"{LAYERS}:1")
    assert "sha256:" + found["Id"] == manifest["config"]["digest"]
    assert found["RootFS"]["Layers"] == config["rootfs"]["diff_ids"]
    assert found["Digest"] == digest_of(images.layout, "layers")
    assert sorted(found["RepoTags"]) == ["registry.example.org/team/index:1", f"{LAYERS}:1"]
    assert f"{LAYERS}@{images.index_digest}" in found["RepoDigests"]
    assert (found["Config"]["Cmd"], found["Config"]["Env"]) == (config["config"]["Cmd"], config["config"]["Env"])
    assert found["Created"] == config["created"]
    assert len(found["History"]) == len(config["history"])


def test_runs_an_image_by_its_tag(podman: Podman) -> None:
    shown = podman.container(f"{LAYERS}:1", "cat", "/etc/by-hand/new", "/etc/dir-to-link/inside", "/opt/opaque/again")
    assert shown == "in a directory that replaces one\na directory\nback\n"


def test_runs_what_the_image_says_where_no_command_is_given(podman: Podman) -> None:
    podman("run", "--rm", "--pull=never", f"{LAYERS}:1")


def test_runs_an_image_by_the_digest_of_its_manifest(podman: Podman, images: Images) -> None:
    assert podman.container(f"{LAYERS}@{digest_of(images.layout, 'layers')}", "cat", "/opt/opaque/again") == "back\n"


def test_runs_an_image_by_the_digest_of_its_image_index(podman: Podman, images: Images) -> None:
    assert podman.container(f"{LAYERS}@{images.index_digest}", "cat", "/opt/opaque/again") == "back\n"


def test_runs_an_image_by_its_id(podman: Podman) -> None:
    assert podman.container(podman.image_id(SIBLING)[:12], "cat", "/etc/sibling") == "sibling\n"


def test_container_writes_above_the_store(podman: Podman) -> None:
    script = "rm -r /opt && mkdir /opt && echo new > /opt/new && rm /etc/sibling && ls /opt && ! ls /etc/sibling 2>/dev/null"
    assert podman.container(SIBLING, "sh", "-c", script) == "new\n"
    assert podman.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


def test_running_copies_no_layer(podman: Podman) -> None:
    podman("run", "--pull=never", SIBLING, "true")
    layers = podman.own_layers()
    assert len(layers) == 1, "the container's own"


@pytest.mark.parametrize("archive", ["docker-archive", "oci-archive"])
def test_saves_an_image_that_loads_again_with_the_same_id(podman: Podman, readers: Readers, archive: str, tmp_path: Path) -> None:
    podman("save", "--format", archive, "--output", tmp_path / "saved", SIBLING)
    other = readers()
    other("load", "--input", tmp_path / "saved")
    assert other.image_id(SIBLING) == podman.image_id(SIBLING)
    assert other.inspect(SIBLING)["RootFS"] == podman.inspect(SIBLING)["RootFS"]
    assert other.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


def test_saves_an_image_that_podman_itself_cannot_load(podman: Podman, tmp_path: Path) -> None:
    podman("save", "--output", tmp_path / "saved", "localhost/sparse:1")
    cstore("add", tmp_path / "store", f"docker-archive:{tmp_path}/saved")
    (image,) = json.loads(cstore("list", tmp_path / "store", "--json"))["images"]
    assert (image["names"], image["id"]) == (["localhost/sparse:1"], podman.image_id("localhost/sparse:1"))


def test_tells_what_the_top_layer_changed(podman: Podman) -> None:
    changed = set(podman("image", "diff", SIBLING).splitlines())
    assert changed == {"C /etc", "A /etc/sibling", "D /etc/passwd"}


def test_tells_what_a_container_changed(podman: Podman) -> None:
    podman("run", "--pull=never", "--name", "changed", SIBLING, "sh", "-c", "echo > /srv/new && rm /etc/sibling")
    assert {"C /srv", "A /srv/new", "D /etc/sibling"} <= set(podman("diff", "changed").splitlines())


def test_lists_the_history_of_an_image(podman: Podman, images: Images) -> None:
    manifest = manifest_of(images.layout, "sibling")
    history = json.loads(podman("history", "--format=json", SIBLING))
    assert len([step for step in history if step["size"]]) <= len(manifest["layers"]) <= len(history)
