from __future__ import annotations

import posixpath

import pytest

from cstore.hub.layout import HubLayout, called, catalogs, flat_at, is_own, layer_at, layerfs_at, own_name, target_from
from cstore.model.chain import ImageID
from cstore.model.digest import Digest
from cstore.model.platform import Platform
from cstore.model.remote import RemoteName

NAME = RemoteName.parse("registry.example.org:5000/atlas/analysis:v3")
IMAGE = ImageID("ab" * 32)


@pytest.mark.parametrize(
    ("platform", "store", "name"),
    [
        ("linux/amd64", "podmanStore", "registry.example.org:5000/atlas/analysis:v3"),
        ("linux/arm64", "podmanStore.arm64", ".multiarch/arm64/registry.example.org:5000/atlas/analysis:v3"),
        ("linux/arm64/v8", "podmanStore.arm64", ".multiarch/arm64/registry.example.org:5000/atlas/analysis:v3"),
        ("linux/arm/v6", "podmanStore.arm.v6", ".multiarch/arm:v6/registry.example.org:5000/atlas/analysis:v3"),
        ("linux/amd64/v3", "podmanStore.amd64.v3", ".multiarch/amd64:v3/registry.example.org:5000/atlas/analysis:v3"),
        ("windows/amd64", "podmanStore.windows-amd64", ".multiarch/windows-amd64/registry.example.org:5000/atlas/analysis:v3"),
    ],
)
def test_each_platform_has_its_store_and_its_names(platform: str, store: str, name: str) -> None:
    layout = HubLayout(Platform.parse(platform))
    assert (layout.store, layout.name(NAME), layout.metadata(NAME)) == (store, name, f".metadata/{name}")
    usual = platform.removesuffix("/v8")
    assert called(store.removeprefix("podmanStore").removeprefix(".")) == usual
    assert called(name.split("/")[1] if name.startswith(".multiarch/") else "") == usual


@pytest.mark.parametrize(
    ("platform", "others"),
    [
        ("linux/amd64", ["amd64"]),
        ("linux/arm64", ["arm64:v8"]),
        ("linux/arm/v7", ["arm:v7"]),
        ("linux/arm/v6", []),
        ("linux/amd64/v3", []),
        ("windows/amd64", []),
    ],
)
def test_the_converter_has_some_names_elsewhere(platform: str, others: list[str]) -> None:
    """Quote: the converter writes the usual platform and usual variants where cstore leaves them out (spec H16)."""
    layout = HubLayout(Platform.parse(platform))
    paths = layout.other_names(NAME)
    assert [*paths] == [f".multiarch/{word}/{NAME.public}" for word in others]
    assert {own_name(path) for path in (layout.name(NAME), *paths)} == {layout.name(NAME)}


def test_layers_are_where_the_snapshotter_looks_and_flat_trees_where_names_lead() -> None:
    digest = Digest.parse("sha256:" + "cd" * 32)
    assert layerfs_at(digest) == f"{layer_at(digest)}/layerfs" == f".layers/cd/{'cd' * 32}/layerfs"
    assert flat_at(IMAGE) == f".flat/ab/{IMAGE}"


@pytest.mark.parametrize("path", ["name:1", "a/name:1", "a/b/c/name:1"])
def test_a_relative_symlink_leads_from_one_path_to_another(path: str) -> None:
    target = target_from(path, flat_at(IMAGE))
    assert posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) == flat_at(IMAGE)


def test_catalogs_are_marked_where_something_is() -> None:
    assert catalogs([f".flat/ab/{IMAGE}", f".layers/cd/{'cd' * 32}/layerfs", ".metadata/a/b:1/manifest.json", "a/b:1", "status.json"]) == (
        ".flat/.cvmfscatalog",
        ".flat/ab/.cvmfscatalog",
        ".layers/.cvmfscatalog",
        ".layers/cd/.cvmfscatalog",
        ".metadata/.cvmfscatalog",
    )
    assert catalogs(["a/b:1"]) == ()


def test_a_hub_has_names_of_its_own_that_no_registry_can_have() -> None:
    own = ("podmanStore.arm64/overlay/x:1", "podmanStore.example.org/a:1", "status.json/a:1")
    assert [is_own(RemoteName.parse(name)) for name in (*own, "store.example.org/a:1")] == [True, True, True, False]
