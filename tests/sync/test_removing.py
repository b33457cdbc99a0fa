"""Rounds with a real registry that remove what is wished no more, or keep it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.model.offer import ALL_OFFERS, Offer
from cstore.publish.batch import publishing
from cstore.registry.configuration import Configuration
from cstore.registry.rule import Rule
from cstore.store import Store
from cstore.sync.assembly import Assembly
from cstore.sync.removing import spellings
from cstore.verification.store import verify
from tests.sync.hubs import Hubbed, hubbed, image, outcomes
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import Registry, registries_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")

HUB, ALIAS = "docker.io/library/app", "registry.hub.docker.com/library/app"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hubbed]:
    with Registry(tmp_path / "registry") as registry, registry.registries() as asked:
        yield hubbed(tmp_path, registry, asked)


def stored(hub: Hubbed) -> list[str]:
    """Return all names in the store."""
    return sorted(name for found in Store.open(hub.hub.root / "podmanStore").all_images() for name in found.names)


def test_what_is_wished_no_more_stays_until_somebody_asks_to_prune(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    hub.run(hub.wish("team/app:*"))
    wishes = hub.wish("team/app:1")
    report = hub.run(wishes)
    assert (outcomes(report), report.changed) == ({"team/app:1": "unchanged", "team/app:2": "kept"}, False)
    report = hub.run(wishes, prune=True)
    assert (outcomes(report), report.changed) == ({"team/app:1": "unchanged", "team/app:2": "removed"}, True)
    assert not hub.public("team/app:2").is_symlink()
    assert not (hub.hub.root / f".metadata/{hub.registry.address}/team/app:2").exists()
    assert [name for found in Store.open(hub.hub.root / "podmanStore").all_images() for name in found.names] == [
        f"{hub.registry.address}/team/app:1"
    ]
    assert outcomes(hub.run(wishes, prune=True)) == {"team/app:1": "unchanged"}


@pytest.mark.parametrize("lost", ["tag", "repository", "registry", "wishlist"])
def test_nothing_is_removed_since_something_could_not_be_read(hub: Hubbed, lost: str) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    wishes = hub.wish("team/app:1" if lost == "tag" else "team/app:*")
    other = hub.wish(name="other.yaml")
    hub.run(wishes)
    if lost == "tag":
        hub.registry.untag("team/app", "1")
    elif lost == "repository":
        shutil.rmtree(hub.registry.storage / "docker/registry/v2/repositories/team/app")
    elif lost == "registry":
        hub.registry.__exit__()
    else:
        wishes.write_text("version: 2\n")
    report = hub.run(wishes, other, prune=True)
    assert not report.is_complete
    why = {"repository": "a wish of which no tag is known may stand for them", "wishlist": "not all wishlists could be read"}
    why["registry"] = why["repository"]
    # A tag that a wish names keeps what it has, and needs no reason; the other one goes in the round before.
    assert report.remarks == ((f"names that no wish is known to stand for, kept since {why[lost]}: 2",) if lost in why else ())
    assert not any("expected something that is wished" in problem for problem in report.problems)
    assert not report.changed
    assert all((hub.public(f"team/app:{tag}") / f"data/{tag}").exists() for tag in ("1",))


def test_pruning_takes_for_names_only_what_can_be_one(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    wishes = hub.wish("team/app:1")
    hub.run(wishes)
    root = hub.hub.root
    for path in ("podmanStore", "podmanStore/x:1", hub.registry.address, f"{hub.registry.address}/team", "status.json/x:1"):
        (root / ".metadata" / path).mkdir(exist_ok=True, parents=True)
        (root / ".metadata" / path / "manifest.json").write_bytes(b"{}")
    (root / f"{hub.registry.address}/team/note:1").write_bytes(b"somebody's own")
    (root / f".metadata/{hub.registry.address}/team/note:1").mkdir()
    (root / f".metadata/{hub.registry.address}/team/note:1/manifest.json").write_bytes(b"{}")
    report = hub.run(wishes, prune=True)
    assert outcomes(report) == {"team/app:1": "unchanged", "team/note:1": "removed"}
    assert (root / f"{hub.registry.address}/team/note:1").read_bytes() == b"somebody's own"
    assert not (root / f".metadata/{hub.registry.address}/team/note:1").exists()
    assert [*verify(root / "podmanStore")] == []
    assert (hub.public("team/app:1") / "data/1").exists()
    assert not hub.run(wishes, prune=True).changed


def test_what_a_registry_still_has_stays_though_a_list_of_tags_lacks_it(hub: Hubbed) -> None:
    """Spec Z5: a page without a Link to the next one looks like the whole list."""
    hub.push("team/app", {tag: image(number) for number, tag in enumerate("1234")})
    with Proxy(hub.registry.address) as proxy, registries_of(proxy.address) as asked:
        through = evolve(hub, asked=asked)
        wishes = hub.wish(f"{{image: '{proxy.address}/team/app:*'}}")
        through.run(wishes)
        hub.registry.untag("team/app", "2")
        proxy.faults += [
            Fault("tags/list", status=200, body=b'{"name": "team/app", "tags": ["1"]}', times=None),
            Fault("HEAD .*/manifests/4", status=500, times=None),
        ]
        report = through.run(wishes, prune=True)
    assert outcomes(report) == {"team/app:1": "unchanged", "team/app:2": "removed", "team/app:3": "kept", "team/app:4": "kept"}
    lost, down = (problem.replace(proxy.address, "HOST") for problem in report.problems)
    assert lost == "HOST/team/app:3: expected it in a list of tags, since its registry has it, found a list without it"
    assert down.startswith("HOST/team/app:4: expected it in a list of tags, or no such tag; nothing tells whether there is one: ")
    assert not report.is_complete
    assert stored(hub) == [f"{proxy.address}/team/app:{tag}" for tag in "134"]


def test_what_a_list_has_and_is_not_chosen_is_asked_for_no_more(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    hub.run(hub.wish("team/app:*"))
    newest = hub.wish(f"{{image: {hub.registry.address}/team/app, newest: 1}}")
    report = hub.run(newest, prune=True)
    assert outcomes(report) == {"team/app:1": "removed", "team/app:2": "unchanged"}
    assert report.requests == 2


def test_a_form_that_is_wished_no_more_is_told_and_goes_when_pruned(hub: Hubbed) -> None:
    """Spec Z5."""
    hub.push("team/app", {"1": image(1), "2": image(2)})
    wishes = hub.wish("team/app:*")
    hub.run(wishes)
    few = frozenset([Offer.PODMAN, Offer.LAYERS])
    report = hub.run(wishes, offers=few)
    assert (outcomes(report), report.changed) == ({"team/app:1": "unchanged", "team/app:2": "unchanged"}, False)
    asked_no_more = "no wish asks for it any more under names that are wished otherwise: 2"
    assert report.remarks == (f"flat: {asked_no_more} kept", f"metadata: {asked_no_more} kept")
    report = hub.run(wishes, offers=few, prune=True)
    assert report.remarks == (f"flat: {asked_no_more} removed", f"metadata: {asked_no_more} removed")
    assert report.is_complete
    assert not hub.public("team/app:1").is_symlink()
    assert not (hub.hub.root / f".metadata/{hub.registry.address}/team/app:2").exists()
    assert len(stored(hub)) == 2
    assert not hub.run(wishes, offers=few, prune=True).changed
    report = hub.run(wishes, offers=ALL_OFFERS - {Offer.PODMAN}, prune=True)
    assert report.remarks == (f"podman: {asked_no_more} removed",)
    assert (stored(hub), (hub.public("team/app:1") / "data/1").exists()) == ([], True)


def test_the_tree_of_a_layer_that_is_in_no_store_goes_after_the_grace(hub: Hubbed) -> None:
    """Spec H15."""
    offers = frozenset([Offer.LAYERS])
    hub.push("team/app", {"1": image(1), "2": image(2)})
    wishes = hub.wish("team/app:*")
    hub.run(wishes, offers=offers)
    layers = {place.parent.name for place in (hub.hub.root / ".layers").glob("*/*/layerfs")}
    hub.push("team/app", {"1": image(3)})
    for day, count in ((0, 4), (1, 4)):
        hub.days = day
        hub.run(wishes, offers=offers)
        assert len([*(hub.hub.root / ".layers").glob("*/*/layerfs")]) == count
    hub.days = 15
    hub.push("team/app", {"3": image(1)})
    hub.run(wishes, hub.place / "lost.yaml", offers=offers)
    assert layers <= {place.parent.name for place in (hub.hub.root / ".layers").glob("*/*/layerfs")}
    hub.push("team/app", {"4": image(4), "1": image(4), "3": image(4)})
    hub.run(wishes, offers=offers)
    hub.days = 30
    hub.push("team/app", {"5": image(5)})
    hub.run(wishes, offers=offers)
    left = {int(place.read_bytes()[:1]) for place in (hub.hub.root / ".layers").glob("*/*/layerfs/data/[0-9]")}
    assert left == {2, 4, 5}


def test_a_form_that_may_be_of_a_wish_that_is_not_known_stays(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    hub.run(hub.wish("team/app:1"))
    wishes = hub.wish(f"{{image: {hub.registry.address}/team/app:1, forms: podman}}")
    report = hub.run(wishes, hub.place / "lost.yaml", prune=True)
    assert (report.changed, report.is_complete) == (False, False)


def test_nothing_goes_where_nothing_at_all_is_wished(hub: Hubbed) -> None:
    """Spec Z5."""
    hub.push("team/app", {"1": image(1)})
    hub.run(hub.wish("team/app:1"))
    report = hub.run(hub.wish(), prune=True)
    assert (outcomes(report), report.changed) == ({"team/app:1": "kept"}, False)
    assert report.problems == ("expected something that is wished, found nothing: so nothing is removed",)
    assert outcomes(hub.run(hub.wish())) == {"team/app:1": "kept"}
    assert hub.run(hub.wish()).is_complete


def test_a_symlink_of_somebody_s_own_into_the_flat_trees_is_no_name(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    wishes = hub.wish("team/app:1")
    hub.run(wishes)
    for place in ("current", "lab/app:1"):
        (hub.hub.root / place).parent.mkdir(exist_ok=True)
        (hub.hub.root / place).symlink_to(hub.public("team/app:1").resolve())
    assert outcomes(hub.run(wishes, prune=True)) == {"team/app:1": "unchanged"}
    assert (hub.hub.root / "lab/app:1/data/1").exists()


@pytest.mark.parametrize("place", ["current", "lab/current", ".lab/deep/current", "lab/absolute", "lab/part"])
def test_a_flat_tree_stays_to_which_a_symlink_of_somebody_s_own_leads(hub: Hubbed, place: str) -> None:
    """Spec H6."""
    hub.push("team/app", {"1": image(1)})
    wishes = hub.wish("team/app:1")
    hub.run(wishes)
    tree = hub.public("team/app:1").resolve()
    link = hub.hub.root / place
    link.parent.mkdir(parents=True, exist_ok=True)
    target = tree if place == "lab/absolute" else "../" * place.count("/") + str(tree.relative_to(hub.hub.root))
    link.symlink_to(f"{target}/data" if place == "lab/part" else target)
    hub.push("team/app", {"1": image(2)})
    for hub.days in (0, 20, 40):
        hub.run(wishes)
        assert tree.is_dir()
    link.unlink()
    hub.run(wishes)
    assert not tree.exists()


def test_a_name_that_is_no_text_is_none(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    wishes = hub.wish("team/app:1")
    hub.run(wishes)
    hub.public("team/app:1").with_name("caf\udce9:1").symlink_to(hub.public("team/app:1").readlink())
    assert outcomes(hub.run(wishes, prune=True)) == {"team/app:1": "unchanged"}


def test_what_somebody_else_took_away_meanwhile_is_as_good_as_removed(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    hub.run(hub.wish("team/app:*"))
    rounds = hub.rounds(prune=True)
    take_away = Assembly.drop

    def late(assembly: Assembly, store: str, name: str) -> None:
        take_away(assembly, store, name)
        with publishing(hub.hub.root / store) as batch:
            batch.remove(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Assembly, "drop", late)
        report = rounds.run([hub.wish("team/app:1")])
    assert outcomes(report) == {"team/app:1": "unchanged", "team/app:2": "removed"}
    assert len(stored(hub)) == 1
    assert not hub.public("team/app:2").is_symlink()


def test_two_public_names_of_one_name_in_a_store(hub: Hubbed) -> None:
    """Spec Z1: they are asked for once, stand for one image, and what goes of them is told once."""
    hub.push("library/app", {"1": image(1)})
    rule = Rule(prefix="docker.io", location=hub.registry.address, is_insecure=True)
    with registries_of(configuration=Configuration((rule,))) as asked:
        both = hub.wish(f"{{image: {HUB}:1}}", f"{{image: {ALIAS}:1}}")
        of_one = hub.wish(f"{{image: {HUB}:1}}", name="one.yaml")
        of_none = hub.wish(f"{{image: {HUB}:2, forms: flat}}", name="none.yaml")
        through = evolve(hub, asked=asked)
        assert outcomes(through.run(both)) == {"library/app:1": "added"}
        again = through.run(both)
        assert (again.requests, again.changed) == (1, False)
        hub.push("library/app", {"1": image(2), "2": image(2)})
        through.run(both)
        assert all((hub.hub.root / f"{name}:1/data/2").exists() for name in (HUB, ALIAS))
        assert not through.run(both).changed
        assert [found.name for found in through.run(of_one).images if found.outcome.value == "kept"] == [f"{ALIAS}:1"]
        gone = [found.name for found in through.run(of_none, prune=True).images if found.outcome.value == "removed"]
        assert (gone, stored(hub)) == ([f"{HUB}:1", f"{ALIAS}:1"], [])


@pytest.mark.parametrize(
    ("name", "all_of_it"),
    [
        ("docker.io/library/a:1", ("docker.io/library/a:1", "index.docker.io/library/a:1", "registry.hub.docker.com/library/a:1")),
        ("a.org/b:sha256:" + "1" * 64, ("a.org/b:sha256:" + "1" * 64,)),
        ("A/b:1", ("A/b:1",)),
    ],
)
def test_all_public_names_of_an_image(name: str, all_of_it: tuple[str, ...]) -> None:
    assert sorted(spellings(name)) == sorted(all_of_it)
