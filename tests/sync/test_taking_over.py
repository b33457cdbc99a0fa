"""A hub that the present converter of CernVM-FS has made: what is there and sound stays, and its store is left alone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from cstore.errors import StoreError
from cstore.model.offer import ALL_OFFERS, Offer
from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.hub import CvmfsHub
from cstore.verification.store import verify
from tests.converter import flat, layered, tree_of
from tests.publish.cvmfs import NAME, publishing_machine
from tests.publish.ending import packed
from tests.publish.stores import exact
from tests.sync.hubs import Hubbed, hubbed, image
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")

EACH_GENERATION = pytest.mark.parametrize("make", [layered, flat])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hubbed]:
    with Registry(tmp_path / "registry") as registry, registry.registries() as asked:
        made = hubbed(tmp_path, registry, asked)
        made.hub.root.rmdir()
        made.push("team/app", {"1": image(1)})
        yield made


@EACH_GENERATION
def test_its_podman_store_is_not_added_to(hub: Hubbed, make: Callable[..., Path]) -> None:
    """Quote: what is added to a store of another writer may stand on layers that are not what they should be (spec Z10)."""
    store = make(hub.hub.root, {f"{hub.registry.address}/team/app:1": image(1)})
    before = exact(hub.hub.root)
    with pytest.raises(StoreError) as caught:
        hub.run(hub.wish("team/app:1"))
    assert str(caught.value) == (
        f"{store}: expected nothing, or a store that cstore has made, found something else. Move it away, or let `cstore adopt` take its "
        "images over into a store of cstore's, and move that here; or leave podman out of --forms"
    )
    assert exact(hub.hub.root) == before


@EACH_GENERATION
def test_its_flat_trees_and_names_stay_where_podman_is_left_out(hub: Hubbed, make: Callable[..., Path]) -> None:
    store = make(hub.hub.root, {f"{hub.registry.address}/team/app:1": image(1)})
    kept = {path: told for path, told in exact(hub.hub.root).items() if path.startswith((".flat/", "podmanStore/"))}
    offers = ALL_OFFERS - {Offer.PODMAN}
    report = hub.run(hub.wish("team/app:1"), offers=offers, prune=True)
    assert report.is_complete
    after = exact(hub.hub.root)
    assert {path: after.get(path) for path in kept} == kept
    assert store.is_dir()
    assert not hub.run(hub.wish("team/app:1"), offers=offers).changed


@EACH_GENERATION
def test_beside_a_store_that_was_moved_away_all_is_offered(hub: Hubbed, make: Callable[..., Path]) -> None:
    store = make(hub.hub.root, {f"{hub.registry.address}/team/app:1": image(1)})
    store.rename(store.with_name("old-store"))
    assert hub.run(hub.wish("team/app:1")).is_complete
    assert [*verify(hub.hub.root / "podmanStore")] == []
    assert not hub.run(hub.wish("team/app:1")).changed


def test_a_layer_whose_whiteouts_are_files_is_offered_anew_and_a_sound_one_stays(hub: Hubbed) -> None:
    store = layered(hub.hub.root, {f"{hub.registry.address}/team/app:1": image(1)})
    store.rename(store.with_name("old-store"))
    bottom, top = (tree_of(hub.hub.root, image(1), number) for number in (0, 1))
    assert (top / "data/.wh.old").is_file()
    assert hub.run(hub.wish("team/app:1")).is_complete
    assert (bottom.is_symlink(), top.is_symlink()) == (False, True)
    assert (top / "data/old").is_char_device()
    assert not hub.run(hub.wish("team/app:1")).changed


def test_the_same_in_a_repository(hub: Hubbed, tmp_path: Path) -> None:
    store = layered(tmp_path / "made", {f"{hub.registry.address}/team/app:1": image(1)})
    shutil.rmtree(store)
    with publishing_machine(tmp_path / "site") as publisher:
        code, told = publisher.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=packed(tmp_path / "made"))
        assert code == 0, told
        hub.hub = CvmfsHub(CvmfsPlace(repository=publisher.repository, path=""))
        before = publisher.revision
        report = hub.run(hub.wish("team/app:1"))
        assert (report.is_complete, report.revision) == (True, before + 1)
        bottom, top = (tree_of(publisher.newest, image(1), number) for number in (0, 1))
        assert (bottom.is_symlink(), top.is_symlink()) == (False, True)
        assert (top / "data/old").is_char_device()
        assert publisher.check() == ""
        assert not hub.run(hub.wish("team/app:1")).changed
