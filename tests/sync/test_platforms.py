"""An image index of three platforms through `cstore sync`: a store, names and metadata for each of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.program import call
from tests.images import Image, image_index, json_of
from tests.sync.hubs import Hubbed, commanded, image
from tests.sync.judging import Seen, broken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")

STORES = {"linux/amd64": "podmanStore", "linux/arm64/v8": "podmanStore.arm64", "linux/arm/v6": "podmanStore.arm.v6"}
NAMES = {"linux/amd64": "", "linux/arm64/v8": ".multiarch/arm64/", "linux/arm/v6": ".multiarch/arm:v6/"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hubbed]:
    with commanded(tmp_path, monkeypatch) as made:
        yield made


def several(*numbers: int) -> dict[str, Image]:
    return {platform: image(number, platform.removeprefix("linux/")) for platform, number in zip(STORES, numbers, strict=True)}


def synced(hub: Hubbed, *platforms: str) -> tuple[object, dict[str, Any]]:
    """Return the exit code of `cstore sync`, and what it tells."""
    wishes = hub.wish(f"{{image: '{hub.registry.address}/team/app:1', platforms: [{', '.join(platforms)}]}}")
    done = call("sync", wishes, "--to", hub.hub.root, "--cache", hub.place / "cache", "--json")
    return done.code, done.json


def test_an_image_index_of_three_platforms(hub: Hubbed) -> None:
    """Spec H1, H3, H4, Z6."""
    images = several(1, 2, 3)
    hub.push("team/app", {"1": [*images.values()]})
    code, told = synced(hub, "linux/amd64", "linux/arm64", "linux/arm/v6", "linux/s390x")
    assert code == 1
    assert {found["platform"]: found["outcome"] for found in told["images"]} == {
        "linux/amd64": "added",
        "linux/arm64": "added",
        "linux/arm/v6": "added",
        "linux/s390x": "failed",
    }
    check(hub, images)
    images = several(1, 12, 3)
    hub.push("team/app", {"1": [*images.values()]})
    code, told = synced(hub, *STORES)
    assert (code, {found["outcome"] for found in told["images"]}, told["layers"]) == (0, {"updated"}, 1)
    check(hub, images)


def check(hub: Hubbed, images: dict[str, Image]) -> None:
    name = f"{hub.registry.address}/team/app:1"
    index = image_index(hub.place / "unused", [*images.values()])
    seen = Seen.of(hub.hub.root)
    assert seen.stores == {store: {name: images[platform].id} for platform, store in STORES.items()}
    assert seen.names == {f"{above}{name}": images[platform].id for platform, above in NAMES.items()}
    assert {image.id for image in images.values()} <= seen.flats.keys()
    assert seen.documents == {
        f".metadata/{NAMES[platform]}{name}/{file}": data
        for platform, image in images.items()
        for file, data in (("manifest.json", json_of(image.manifest)), ("index.json", index))
    }
    assert all(seen.layers.values())
    assert broken(hub.hub.root, [seen]) == []
