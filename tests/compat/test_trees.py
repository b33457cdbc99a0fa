"""What a container sees is what umoci unpacks, entry by entry."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.compat.members import LONG_AGO, SPARSE
from tests.compat.mounts import read_only
from tests.compat.podman import Podman
from tests.compat.programs import cstore, require, skopeo
from tests.compat.trees import Row, differences, rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.compat.conftest import Images
    from tools.make_images import UmociImage

SECOND = 1_000_000_000
MARK_ALONE = "opt/fresh"
"""A directory that no layer has anything about but the mark that makes it opaque: podman makes it, and umoci does not."""


def timed(tree: Mapping[str, Row], start: int) -> dict[str, Row]:
    """Return a tree that a tool has written since a moment, without the times that are the tool's own.

    It leaves the time of its work at directories that a layer implies, or whose entry comes before what is in them. The top one has, in
    a container, the time at which podman made the container's own directory over it.
    """
    own = {path for path, row in tree.items() if row.kind == "d" and row.mtime >= start - SECOND} | {"."}
    return {path: row.without_mtime() if path in own else row for path, row in tree.items()}


def unpacked(image: UmociImage, tmp_path: Path) -> dict[str, Row]:
    """Return the tree that umoci unpacks, without the times that are its own."""
    start = time.time_ns()
    return timed(rows(image.unpack(tmp_path / image.tag)), start)


def seen(podman: Podman, name: str, expected: Mapping[str, Row]) -> dict[str, Row]:
    """Return the tree that a container sees, without the times that are not to be compared."""
    with podman.tree_of(name) as tree:
        return {path: row.without_mtime() if path in expected and not expected[path].mtime else row for path, row in rows(tree).items()}


def test_container_sees_what_umoci_unpacks_of_its_own_layers(podman: Podman, images: Images, tmp_path: Path) -> None:
    expected = unpacked(images.by_umoci, tmp_path)
    assert [path for path, row in expected.items() if not row.mtime] == ["."]
    assert differences(expected, seen(podman, "localhost/by-umoci:1", expected)) == []


@pytest.mark.parametrize(("name", "tag"), [("registry.example.org/team/layers:1", "layers"), ("localhost/sibling:1", "sibling")])
def test_container_sees_what_umoci_unpacks_of_layers_by_hand(podman: Podman, images: Images, name: str, tag: str, tmp_path: Path) -> None:
    expected = unpacked(getattr(images, tag), tmp_path)
    found = seen(podman, name, expected)
    assert differences(expected, found) == [f"{MARK_ALONE}: there, not expected"]
    for path in ("etc/dir-to-file", "etc/by-hand/new", "srv/sparse", "srv/\udcff\udcfe", "srv/repeated"):
        assert path in found, "the fixture has what it is for"
    assert found["srv/capable"].xattrs.keys() == {"security.capability"}
    assert found["srv/noted"].xattrs == {"user.note": b"noted"}


def test_directories_that_a_layer_implies_keep_the_attributes_below(podman: Podman, images: Images, tmp_path: Path) -> None:
    before = unpacked(images.by_umoci, tmp_path)
    with podman.tree_of("registry.example.org/team/layers:1") as tree:
        found = rows(tree)
    for path, mode, owner in (("tmp", "1777", (0, 0)), ("root", "0700", (0, 0)), ("home/user", "0750", (1000, 1000))):
        assert (found[path].mode, found[path].owner, found[path].mtime) == (mode, owner, before[path].mtime)
        assert (found[f"{path}/implied"].mode, found[f"{path}/implied"].owner, found[f"{path}/implied"].mtime) == ("0755", (0, 0), 0)
    assert (found["opt/opaque"].mode, found["opt/opaque"].owner, found["opt/opaque"].mtime) == ("0775", (5, 6), LONG_AGO * SECOND)
    assert {path for path in found if path.startswith(("opt/opaque/", "opt/deep/"))} == {
        "opt/opaque/again",
        "opt/opaque/new",
        "opt/opaque/sub",
        "opt/opaque/sub/new",
        "opt/deep/a",
        "opt/deep/a/b",
        "opt/deep/a/kept",
    }


def test_top_directory_without_an_entry_has_the_mode_that_podman_gives_to_it(podman: Podman, images: Images, tmp_path: Path) -> None:
    expected = unpacked(images.topless, tmp_path)
    found = seen(podman, "localhost/topless:1", expected)
    assert differences(expected, found) == [".: mode: expected 0755, found 0555"]


@pytest.mark.parametrize(
    ("image", "known"),
    [
        ("topless", []),
        # podman's own pull passes over an entry for the top directory.
        ("by-umoci", [".: mode: expected 0555, found 0755"]),
    ],
)
def test_container_sees_what_it_sees_in_a_store_by_skopeo(
    podman: Podman, images: Images, image: str, known: list[str], tmp_path: Path
) -> None:
    require("skopeo")
    name = f"localhost/{image}:1"
    start = time.time_ns()
    skopeo("copy", f"oci:{images.layout}:{image}", f"containers-storage:[overlay@{tmp_path}/store+{tmp_path}/run]{name}")
    with read_only(tmp_path / "store", tmp_path / "mounted") as mounted, Podman(mounted) as other, other.tree_of(name) as tree:
        expected = timed(rows(tree), start)
    assert differences(expected, seen(podman, name, expected)) == known


def test_container_reads_sparse_files_that_umoci_cannot_unpack(podman: Podman) -> None:
    with podman.tree_of("localhost/sparse:1") as tree:
        assert (tree / "srv/sparse").read_bytes() == SPARSE
        assert (tree / "srv/sparse").stat().st_blocks * 512 < len(SPARSE) // 4
        assert (tree / "srv/\udcff\udcfe").read_bytes() == SPARSE


def test_whiteouts_are_devices_and_nothing_else_marks_them(form: str, images: Images, tmp_path: Path) -> None:
    cstore("add", tmp_path / "store", images.layers.source, "--name", "localhost/layers:1", "--layout", form)
    found = [
        (Path(path).name, row)
        for layer in (tmp_path / "store" / ("pool" if form == "sharded" else "overlay")).rglob("diff")
        if (layer.parent / "link").exists()
        for path, row in rows(layer).items()
    ]
    assert not [name for name, _ in found if name.startswith(".wh.")]
    assert {name for name, row in found if row.kind == "c" and row.device == 0} >= {"removed", "gone", "secret"}
    assert not [key for _, row in found for key in row.xattrs if "overlay" in key]
