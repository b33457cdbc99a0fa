from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import IMAGES, NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "example.org/other:1"


@pytest.mark.parametrize("image", [OLD, IMAGES["old"].id, IMAGES["old"].id[:12], f"{OLD.partition(':')[0]}@{IMAGES['old'].digest}"])
def test_an_image_gets_another_name(store: Path, image: str) -> None:
    done = call("tag", store, image, OTHER)
    assert (done.code, done.out) == (0, f"tagged {image} as {OTHER}\n")
    assert names(store) == {OLD: IMAGES["old"].id, OTHER: IMAGES["old"].id, NEW: IMAGES["new"].id}


def test_only_the_index_of_images_and_its_lock_are_touched(store: Path) -> None:
    before = exact(store)
    call("tag", store, OLD, OTHER)
    after = exact(store)
    touched = {path for path in before if before[path] != after[path]}
    assert before.keys() == after.keys()
    assert touched <= {"", "overlay-images", "overlay-images/images.json", "overlay-images/images.lock"}


def test_the_new_name_is_completed(store: Path) -> None:
    assert call("tag", store, OLD, "short").out == f"tagged {OLD} as docker.io/library/short:latest\n"


def test_a_name_that_it_has_already_changes_nothing(store: Path) -> None:
    before = exact(store)
    assert call("tag", store, OLD, OLD).out == f"{OLD}: already there\n"
    assert exact(store) == before


def test_another_image_loses_the_name_in_the_same_step(store: Path) -> None:
    assert call("tag", store, NEW, OLD).code == 0
    assert names(store) == {OLD: IMAGES["new"].id, NEW: IMAGES["new"].id}
    assert problems(store) == []
    assert unfinished(store) == []


@pytest.mark.parametrize(
    ("image", "name", "said"),
    [
        ("example.org/no:1", OTHER, 'expected an image "example.org/no:1", found none'),
        ("0123456789ab", OTHER, 'expected an image "0123456789ab", found none'),
        (OLD, "UPPER", "UPPER"),
        (OLD, "", "expected"),
        (OLD, f"example.org/a@sha256:{'0' * 64}", "expected"),
    ],
)
def test_what_cannot_be_tagged_is_told(store: Path, image: str, name: str, said: str) -> None:
    before = exact(store)
    done = call("tag", store, image, name)
    assert done.code == 3
    assert said in done.sentence
    assert exact(store) == before


def test_its_json_has_the_completed_name(store: Path) -> None:
    told = {"names": ["docker.io/library/short:latest"], "revision": None, "root_hash": None}
    assert call("tag", store, OLD, "short", "--json").json == {**told, "changed": True}
    assert call("tag", store, OLD, "short", "--json").json == {**told, "changed": False}
