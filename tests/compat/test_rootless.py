"""Plain users write stores, and read those of others."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.compat.mounts import read_only
from tests.compat.podman import Podman
from tests.compat.programs import cstore, require, run
from tests.compat.trees import rows
from tests.compat.users import User, made_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.compat.conftest import Images

SIBLING = "localhost/sibling:1"


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with made_user() as made:
        yield made


@pytest.fixture
def layout(images: Images, user: User) -> Iterator[Path]:
    """The images, where the user can read them."""
    for path in images.layout.rglob("*"):  # umoci lets only its own user read them
        path.chmod(0o755 if path.is_dir() else 0o644)
    with read_only(images.layout, user.home / "images") as mounted:
        yield mounted


@pytest.fixture
def fuse(tmp_path: Path) -> Iterator[None]:
    """FUSE for everybody, as distributions have it; a container or a bare virtual machine may keep it for root."""
    if not Path("/dev/fuse").exists():
        pytest.skip("needs /dev/fuse")
    device = tmp_path / "fuse"
    os.mknod(device, 0o666 | stat.S_IFCHR, Path("/dev/fuse").stat().st_rdev)
    device.chmod(0o666)
    run("mount", "--bind", device, "/dev/fuse")
    yield
    run("umount", "/dev/fuse")


def test_user_runs_an_image_of_the_own_store(form: str, user: User, layout: Path) -> None:
    require("podman", "runc")
    store = user.home / f"own-{form}"
    receipt = json.loads(user.cstore("add", store, f"oci:{layout}:sibling", "--name", SIBLING, "--layout", form, "--json"))
    assert [path.strip('"') for path in receipt["devices_left_out"]] == ["dev/null"]
    assert str(user.ids[0]) in receipt["owners"]
    tree = rows(store)
    assert {row.owner for row in tree.values()} == {user.ids}
    assert {row.device for row in tree.values() if row.kind in "cb"} == {0}, "whiteouts are the only devices"
    with read_only(store, user.home / "mounted") as mounted, Podman(mounted, user=user.ids) as podman:
        assert podman("info", "--format", '{{.Host.Security.Rootless}} {{index .Store.GraphStatus "Native Overlay Diff"}}').startswith(
            "true"
        )
        assert podman.image_id(SIBLING) in json.loads(cstore("list", store, "--json"))["images"][0]["id"]
        shown = podman.container(
            SIBLING, "sh", "-c", "cat /etc/sibling /opt/opaque/again; ls /etc/removed /etc/passwd 2>/dev/null; ls /opt/opaque"
        )
        assert shown == "sibling\nback\nagain\nnew\nsub\n"
        assert podman.container(SIBLING, "stat", "-c", "%u %a", "/srv/setuid", "/root").split("\n")[:2] == ["0 4755", "0 700"]


def test_root_adds_to_a_store_of_a_user_and_it_stays_the_users(form: str, user: User, layout: Path) -> None:
    require("podman", "runc")
    store = user.home / f"shared-{form}"
    user.cstore("add", store, f"oci:{layout}:by-umoci", "--name", "localhost/by-umoci:1", "--layout", form)
    cstore("add", store, f"oci:{layout}:sibling", "--name", SIBLING)
    assert {row.owner for row in rows(store).values()} == {user.ids}
    with read_only(store, user.home / "mounted") as mounted, Podman(mounted, user=user.ids) as podman:
        assert podman.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


@pytest.mark.usefixtures("fuse")
def test_user_runs_an_image_of_a_store_by_root_with_fuse_overlayfs(store: Path, user: User) -> None:
    require("podman", "runc", "fuse-overlayfs")
    with (
        read_only(store, user.home / "mounted") as mounted,
        Podman(mounted, config_options=("--fuse-overlayfs",), user=user.ids) as podman,
    ):
        assert podman.container(SIBLING, "cat", "/etc/sibling", "/opt/opaque/again") == "sibling\nback\n"
        listed = podman.container(SIBLING, "sh", "-c", "ls -a /opt/opaque /opt/deep/a/b; ls /etc/removed /etc/passwd 2>/dev/null || true")
        assert listed.split() == ["/opt/deep/a/b:", ".", "..", "/opt/opaque:", ".", "..", "again", "new", "sub"]
