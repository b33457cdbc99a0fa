"""A store that skopeo has written is read, extended and used on."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.compat.images import digest_of, manifest_of
from tests.compat.mounts import unmount_below
from tests.compat.programs import attempt, cstore, require, run, skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.conftest import Images, Readers

BY_UMOCI, SIBLING = "localhost/by-umoci:1", "localhost/sibling:1"


@pytest.fixture
def written(images: Images, tmp_path: Path) -> Path:
    """A store with one image, written by skopeo."""
    require("skopeo")
    skopeo("copy", images.by_umoci.source, f"containers-storage:[overlay@{tmp_path}/store+{tmp_path}/run]{BY_UMOCI}")
    unmount_below(tmp_path / "store")
    return tmp_path / "store"


def test_is_extended_while_its_overlay_is_mounted_on_itself(written: Path, images: Images) -> None:
    # What skopeo and podman do to a graph root of theirs, and leave so until the machine is started again.
    run("mount", "--bind", written / "overlay", written / "overlay")
    try:
        done = attempt(sys.executable, "-m", "cstore", "add", written, images.sibling.source, "--name", SIBLING)
        assert done.returncode == 0, done.stderr
    finally:
        run("umount", written / "overlay")


def test_is_listed_and_inspected(written: Path, images: Images) -> None:
    manifest = manifest_of(images.layout, "by-umoci")
    (image,) = json.loads(cstore("list", written, "--json"))["images"]
    assert (image["names"], "sha256:" + image["id"]) == ([BY_UMOCI], manifest["config"]["digest"])
    inspected = json.loads(cstore("inspect", written, BY_UMOCI, "--json"))
    assert inspected["digest"] == digest_of(images.layout, "by-umoci")
    assert [layer["blob"] for layer in inspected["layers"]] == [layer["digest"] for layer in manifest["layers"]]


def test_has_the_same_layer_ids_as_a_store_by_cstore(written: Path, images: Images, tmp_path: Path) -> None:
    cstore("add", tmp_path / "ours", images.by_umoci.source, "--name", BY_UMOCI)
    theirs, ours = (json.loads(cstore("inspect", place, BY_UMOCI, "--json")) for place in (written, tmp_path / "ours"))
    compared = ("id", "diff_id", "size", "blob", "blob_size", "path")
    assert [[layer[key] for key in compared] for layer in ours["layers"]] == [
        [layer[key] for key in compared] for layer in theirs["layers"]
    ]
    assert ours["created"] == theirs["created"]


def test_is_extended_and_podman_runs_both_images(written: Path, readers: Readers, images: Images) -> None:
    before = {layer["id"]: layer["link"] for layer in json.loads(cstore("inspect", written, BY_UMOCI, "--json"))["layers"]}
    receipt = json.loads(cstore("add", written, images.sibling.source, "--name", SIBLING, "--json"))
    after = {layer["id"]: layer["link"] for layer in json.loads(cstore("inspect", written, SIBLING, "--json"))["layers"]}
    assert before.items() <= after.items(), "layers that are there are used as they are"
    assert receipt["layers"] == len(after) - len(before)
    podman = readers(written)
    assert podman.container(BY_UMOCI, "cat", "/etc/dir-to-link/inside") == "a directory\n"
    assert (
        podman.container(SIBLING, "cat", "/etc/dir-to-link/inside", "/opt/opaque/again", "/etc/sibling") == "a directory\nback\nsibling\n"
    )


def test_image_of_an_extended_store_is_saved(written: Path, readers: Readers, images: Images, tmp_path: Path) -> None:
    cstore("add", written, images.sibling.source, "--name", SIBLING)
    readers(written)("save", "--format=oci-archive", "--output", tmp_path / "saved", SIBLING)
    other = readers()
    other("load", "--input", tmp_path / "saved")
    assert "sha256:" + other.image_id(SIBLING) == manifest_of(images.layout, "sibling")["config"]["digest"]


def test_image_by_skopeo_is_removed_and_pruned(written: Path, readers: Readers, images: Images) -> None:
    cstore("add", written, images.sibling.source, "--name", SIBLING)
    cstore("remove", written, BY_UMOCI)
    cstore("prune", written, "--grace", "0d")
    podman = readers(written)
    assert [image["Names"] for image in json.loads(podman("images", "--format=json"))] == [[SIBLING]]
    assert podman.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


def test_skopeo_reads_what_cstore_adds(written: Path, images: Images, tmp_path: Path) -> None:
    cstore("add", written, images.sibling.source, "--name", SIBLING)
    copied = f"oci:{tmp_path}/copy:sibling"
    skopeo("copy", f"containers-storage:[overlay@{tmp_path}/store+{tmp_path}/run]{SIBLING}", copied)
    assert manifest_of(tmp_path / "copy", "sibling")["config"] == manifest_of(images.layout, "sibling")["config"]
