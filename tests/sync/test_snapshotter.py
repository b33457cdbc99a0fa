"""What CernVM-FS's containerd snapshotter finds: trees with kernel whiteouts, mounted with overlay as containerd does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cstore.model.offer import Offer
from tests.images import Image, directory, file, opaque, symlink, tar, whiteout
from tests.sync.hubs import Hubbed, hubbed
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root"),
]

ONE = tar(directory("data"), file("data/one", b"1"), file("data/both", b"1"), directory("etc"), file("etc/one", b"1"))
TWO = tar(directory("data"), file("data/two", b"2"), file("data/both", b"2"), directory("etc"), file("etc/two", b"2"))
THREE = tar(directory("data"), directory("data/three"), file("data/three/x", b"3"), directory("etc"))
SHARED = tar(directory("data"), opaque("data"), file("data/new", b"n"), whiteout("etc/one"), symlink("etc/link", "two"))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hubbed]:
    with Registry(tmp_path / "registry") as registry, registry.registries() as asked:
        yield hubbed(tmp_path, registry, asked)


@contextmanager
def mounted(hub: Hubbed, tag: str, place: Path) -> Iterator[Path]:
    """Mount the layers of an image of the registry as containerd's overlayfs snapshotter does, with a writable one above."""
    manifest = json.loads(hub.registry.manifest("team/app", tag)[0])
    digests = [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
    lowers = [str(hub.hub.root / f".layers/{digest[:2]}/{digest}/layerfs") for digest in reversed(digests)]
    for name in ("upper", "work", "merged"):
        (place / name).mkdir(parents=True)
    # Where lowers are symlinks their colons are no matter: the address of the registry is not in them.
    options = f"lowerdir={':'.join(lowers)},upperdir={place}/upper,workdir={place}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, place / "merged"], check=True)
    try:
        yield place / "merged"
    finally:
        subprocess.run(["umount", place / "merged"], check=True)


def names(root: Path) -> list[str]:
    return sorted(str(place.relative_to(root)) for place in root.rglob("*"))


EXPECTED = {
    "one": ["data", "data/new", "etc", "etc/link"],
    "two": ["data", "data/new", "etc", "etc/link", "etc/two"],
    "three": ["data", "data/new", "etc", "etc/link"],
}
BASES = {"one": ONE, "two": TWO, "three": THREE}


@pytest.mark.parametrize("batches", [[["one"], ["two"], ["three"]], [["one", "two", "three"]], [["one", "three"], ["two"]]])
def test_a_layer_with_opaque_directories_covers_all_its_chains(hub: Hubbed, batches: list[list[str]], tmp_path: Path) -> None:
    hub.push("team/app", {tag: Image(layers=(base, SHARED)) for tag, base in BASES.items()})
    wished: list[str] = []
    for number, batch in enumerate(batches):
        wished += [f"team/app:{tag}" for tag in batch]
        assert hub.run(hub.wish(*wished)).changed
        assert not hub.run(hub.wish(*wished)).changed
        for tag in (entry.partition(":")[2] for entry in wished):
            with mounted(hub, tag, tmp_path / f"mount-{number}-{tag}") as root:
                assert names(root) == EXPECTED[tag]
    covers = [*(hub.hub.root / ".layers").glob("*/*/cover-*")]
    assert len(covers) == {1: 1, 2: 2, 3: 2}[len(batches)]
    hub.days = 14
    hub.run(hub.wish(*wished))
    assert len([*(hub.hub.root / ".layers").glob("*/*/cover-*")]) == 1
    with mounted(hub, "two", tmp_path / "last") as root:
        assert names(root) == EXPECTED["two"]


def test_layers_are_offered_later_too(hub: Hubbed, tmp_path: Path) -> None:
    hub.push("team/app", {tag: Image(layers=(base, SHARED)) for tag, base in BASES.items()})
    wishes = hub.wish(*(f"team/app:{tag}" for tag in BASES))
    hub.run(wishes, offers=frozenset([Offer.PODMAN]))
    assert not (hub.hub.root / ".layers").exists()
    assert hub.run(wishes).changed
    assert not hub.run(wishes).changed
    for tag in BASES:
        with mounted(hub, tag, tmp_path / f"mount-{tag}") as root:
            assert names(root) == EXPECTED[tag]
