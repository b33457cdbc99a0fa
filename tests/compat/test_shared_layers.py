"""A store that changes while podman uses it: images that share layers come, move and go, and what readers have goes on working."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.compat.programs import attempt, cstore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.conftest import Images, Readers

LAYERS, SIBLING = "localhost/layers:1", "localhost/sibling:1"


@pytest.fixture
def changing(form: str, images: Images, tmp_path: Path) -> Path:
    """A store with two images, of which one has all layers of the other."""
    for name, source in ((LAYERS, images.layers.source), (SIBLING, images.sibling.source)):
        cstore("add", tmp_path / "store", source, "--name", name, "--layout", form)
    return tmp_path / "store"


def layers_of(store: Path, name: str) -> list[str]:
    return [layer["id"] for layer in json.loads(cstore("inspect", store, name, "--json"))["layers"]]


def layers_there(store: Path) -> set[str]:
    return {path.name for path in (store / "overlay").iterdir() if len(path.name) == 64}


def test_second_image_adds_only_its_own_layers(changing: Path) -> None:
    assert layers_there(changing) == set(layers_of(changing, SIBLING))
    assert layers_of(changing, SIBLING)[:-1] == layers_of(changing, LAYERS)


def test_smaller_image_runs_after_the_larger_is_removed_and_pruned(changing: Path, readers: Readers) -> None:
    kept = layers_of(changing, LAYERS)
    podman = readers(changing)
    cstore("remove", changing, SIBLING)
    cstore("prune", changing, "--grace", "0d")
    assert layers_there(changing) == set(kept)
    assert podman.container(LAYERS, "cat", "/opt/opaque/again") == "back\n"
    podman.refusal("run", "--rm", "--pull=never", SIBLING, "true")
    podman.refusal("image", "exists", SIBLING)
    assert [image["Names"] for image in json.loads(podman("images", "--format=json"))] == [[LAYERS]]


def test_larger_image_runs_after_the_smaller_is_removed_and_pruned(changing: Path, readers: Readers) -> None:
    podman = readers(changing)
    cstore("remove", changing, LAYERS)
    assert cstore("prune", changing, "--grace", "0d") == "nothing to do\n"
    assert layers_there(changing) == set(layers_of(changing, SIBLING))
    assert podman.container(SIBLING, "cat", "/opt/opaque/again", "/etc/sibling") == "back\nsibling\n"


def test_container_starts_again_on_layers_that_are_only_retired(changing: Path, readers: Readers) -> None:
    podman = readers(changing)
    podman("run", "--pull=never", "--name", "before", SIBLING, "cat", "/etc/sibling")
    cstore("remove", changing, SIBLING)
    assert podman("start", "--attach", "before") == "sibling\n"


def test_moved_tag_runs_the_new_image_and_leaves_old_containers_alone(changing: Path, readers: Readers) -> None:
    podman = readers(changing)
    podman("run", "--pull=never", "--name", "before", SIBLING, "cat", "/etc/sibling")
    cstore("tag", changing, LAYERS, SIBLING)
    assert podman.image_id(SIBLING) == podman.image_id(LAYERS)
    assert podman.container(SIBLING, "sh", "-c", "ls /etc/sibling 2>/dev/null; cat /opt/opaque/again") == "back\n"
    assert podman("start", "--attach", "before") == "sibling\n"


def test_image_comes_back_over_its_retired_layers(changing: Path, readers: Readers, images: Images) -> None:
    podman = readers(changing)
    there = layers_there(changing)
    cstore("remove", changing, SIBLING)
    cstore("add", changing, images.sibling.source, "--name", SIBLING)
    cstore("prune", changing, "--grace", "0d")
    assert layers_there(changing) == there
    assert podman.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


def test_reader_finds_its_image_whole_while_the_store_changes(changing: Path, readers: Readers, images: Images) -> None:
    podman = readers(changing)

    def change() -> None:
        for _ in range(2):
            cstore("add", changing, images.topless.source, "--name", "localhost/moving:1")
            cstore("remove", changing, SIBLING)
            cstore("prune", changing, "--grace", "0d")
            cstore("add", changing, images.sibling.source, "--name", SIBLING)
            cstore("remove", changing, "localhost/moving:1")

    # `podman images` is no witness: it lists first and reads then, and fails when an image goes in between, in any store.
    runs, seen = 0, set()
    with ThreadPoolExecutor(1) as pool:
        changes = pool.submit(change)
        while not changes.done():
            seen.add(attempt("podman", "image", "exists", SIBLING, env=podman.env).returncode)
            assert podman.container(LAYERS, "cat", "/opt/opaque/again") == "back\n"
            runs += 1
        changes.result()
    assert runs > 2
    assert seen <= {0, 1}
