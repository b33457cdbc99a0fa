from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.store import Store
from tests.cli.program import call
from tests.images import digest_of
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import BASE, IMAGES, NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path


def test_the_image_goes_with_its_last_name_and_its_own_layers_are_retired(store: Path) -> None:
    done = call("remove", store, OLD)
    assert (done.code, done.out) == (0, f"removed {OLD}\n")
    assert names(store) == {NEW: IMAGES["new"].id}
    retired = Store.open(store).about.retired
    assert len(retired) == 1
    assert digest_of(BASE).removeprefix("sha256:") not in retired
    assert problems(store) == []
    assert unfinished(store) == []


def test_an_image_with_another_name_stays(store: Path) -> None:
    call("tag", store, OLD, "example.org/other:1")
    call("remove", store, OLD)
    assert names(store) == {NEW: IMAGES["new"].id, "example.org/other:1": IMAGES["old"].id}


def test_several_names_go_together_or_not_at_all(store: Path) -> None:
    before = exact(store)
    done = call("remove", store, OLD, "example.org/no:1")
    assert (done.code, done.sentence) == (3, f'cstore: {store}: expected an image "example.org/no:1", found none')
    assert exact(store) == before
    assert call("remove", store, OLD, NEW).code == 0
    assert names(store) == {}
    assert problems(store) == []


def test_the_same_name_twice_is_told(store: Path) -> None:
    before = exact(store)
    assert call("remove", store, OLD, OLD).code == 3
    assert exact(store) == before


def test_an_id_is_no_name(store: Path) -> None:
    done = call("remove", store, IMAGES["old"].id)
    assert done.code == 3
    assert "expected one of the names of an image" in done.sentence


def test_without_a_store_there_is_nothing_to_remove(tmp_path: Path) -> None:
    done = call("remove", tmp_path / "none", OLD)
    assert (done.code, done.sentence) == (3, f"cstore: {tmp_path / 'none'}: expected an image store, found nothing")
    assert not (tmp_path / "none").exists()


def test_its_json_has_the_names(store: Path) -> None:
    told = call("remove", store, OLD, NEW, "--json").json
    assert told == {"names": [OLD, NEW], "changed": True, "revision": None, "root_hash": None}
