"""What `cstore config` prints is a storage.conf that podman takes."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from tests.compat.programs import cstore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.podman import Podman


def test_names_the_store_and_the_places_that_podman_has_by_default(store: Path) -> None:
    assert tomllib.loads(cstore("config", store)) == {
        "storage": {
            "driver": "overlay",
            "graphroot": "/var/lib/containers/storage",
            "runroot": "/run/containers/storage",
            "options": {"additionalimagestores": [str(store)]},
        }
    }


def test_names_fuse_overlayfs_where_it_is_asked_for(store: Path) -> None:
    printed = tomllib.loads(cstore("config", store, "--fuse-overlayfs"))
    assert printed["storage"]["options"]["overlay"] == {"mount_program": "/usr/bin/fuse-overlayfs"}


def test_podman_finds_the_images_by_it(podman: Podman) -> None:
    assert podman("info", "--format", "{{.Store.ConfigFile}}").strip() == str(podman.place / "storage.conf")
    assert podman("images", "--quiet", "--filter", "readonly=true").split() == podman("images", "--quiet").split() != []
