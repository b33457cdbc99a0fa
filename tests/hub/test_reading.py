from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from cstore.errors import FormatError
from cstore.hub.about import HubAbout
from cstore.hub.reading import Description, HubReading
from cstore.model.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = "11" * 32, "22" * 32


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A hub with two flat trees, of which three names lead to one, and layers in both ways."""
    root = tmp_path / "hub"
    for image in (ONE, TWO):
        (root / f".flat/{image[:2]}/{image}/bin").mkdir(parents=True)
    (root / "example.org/atlas").mkdir(parents=True)
    (root / "example.org/atlas/a:1").symlink_to(f"../../.flat/11/{ONE}")
    (root / "example.org/atlas/a:2").symlink_to(f"../../.flat/11/{ONE}")
    (root / "example.org/elsewhere").symlink_to("/etc")
    (root / ".multiarch/arm64/example.org").mkdir(parents=True)
    (root / ".multiarch/arm64/example.org/a:1").symlink_to(f"../../../.flat/11/{ONE}")
    (root / f".layers/33/{'33' * 32}/layerfs/etc").mkdir(parents=True)
    (root / f"podmanStore/overlay/{ONE}/diff").mkdir(parents=True)
    (root / f".layers/44/{'44' * 32}").mkdir(parents=True)
    (root / f".layers/44/{'44' * 32}/layerfs").symlink_to(f"../../../podmanStore/overlay/{ONE}/diff")
    (root / f".layers/55/{'55' * 32}").mkdir(parents=True)
    (root / f".layers/55/{'55' * 32}/layerfs").symlink_to("/etc")
    (root / f".layers/66/{'66' * 32}").mkdir(parents=True)
    (root / f".layers/66/{'66' * 32}/layerfs").symlink_to("../gone")
    return root


def described(hub: Path, name: str, manifest: bytes, index: bytes | None = None) -> None:
    directory = hub / ".metadata" / name
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_bytes(manifest)
    if index is not None:
        (directory / "index.json").write_bytes(index)


def test_names_lead_to_flat_trees(hub: Path) -> None:
    reading = HubReading(hub)
    assert reading.names() == {"example.org/atlas/a:1": ONE, "example.org/atlas/a:2": ONE, ".multiarch/arm64/example.org/a:1": ONE}
    assert reading.flat_of("example.org/atlas/a:1") == ONE
    assert reading.flat_of("example.org/elsewhere") is None
    assert reading.flat_of("example.org/nothing") is None
    assert reading.flats() == [ONE, TWO]


def test_layers_are_found_as_the_snapshotter_finds_them_but_not_out_of_the_hub(hub: Path) -> None:
    reading = HubReading(hub)
    there = {digit: reading.has_layer(Digest("sha256", digit * 64)) for digit in "34567"}
    assert there == {"3": True, "4": True, "5": False, "6": False, "7": False}
    assert reading.target(f".layers/44/{'44' * 32}/layerfs") == f"../../../podmanStore/overlay/{ONE}/diff"


def test_metadata_tell_the_digest_that_the_registry_has(hub: Path) -> None:
    manifest = b'{"schemaVersion":2}'
    index = json.dumps({"manifests": [{"digest": str(Digest.of(manifest))}]}).encode()
    described(hub, "example.org/a:1", manifest)
    described(hub, "example.org/a:2", manifest, index)
    described(hub, "example.org/a:3", manifest, b'{"manifests":[]}')
    reading = HubReading(hub)
    assert reading.described() == ["example.org/a:1", "example.org/a:2", "example.org/a:3"]
    assert [reading.description(f".metadata/example.org/a:{tag}") for tag in (1, 2, 3, 4)] == [
        Description(Digest.of(manifest), manifest),
        Description(Digest.of(index), manifest),
        Description(Digest.of(manifest), manifest),
        None,
    ]
    assert reading.holds(".metadata/example.org/a:1/manifest.json", manifest)
    assert not reading.holds(".metadata/example.org/a:1/manifest.json", manifest[:-1])
    assert not reading.holds(".metadata/example.org/a:4/manifest.json", manifest)


def test_stores_are_found_by_their_names(hub: Path) -> None:
    for name in ("podmanStore.arm64", "podmanStore2", "podmanStore"):
        (hub / name).mkdir(exist_ok=True)
        (hub / name / "cstore.json").touch()
    (hub / "podmanStore.of-others").mkdir()
    assert HubReading(hub).stores() == ["podmanStore", "podmanStore.arm64"]


@pytest.mark.parametrize("name", ["", "none"])
def test_where_no_hub_is_nothing_is_found(tmp_path: Path, name: str) -> None:
    reading = HubReading(tmp_path / name)
    assert (reading.names(), reading.flats(), reading.described(), reading.stores()) == ({}, [], [], [])
    assert reading.about() == HubAbout()


def test_what_the_hub_says_of_itself_must_be_readable(hub: Path) -> None:
    (hub / ".metadata").mkdir()
    os.mkfifo(hub / ".metadata/cstore.json")
    with pytest.raises(FormatError) as caught:
        HubReading(hub).about()
    assert str(caught.value) == f"{hub}/.metadata/cstore.json: expected a readable file, found a fifo"
