"""Podman reads a view of a store as it reads a store: alone, or beside the store, before and after changes of it (spec F12 to F16)."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from cstore.verification.rules import RULES
from tests.compat.images import digest_of
from tests.compat.mounts import read_only
from tests.compat.podman import Podman
from tests.compat.programs import cstore, require
from tests.publish.stores import copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.compat.conftest import Images


class Reader(Protocol):
    """Makes a podman that reads a view of the store."""

    def __call__(self, view: str) -> Podman: ...


LAYERS = "registry.example.org/team/layers:1"
SIBLING = "registry.example.org/team/sibling:1"
OTHER = "localhost/by-umoci:1"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, form: str, images: Images) -> Path:
    """A store with a view of two of its three images, which stays as it is."""
    root = tmp_path_factory.mktemp("prepared") / "store"
    cstore("add", root, images.by_umoci.source, "--name", OTHER, "--layout", form)
    cstore("view", "create", root, "team", "--match", "registry.example.org/team/*")
    cstore("add", root, images.layers.source, "--name", LAYERS)
    cstore("add", root, images.sibling.source, "--name", SIBLING)
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    copy(prepared, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def reader(root: Path, tmp_path: Path) -> Iterator[Reader]:
    """Makes podmans that read a view of the store, which is mounted so that nobody can write through the mount."""
    require("podman", "runc")
    with ExitStack() as stack:
        mounted = stack.enter_context(read_only(root, tmp_path / "mounted"))
        yield lambda view: stack.enter_context(Podman(mounted, config_options=("--view", view)))


def names(podman: Podman) -> list[str]:
    return sorted({name for image in json.loads(podman("images", "--format=json")) for name in image["Names"] or ()})


def test_a_view_shows_what_matches_and_podman_can_do_all_with_it(reader: Reader, images: Images, tmp_path: Path) -> None:
    podman = reader("team")
    assert names(podman) == [LAYERS, SIBLING]
    podman("image", "exists", SIBLING)
    podman.refusal("image", "exists", OTHER)
    assert podman.inspect(SIBLING)["Digest"] == digest_of(images.layout, "sibling")
    assert podman.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"
    assert podman.container(f"{LAYERS.removesuffix(':1')}@{digest_of(images.layout, 'layers')}", "cat", "/opt/opaque/again") == "back\n"
    podman("save", "--format", "oci-archive", "--output", tmp_path / "saved", SIBLING)
    (tmp_path / "Containerfile").write_text(f"FROM {SIBLING}\nRUN cat /etc/sibling > /etc/copied\n")
    podman("build", "--isolation=chroot", "--pull=never", "--tag", "localhost/built:1", tmp_path)
    assert podman.container("localhost/built:1", "cat", "/etc/copied") == "sibling\n"
    assert {"C /etc", "A /etc/sibling"} <= set(podman("image", "diff", SIBLING).splitlines())
    podman("rmi", "--force", "localhost/built:1")
    podman("load", "--input", tmp_path / "saved")
    assert podman.own_layers() == [], "nothing was copied"


IN_ONE_FORM = pytest.mark.parametrize("form", ["sharded"], indirect=True)


def test_a_container_goes_on_while_its_image_leaves_the_view_and_until_its_layers_are_pruned(root: Path, reader: Reader) -> None:
    podman = reader("team")
    podman("create", "--pull=never", "--name", "old", SIBLING, "cat", "/etc/sibling")
    cstore("tag", root, SIBLING, "localhost/kept:1")
    cstore("tag", root, LAYERS, SIBLING)
    assert names(podman) == [LAYERS, SIBLING]
    assert podman.image_id(SIBLING) == podman.image_id(LAYERS)
    assert podman("start", "--attach", "old") == "sibling\n"
    assert podman.container(SIBLING, "cat", "/opt/opaque/again") == "back\n"
    cstore("prune", root, "--grace", "14d")
    assert podman("start", "--attach", "old") == "sibling\n"
    cstore("prune", root, "--grace", "0d")
    podman.refusal("start", "--attach", "old")
    assert podman.container(SIBLING, "cat", "/opt/opaque/again") == "back\n"
    cstore("verify", root, "--fail-on", "note")


@IN_ONE_FORM
def test_a_view_beside_its_store(root: Path, reader: Reader) -> None:
    podman = reader("team")
    conf = podman.place / "storage.conf"
    (line,) = [line for line in conf.read_text().splitlines() if line.startswith("additionalimagestores")]
    view = json.loads(line.partition("=")[2])[0]
    for stores in ([view, view.removesuffix("/views/team")], [view.removesuffix("/views/team"), view]):
        conf.write_text(conf.read_text().replace(line, f"additionalimagestores = {json.dumps(stores)}"))
        assert names(podman) == [OTHER, LAYERS, SIBLING]
        assert podman.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"
        assert podman.container(OTHER, "true") == ""
    cstore("remove", root, SIBLING)
    podman.refusal("image", "exists", SIBLING)
    podman("image", "exists", LAYERS)


@IN_ONE_FORM
def test_a_view_without_images_and_one_that_is_gone(root: Path, reader: Reader) -> None:
    cstore("view", "create", root, "nobody", "--match", "nothing/*")
    podman = reader("nobody")
    assert names(podman) == []
    podman("info")
    cstore("view", "remove", root, "nobody")
    assert names(podman) == []
    cstore("prune", root, "--grace", "14d")
    assert names(podman) == []
    cstore("prune", root, "--grace", "0d")
    assert not (root / "views/nobody").exists()
    # What V106 says that it breaks.
    assert {"images", "run"} <= RULES["V106"].broken_in("4")
    podman.refusal("images")
    podman.refusal("run", "--rm", SIBLING, "true")
    podman.refusal("info")


@IN_ONE_FORM
def test_what_builds_on_a_view_that_was_removed_stays_for_the_grace_period(root: Path, reader: Reader) -> None:
    podman = reader("team")
    podman("create", "--pull=never", "--name", "old", SIBLING, "cat", "/etc/sibling")
    cstore("view", "remove", root, "team")
    cstore("prune", root, "--grace", "14d")
    assert names(podman) == []
    assert podman("start", "--attach", "old") == "sibling\n"
