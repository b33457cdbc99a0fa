from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call
from tests.publish.stores import NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path


def layer_of(store: Path) -> Path:
    """Return a directory of a layer that has one below it."""
    return next(path.parent for path in sorted(store.glob("overlay/*/lower")))


def test_a_sound_store_needs_nothing(store: Path) -> None:
    before = exact(store)
    done = call("repair", store)
    assert (done.code, done.out) == (0, "nothing to do\n")
    assert exact(store) == before


def test_what_can_be_mended_is(store: Path) -> None:
    lower = layer_of(store) / "lower"
    lower.write_text("l/nobody")
    (store / "overlay-images/images.lock").write_bytes(b"")
    done = call("repair", store)
    assert done.code == 0
    assert [re.sub(r" \(.+\)$", "", line) for line in done.out.splitlines()] == [
        f"put file {lower.relative_to(store)}",
        "replace index overlay-images/images.json",
        f"2 steps, 2 entries, {done.out.split()[-2]} kB",
    ]
    assert call("verify", store, "--deep").code == 0


def test_a_dry_run_prints_the_steps_and_writes_nothing(store: Path) -> None:
    (layer_of(store) / "lower").write_text("l/nobody")
    before = exact(store)
    planned = call("repair", store, "--dry-run")
    assert planned.code == 0
    assert exact(store) == before
    assert planned.out == call("repair", store).out


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_what_cannot_be_mended_is_told(store: Path, options: tuple[str, ...]) -> None:
    layer = layer_of(store)
    (layer / "diff").rename(store / "away")
    done = call("repair", store, *options)
    assert done.code == 1
    assert done.out.splitlines()[-6:] == [
        "what is left:" if not options else "what repair does not mend:",
        "image: an image cannot be run, is not what it says, or is pulled again",
        *done.out.splitlines()[-4:-3],
        f"    layer {layer.name}: expected a directory, found nothing (overlay/{layer.name}/diff)",
        "1 problem: 1 image",
        "`cstore add` brings back what is missing of an image",
    ]
    assert done.out.splitlines()[-4].startswith("  V57 ")


def test_what_is_missing_comes_back_as_it_says(store: Path, made: dict[str, str]) -> None:
    for layer in store.glob("overlay/*/lower"):
        (layer.parent / "diff").rename(store / f"away-{layer.parent.name}")
    assert call("repair", store).code == 1
    assert call("add", store, made["new"], "--name", NEW).code == 0
    assert call("add", store, made["old"], "--name", OLD).code == 0
    assert call("verify", store, "--deep").code == 0


def test_without_a_store_there_is_nothing_to_repair(tmp_path: Path) -> None:
    done = call("repair", tmp_path)
    assert done.code == 3
    assert done.sentence == f"cstore: {tmp_path}: expected an image store, found a directory without overlay-images and overlay-layers"


def test_adding_is_not_advised_for_what_is_there_but_wrong(store: Path) -> None:
    layer = layer_of(store)
    (layer / "diff").rename(store / "away")
    (layer / "diff").symlink_to("nowhere")
    done = call("repair", store)
    assert done.code == 1
    assert "V57" in done.out
    assert "cstore add" not in done.out
