"""What `cstore sync` publishes, taken by its readers: podman from the podman store, a shell in the flat tree."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.compat.mounts import read_only
from tests.compat.podman import Podman
from tests.compat.programs import require
from tests.sync.hubs import hubbed, image
from tools.registries.server import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.conftest import Images

SHOW = ("sh", "-c", "cd / && find bin data -type f | sort | xargs sha256sum")


def test_an_image_is_the_same_for_podman_and_in_its_flat_tree(tmp_path: Path, images: Images) -> None:
    require("docker-registry", "podman", "runc")
    with Registry(tmp_path / "registry") as registry, registry.registries() as asked:
        hub = hubbed(tmp_path, registry, asked)
        registry.put("team/app", images.layout)
        report = hub.run(hub.wish("team/app:by-umoci", "team/app:index"))
        assert report.is_complete
    with read_only(hub.hub.root, tmp_path / "mounted") as mounted, Podman(mounted / "podmanStore") as podman:
        for image in report.images:
            shown = podman.container(image.name, *SHOW)
            runscript = ("chroot", mounted / image.name, "/bin/sh", "/.singularity.d/runscript", *SHOW[:2], SHOW[2])
            told = subprocess.run(runscript, check=True, capture_output=True, text=True).stdout
            assert len(shown.splitlines()) > 1
            assert told.splitlines() == shown.splitlines()
            assert podman.own_layers() == []


def test_podman_finds_images_for_other_platforms_in_their_own_stores(tmp_path: Path) -> None:
    """Spec H1."""
    require("docker-registry", "podman")
    images = {store: image(number, store) for number, store in enumerate(("amd64", "arm64"))}
    with Registry(tmp_path / "registry") as registry, registry.registries() as asked:
        hub = hubbed(tmp_path, registry, asked)
        hub.push("team/app", {"1": [*images.values()]})
        name = f"{registry.address}/team/app:1"
        assert hub.run(hub.wish(f"{{image: '{name}', platforms: [linux/amd64, linux/arm64]}}")).is_complete
    for store, architecture in {"podmanStore": "amd64", "podmanStore.arm64": "arm64"}.items():
        with read_only(hub.hub.root, tmp_path / store) as mounted, Podman(mounted / store) as podman:
            found = podman.inspect(name)
            assert (found["Id"], found["Architecture"]) == (images[architecture].id, architecture)
