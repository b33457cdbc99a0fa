"""What others write has no problem that reaches a store or an image, and what cstore writes of the same images has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.verification.problem import Reach
from cstore.verification.store import verify
from tests.compat.mounts import unmount_below
from tests.compat.podman import Podman
from tests.compat.programs import cstore, require, skopeo
from tests.compat.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.compat.conftest import Images, Readers

IMAGES = ("by_umoci", "layers", "sibling", "topless", "sparse")
REFUSED = {"sparse"}
"""Images that podman and skopeo do not take."""
SHOWN = "etc/by-hand/old: expected a whiteout, found nothing; etc/by-hand/sub: expected a whiteout, found nothing"
"""What podman 4.3.1 shows though a layer removes it: a directory that the same layer puts in its place (spec W5)."""


def far(root: Path) -> list[str]:
    """Return the problems that reach a store or an image."""
    return [f"{problem.code} {problem.said}" for problem in verify(root, deep=True) if problem.reach in (Reach.STORE, Reach.IMAGE)]


def copy_into(root: Path, run: Path, images: Images, *names: str) -> None:
    """Have skopeo write a store with some images."""
    require("skopeo")
    for name in names:
        skopeo("copy", getattr(images, name).source, f"containers-storage:[overlay@{root}+{run}]localhost/{name}:1")
    unmount_below(root)


@pytest.fixture
def podman() -> Iterator[Podman]:
    """A podman without another store, whose own one is looked at."""
    require("podman", "runc")
    with Podman() as made:
        yield made


@pytest.mark.parametrize(
    ("name", "known"), [("by_umoci", []), ("topless", []), ("layers", [f"V64 {SHOWN}"]), ("sibling", [f"V64 {SHOWN}"])]
)
def test_a_store_by_skopeo(images: Images, tmp_path: Path, name: str, known: list[str]) -> None:
    copy_into(tmp_path / "store", tmp_path / "run", images, name)
    assert far(tmp_path / "store") == known


def test_what_is_said_to_be_shown_in_a_store_by_skopeo_is_shown(images: Images, readers: Readers, tmp_path: Path) -> None:
    copy_into(tmp_path / "store", tmp_path / "run", images, "layers")
    assert readers(tmp_path / "store").container("localhost/layers:1", "cat", "/etc/by-hand/old") == "7\n"


def test_a_store_by_skopeo_of_many_images(images: Images, tmp_path: Path) -> None:
    copy_into(tmp_path / "store", tmp_path / "run", images, *(name for name in IMAGES if name not in REFUSED))
    assert far(tmp_path / "store") == [f"V64 {SHOWN}"]


def test_a_store_into_which_podman_pulls_and_builds(podman: Podman, images: Images, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        name = registry.push(images.by_umoci.source, "team/by-umoci:1")
        podman("pull", "--tls-verify=false", name)
        podman("pull", "--tls-verify=false", registry.push(images.topless.source, "team/topless:1"))
    build = tmp_path / "build"
    build.mkdir()
    (build / "added").write_text("added\n")
    changes = "rm /etc/added && rm -r /opt/opaque && mkdir /opt/opaque && echo new > /opt/opaque/new && ln /opt/opaque/new /opt/name"
    (build / "Containerfile").write_text(f"FROM {name}\nCOPY added /etc/added\nRUN {changes}\n")
    podman("build", "--isolation=chroot", "--pull=never", "--layers", "--tag", "localhost/built:1", build)
    podman("tag", "localhost/built:1", "localhost/again:1")
    podman("run", "--name", "changed", "--pull=never", "localhost/built:1", "rm", "/opt/name")
    podman("commit", "--quiet", "changed", "localhost/committed:1")
    podman("rm", "changed")
    unmount_below(podman.graph)
    assert far(podman.graph) == []


@pytest.mark.parametrize("form", ["direct", "sharded"])
def test_a_store_by_cstore(form: str, images: Images, tmp_path: Path) -> None:
    for name in IMAGES:
        cstore("add", tmp_path / "store", getattr(images, name).source, "--name", f"localhost/{name}:1", "--layout", form)
    cstore("add", tmp_path / "store", images.index_source, "--name", "localhost/index:1")
    assert [str(problem) for problem in verify(tmp_path / "store", deep=True)] == []
