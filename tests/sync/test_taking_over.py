"""A hub that the present converter of CernVM-FS has made: what is there and sound stays, and its store is left alone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from cstore.errors import StoreError
from cstore.hub.reading import HubReading
from cstore.model.offer import ALL_OFFERS, Offer
from cstore.publish.adopt import adopt
from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.hub import CvmfsHub
from cstore.verification.problem import Reach
from cstore.verification.store import verify
from tests.converter import Flaw, flat, layered, tree_of
from tests.images import Image, file, tar
from tests.publish.cvmfs import NAME, publishing_machine
from tests.publish.ending import packed
from tests.publish.stores import exact
from tests.sync.hubs import BASE, Hubbed, hubbed, image, outcomes
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
    assert (report.is_complete, outcomes(report)) == (True, {"team/app:1": "unchanged"})
    after = exact(hub.hub.root)
    assert {path: after.get(path) for path in kept} == kept
    assert store.is_dir()
    assert not hub.run(hub.wish("team/app:1"), offers=offers).changed


@EACH_GENERATION
def test_beside_a_store_that_was_moved_away_all_is_offered(hub: Hubbed, make: Callable[..., Path]) -> None:
    store = make(hub.hub.root, {f"{hub.registry.address}/team/app:1": image(1)})
    store.rename(store.with_name("old-store"))
    report = hub.run(hub.wish("team/app:1"))
    assert (report.is_complete, outcomes(report)) == (True, {"team/app:1": "updated"})
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


@pytest.mark.parametrize("lacks_dot_files", [False, True])
def test_the_same_in_a_repository(hub: Hubbed, tmp_path: Path, *, lacks_dot_files: bool) -> None:
    """What is made again, or gives way to a symlink, is taken away first, in a revision of its own (spec C4)."""
    store = layered(tmp_path / "made", {f"{hub.registry.address}/team/app:1": image(1)})
    shutil.rmtree(store)
    if lacks_dot_files:
        shutil.rmtree((tmp_path / "made" / hub.registry.address / "team/app:1").resolve() / ".singularity.d")
    with publishing_machine(tmp_path / "site") as publisher:
        code, told = publisher.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=packed(tmp_path / "made"))
        assert code == 0, told
        hub.hub = CvmfsHub(CvmfsPlace(repository=publisher.repository, path=""))
        before = publisher.revision
        report = hub.run(hub.wish("team/app:1"))
        assert (report.is_complete, report.revision) == (True, before + 2)
        assert (publisher.newest / hub.registry.address / "team/app:1/.singularity.d/runscript").exists() == lacks_dot_files
        bottom, top = (tree_of(publisher.newest, image(1), number) for number in (0, 1))
        assert (bottom.is_symlink(), top.is_symlink()) == (False, True)
        assert (top / "data/old").is_char_device()
        assert publisher.check() == ""
        assert not hub.run(hub.wish("team/app:1")).changed


@pytest.mark.parametrize("flaw", [Flaw.CUT_TREE, Flaw.UNMEASURED], ids=lambda flaw: flaw.name.lower())
def test_a_layer_of_which_nobody_knows_that_it_is_whole_is_offered_anew(hub: Hubbed, flaw: Flaw) -> None:
    sound = Image(layers=(BASE,))
    hub.push("team/app", {"1": sound})
    layered(hub.hub.root, {f"{hub.registry.address}/team/app:1": sound}, flaw).rename(hub.place / "old-store")
    assert hub.run(hub.wish("team/app:1")).is_complete
    assert tree_of(hub.hub.root, sound, 0).is_symlink()
    assert not hub.run(hub.wish("team/app:1")).changed


def test_a_flat_tree_without_its_dot_files_is_made_again(hub: Hubbed) -> None:
    layered(hub.hub.root, {f"{hub.registry.address}/team/app:1": image(1)}).rename(hub.place / "old-store")
    tree = hub.public("team/app:1").resolve()
    shutil.rmtree(tree / ".singularity.d")
    offers = ALL_OFFERS - {Offer.PODMAN}
    report = hub.run(hub.wish("team/app:1"), offers=offers)
    assert (report.is_complete, outcomes(report)) == (True, {"team/app:1": "updated"})
    assert hub.public("team/app:1").resolve() == tree
    assert (tree / ".singularity.d/runscript").is_file()
    assert not (tree / "singularity").is_symlink()
    assert not hub.run(hub.wish("team/app:1"), offers=offers).changed


def test_a_flat_tree_on_which_its_podman_store_stands_is_not_retired(hub: Hubbed) -> None:
    """Quote: a flat tree to which a layer of another writer's store leads is not retired (spec H11)."""
    flat(hub.hub.root, {f"{hub.registry.address}/team/app:1": image(1)})
    former = hub.public("team/app:1").resolve()
    hub.push("team/app", {"1": image(2)})
    offers = ALL_OFFERS - {Offer.PODMAN}
    hub.run(hub.wish("team/app:1"), offers=offers)
    hub.days = 20
    assert not hub.run(hub.wish("team/app:1"), offers=offers).changed
    assert former.is_dir()
    (hub.hub.root / "podmanStore").rename(hub.place / "old-store")
    hub.run(hub.wish("team/app:1"), offers=offers)
    hub.days = 40
    hub.run(hub.wish("team/app:1"), offers=offers)
    assert not former.exists()


def spelled(hub: Hubbed, platform: str) -> tuple[Path, Path]:
    """Have the name besides below `.multiarch`, as the converter does, and return it with what describes it."""
    name = f".multiarch/{platform}/{hub.registry.address}/team/app:1"
    link, note = hub.hub.root / name, hub.hub.root / ".metadata" / name / "manifest.json"
    link.parent.mkdir(parents=True)
    link.symlink_to("../" * name.count("/") + str(hub.public("team/app:1").resolve().relative_to(hub.hub.root)))
    shutil.copytree(hub.hub.root / f".metadata/{hub.registry.address}/team/app:1", note.parent)
    return link, note


def test_a_name_that_the_converter_has_twice_moves_and_goes_as_one(hub: Hubbed) -> None:
    """Quote: such a name is the same as cstore's, and is told once (spec H16)."""
    layered(hub.hub.root, {f"{hub.registry.address}/team/app:1": image(1)}).rename(hub.place / "old-store")
    link, note = spelled(hub, "amd64")
    assert set(outcomes(hub.run(hub.wish("team/app:1")))) == {"team/app:1"}
    hub.push("team/app", {"1": image(2)})
    assert outcomes(hub.run(hub.wish("team/app:1"))) == {"team/app:1": "updated"}
    assert link.resolve() == hub.public("team/app:1").resolve()
    assert note.read_bytes() == hub.registry.manifest("team/app", "1")[0]
    assert len(HubReading(hub.hub.root).about().retired) == 1
    hub.push("team/app", {"2": image(3)})
    assert outcomes(hub.run(hub.wish("team/app:2"))) == {"team/app:1": "kept", "team/app:2": "added"}
    assert outcomes(hub.run(hub.wish("team/app:2"), prune=True)) == {"team/app:1": "removed", "team/app:2": "unchanged"}
    assert not link.is_symlink()
    assert not note.parent.exists()
    assert not hub.run(hub.wish("team/app:2"), prune=True).changed


def test_a_usual_variant_that_the_converter_writes_is_the_platform_without_it(hub: Hubbed) -> None:
    hub.hub.root.mkdir()
    hub.push("team/app", {"1": image(1, "arm64")})
    wishes = hub.wish(f"{{image: '{hub.registry.address}/team/app:1', platforms: [linux/arm64]}}")
    hub.run(wishes)
    own = hub.hub.root / f".multiarch/arm64/{hub.registry.address}/team/app:1"
    link = hub.hub.root / f".multiarch/arm64:v8/{hub.registry.address}/team/app:1"
    link.parent.mkdir(parents=True)
    link.symlink_to(own.readlink())
    hub.push("team/app", {"1": image(2, "arm64")})
    assert outcomes(hub.run(wishes)) == {"team/app:1": "updated"}
    assert link.resolve() == own.resolve()
    assert (link / "data/2").exists()


def test_a_layer_that_nothing_needs_any_more_goes_when_something_else_changes(hub: Hubbed) -> None:
    """Quote: it is retired, and removed after the grace, in rounds in which something else changes (spec H15)."""
    layered(hub.hub.root, {f"{hub.registry.address}/team/app:1": image(1)}).rename(hub.place / "old-store")
    wishes = hub.wish("team/app:1")
    hub.run(wishes)
    bottom = tree_of(hub.hub.root, image(1), 0)
    assert not bottom.is_symlink()
    there = []
    for days in (0, 14, 15, 28, 29):
        hub.days = days
        hub.push("team/app", {"1": Image(layers=(tar(file("data", b"%d" % days)),))})
        assert hub.run(wishes).is_complete
        hub.run(wishes)
        there.append(bottom.exists())
    assert there == [True, True, True, True, False]
    assert not bottom.parent.exists()
    assert [problem for problem in verify(hub.hub.root / "podmanStore") if problem.reach is not Reach.NOTE] == []


def test_what_was_adopted_into_a_store_that_takes_the_place_of_its_own_is_not_converted_again(hub: Hubbed) -> None:
    sound = Image(layers=(BASE, tar(file("data/1", b"one"))))
    hub.push("team/app", {"1": sound})
    store = layered(hub.hub.root, {f"{hub.registry.address}/team/app:1": sound})
    adopt(hub.hub.root / "podmanStore-new", store)
    store.rename(hub.place / "old-store")
    (hub.hub.root / "podmanStore-new").rename(store)
    report = hub.run(hub.wish("team/app:1"))
    assert (report.is_complete, report.layers, outcomes(report)) == (True, 0, {"team/app:1": "unchanged"})
    trees = [tree_of(hub.hub.root, sound, number) for number in (0, 1)]
    assert [tree.is_symlink() for tree in trees] == [False, False]
    assert [problem for problem in verify(store) if problem.reach in (Reach.STORE, Reach.IMAGE)] == []
    assert not hub.run(hub.wish("team/app:1")).changed
