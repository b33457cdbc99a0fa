"""Rounds with a real registry: what is wished is published, and what cannot be had keeps what it has."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from cstore.errors import FormatError
from cstore.hub.reading import HubReading
from cstore.model.offer import Offer, parse_offers
from cstore.publish.hub import DirectoryHub
from cstore.registry.cache import Cache
from cstore.store import Store
from cstore.sync.report import Outcome
from cstore.verification.store import verify
from tests.images import Image, file, tar
from tests.sync.faulty import through
from tests.sync.hubs import Hubbed, hubbed, image, outcomes
from tools.registries.proxy import Proxy
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hubbed]:
    with Registry(tmp_path / "registry") as registry, registry.registries() as asked:
        yield hubbed(tmp_path, registry, asked)


def test_what_is_wished_is_offered_to_all_readers(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    report = hub.run(hub.wish("team/app:*"))
    assert outcomes(report) == {"team/app:1": "added", "team/app:2": "added"}
    assert (report.is_complete, report.changed, report.layers, report.problems) == (True, True, 3, ())
    root = hub.hub.root
    assert [*verify(root / "podmanStore")] == []
    assert Store.open(root / "podmanStore").image(f"{hub.registry.address}/team/app:2").names == (f"{hub.registry.address}/team/app:2",)
    flat = hub.public("team/app:2")
    assert (flat / "data/2").read_bytes() == b"2" * 40
    assert not (flat / "data/old").exists()
    assert (flat / ".singularity.d/runscript").is_file()
    manifest, _ = hub.registry.manifest("team/app", "2")
    metadata = root / f".metadata/{hub.registry.address}/team/app:2/manifest.json"
    assert metadata.read_bytes() == manifest
    for layer in json.loads(manifest)["layers"]:
        digest = layer["digest"].removeprefix("sha256:")
        assert (root / f".layers/{digest[:2]}/{digest}/layerfs").resolve().parts[-3:-2] == ("overlay",)
    status = json.loads((root / "status.json").read_bytes())
    assert len(status["images"]) == 2


def test_a_second_round_has_nothing_to_do_and_asks_once_for_each_name(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    wishes = hub.wish("team/app:1", "team/app:2")
    hub.run(wishes)
    report = hub.run(wishes)
    assert (outcomes(report), report.changed, report.requests) == ({"team/app:1": "unchanged", "team/app:2": "unchanged"}, False, 2)


def test_a_moved_tag_is_followed_and_what_it_had_goes_after_the_grace(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    wishes = hub.wish("team/app:1")
    hub.run(wishes)
    former = hub.public("team/app:1").resolve()
    hub.push("team/app", {"1": image(2)})
    report = hub.run(wishes)
    assert (outcomes(report), report.layers) == ({"team/app:1": "updated"}, 1)
    assert (hub.public("team/app:1") / "data/2").exists()
    assert former.exists()
    hub.days = 13
    assert not hub.run(wishes).changed
    assert former.exists()
    hub.days = 14
    report = hub.run(wishes)
    assert (report.changed, outcomes(report)) == (True, {"team/app:1": "unchanged"})
    assert not former.exists()
    assert len([*Store.open(hub.hub.root / "podmanStore").all_layers()]) == 2
    assert [*verify(hub.hub.root / "podmanStore")] == []
    links = [*(hub.hub.root / ".layers").glob("*/*/layerfs")]
    assert len(links) == 2
    assert all(link.is_dir() for link in links)
    assert not hub.run(wishes).changed


def test_one_image_that_is_damaged_keeps_no_other_from_being_published(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    manifest, _ = hub.registry.manifest("team/app", "1")
    blob = hub.registry.blob_path(json.loads(manifest)["layers"][1]["digest"])
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    report = hub.run(hub.wish("team/app:1", "team/app:2"))
    assert outcomes(report) == {"team/app:1": "failed", "team/app:2": "added"}
    (failed,) = [found for found in report.images if found.outcome is Outcome.FAILED]
    assert "expected digest sha256:" in (failed.error or "")
    assert failed.published_digest is None
    assert not report.is_complete
    assert not hub.public("team/app:1").is_symlink()
    assert [*verify(hub.hub.root / "podmanStore")] == []


def test_a_name_with_something_in_its_way_keeps_no_other_from_being_published(hub: Hubbed) -> None:
    """Quote: an image that could not be published where it is to be is left out and told (spec Z3)."""
    hub.push("team/app", {"1": image(1), "2": image(2)})
    hub.public("team/app:1").mkdir(parents=True)
    report = hub.run(hub.wish("team/app:1", "team/app:2"))
    assert outcomes(report) == {"team/app:1": "failed", "team/app:2": "added"}
    (failed,) = [found for found in report.images if found.outcome is Outcome.FAILED]
    assert failed.error == f"{hub.public('team/app:1')}: expected a symlink or nothing at a public name, found a directory"
    assert not report.is_complete
    root = hub.hub.root
    assert [name for found in Store.open(root / "podmanStore").all_images() for name in found.names] == [
        f"{hub.registry.address}/team/app:2"
    ]
    assert not (root / f".metadata/{hub.registry.address}/team/app:1").exists()
    hub.public("team/app:1").rmdir()
    assert outcomes(hub.run(hub.wish("team/app:1", "team/app:2"))) == {"team/app:1": "added", "team/app:2": "unchanged"}


def test_errors_that_a_wishlist_ignores_are_told_and_are_no_failure(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    report = hub.run(hub.wish("team/app:1", "team/gone:1", more=f"ignoreErrors: ['{hub.registry.address}/team/gone:*']\n"))
    assert outcomes(report) == {"team/app:1": "added", "team/gone:1": "failed"}
    assert report.is_complete


def test_several_platforms_get_stores_and_names_of_their_own(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1), "arm": image(2, "arm64")})
    entry = "{image: '%s/team/app:%s', platforms: [linux/%s]}"
    report = hub.run(hub.wish(entry % (hub.registry.address, "1", "amd64"), entry % (hub.registry.address, "arm", "arm64")))
    assert outcomes(report) == {"team/app:1": "added", "team/app:arm": "added"}
    root = hub.hub.root
    assert HubReading(root).stores() == ["podmanStore", "podmanStore.arm64"]
    assert (root / f".multiarch/arm64/{hub.registry.address}/team/app:arm/data/2").exists()
    report = hub.run(hub.wish(entry % (hub.registry.address, "1", "arm64")))
    assert outcomes(report)["team/app:1"] == "failed"


@pytest.mark.parametrize("offer", [*Offer])
def test_only_what_is_asked_is_published_and_nothing_twice(hub: Hubbed, offer: Offer) -> None:
    hub.push("team/app", {"1": image(1)})
    wishes = hub.wish("team/app:1")
    offers = frozenset([offer])
    assert outcomes(hub.run(wishes, offers=offers)) == {"team/app:1": "added"}
    root = hub.hub.root
    there = {
        Offer.PODMAN: (root / "podmanStore").exists(),
        Offer.LAYERS: (root / ".layers").exists(),
        Offer.FLAT: (root / ".flat").exists() and hub.public("team/app:1").is_dir(),
        Offer.METADATA: (root / ".metadata").exists(),
    }
    assert [one for one, is_there in there.items() if is_there] == [offer]
    assert not hub.run(wishes, offers=offers).changed
    report = hub.run(wishes)
    assert report.changed
    assert not hub.run(wishes).changed
    assert (hub.public("team/app:1") / "data/1").exists()


def test_a_round_may_look_at_a_few_names_only(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    hub.push("team/other", {"1": image(3)})
    wishes = hub.wish("team/app:*", "team/other:1")
    rounds = hub.rounds()
    report = rounds.run([wishes], only=[f"{hub.registry.address}/team/app:2"])
    assert outcomes(report) == {"team/app:2": "added"}
    report = rounds.run([wishes], only=[f"{hub.registry.address}/team/other"])
    assert outcomes(report) == {"team/other:1": "added"}
    assert not (hub.hub.root / "status.json").exists()
    assert outcomes(rounds.run([wishes], only=["elsewhere.example.org/a:1"])) == {}
    report = rounds.run([wishes])
    assert outcomes(report) == {"team/app:1": "added", "team/app:2": "unchanged", "team/other:1": "unchanged"}
    assert [found.published is not None for found in report.images] == [True, True, True]


def test_a_round_over_names_tells_what_is_known_of_all_images(hub: Hubbed) -> None:
    """Quote: after a round over a few names it tells what the last one over everything knew of all others (spec Z9)."""
    hub.push("team/app", {"1": image(1), "2": image(2), "3": image(3)})
    wishes = hub.wish("team/app:*", "team/none:*")
    rounds = hub.rounds()
    before = rounds.run([wishes])
    hub.push("team/app", {"2": image(4)})
    report = rounds.run([wishes], only=[f"{hub.registry.address}/team/app:2"], number=2)
    assert (outcomes(report), report.problems) == ({"team/app:2": "updated"}, ())
    told = json.loads((hub.hub.root / "status.json").read_bytes())
    expected = (before.images[0], *report.images, before.images[2])
    assert [(entry["name"], entry["state"], entry["published_digest"]) for entry in told["images"]] == [
        (found.name, "published", found.published_digest) for found in expected
    ]
    assert len(before.problems) == 1
    assert told["problems"] == [*before.problems]


def test_what_registries_tell_of_and_nobody_wishes_is_remarked(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    address, rounds = hub.registry.address, hub.rounds()
    wishes = hub.wish("team/app:1", "team/old:v*")
    strange = [f"{address}/team/app:2", *(f"other.example.org/team/app:{tag}" for tag in "123")]
    report = rounds.run([wishes], only=[f"{address}/team/app:1", f"{address}/team/app", f"{address}/team/old:v2", *strange])
    assert report.remarks == (
        f"registries told of what no wish stands for: {', '.join(sorted(strange)[:3])} and 1 more",
        *(remark for remark in report.remarks if "takes none" in remark),
    )
    assert rounds.run([wishes], only=strange[:1]).remarks == (f"registries told of what no wish stands for: {strange[0]}",)
    assert rounds.run([wishes, hub.place / "none.yaml"], only=strange).remarks == ()


def test_a_round_publishes_only_when_it_has_looked_at_all(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    seen: list[tuple[str, bool]] = []

    def progress(work: str, _subject: str, _total: int) -> Callable[[int], object]:
        seen.append((work, rounds.is_publishing))
        return lambda _size: None

    rounds = hub.rounds(DirectoryHub(hub.hub.root, progress), progress=progress)
    rounds.run([hub.wish("team/app:1")])
    assert {works for works, publishes in seen if not publishes} >= {"looking up", "opening"}
    assert {publishes for works, publishes in seen if works == "unpacking"} == {True}
    assert not rounds.is_publishing


@pytest.mark.parametrize("lost", ["registry", "wishlist", "nothing"])
def test_a_layer_stays_while_nobody_can_tell_that_no_image_is_offered_with_it(hub: Hubbed, lost: str) -> None:
    """Quote: it stays in a round that does not learn which layers an image has that is wished with `layers` alone (spec H14)."""
    hub.push("team/app", {"1": image(1)})
    hub.push("team/other", {"1": image(1)})
    whole = hub.wish("team/app:1")
    alone = hub.wish(f"{{image: '{hub.registry.address}/team/other:1', forms: [layers]}}", name="alone.yaml")
    hub.run(whole, alone)
    hub.push("team/app", {"1": Image(layers=(tar(file("x", b"x")),))})
    hub.run(whole, alone)
    hub.days = 14
    if lost == "registry":
        hub.registry.untag("team/other", "1")
    elif lost == "wishlist":
        alone.write_text("version: 2\n")
    hub.run(whole, alone)
    links = [*(hub.hub.root / ".layers").glob("*/*/layerfs")]
    assert (len(links), all(link.is_dir() for link in links)) == (3, True)
    hub.run(*((whole, hub.wish(name="alone.yaml")) if lost != "nothing" else (whole,)))
    assert len([*(hub.hub.root / ".layers").glob("*/*/layerfs")]) == 1


@pytest.mark.parametrize("part", ["run", "preview"])
def test_a_round_that_is_larger_than_the_cache_fetches_all_once(tmp_path: Path, part: str) -> None:
    """Spec Q11."""
    with Registry(tmp_path / "registry") as registry, Proxy(registry.address) as proxy:
        with through(proxy, registry, cache=Cache(tmp_path / "cache", most=100)) as asked:
            hub = hubbed(tmp_path, registry, asked)
            hub.push("team/app", {str(number): image(number) for number in range(4)})
            wishes = [hub.wish("team/app:*")]
            report = hub.rounds().run(wishes) if part == "run" else hub.rounds().preview(wishes).report
        assert (report.is_complete, len(report.images)) == (True, 4)
        fetched = [seen.path for seen in proxy.asked("GET .*/blobs/")]
        assert len(fetched) == len({*fetched}) == 1 + 2 * 4
    assert len([path for path in (tmp_path / "cache/blobs").rglob("*") if path.is_file()]) <= 1


def test_a_preview_writes_nothing(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    preview = hub.rounds().preview([hub.wish("team/app:1")])
    assert [*hub.hub.root.iterdir()] == []
    assert outcomes(preview.report) == {"team/app:1": "added"}
    assert preview.delta.steps[-1].path == "status.json"


def test_where_the_only_image_is_damaged_no_store_is_made(hub: Hubbed) -> None:
    hub.push("team/app", {"1": image(1)})
    blob = hub.registry.blob_path(json.loads(hub.registry.manifest("team/app", "1")[0])["layers"][1]["digest"])
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    report = hub.run(hub.wish("team/app:1"))
    assert (outcomes(report), report.changed, report.is_complete) == ({"team/app:1": "failed"}, False, False)
    assert [*hub.hub.root.iterdir()] == []


LOST = {
    "a config": "podmanStore/overlay-images/*/=*",
    "a manifest": "podmanStore/overlay-images/*/manifest",
    "the tree of a layer": "podmanStore/overlay/*/diff",
}


@pytest.mark.parametrize("offers", ["podman", "podman,metadata", "podman,layers,flat,metadata"])
@pytest.mark.parametrize("lost", LOST)
def test_what_an_image_in_a_store_has_lost_comes_back(hub: Hubbed, lost: str, offers: str) -> None:
    """Spec Z2."""
    hub.push("team/app", {"1": image(1), "2": image(2)})
    wishes, forms = hub.wish("team/app:*"), parse_offers(offers)
    hub.run(wishes, offers=forms)
    for place in hub.hub.root.glob(LOST[lost]):
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    report = hub.run(wishes, offers=forms)
    assert outcomes(report) == {"team/app:1": "updated", "team/app:2": "updated"}
    assert [*verify(hub.hub.root / "podmanStore")] == []
    assert not hub.run(wishes, offers=forms).changed


def test_a_description_that_cannot_be_read_keeps_no_other_from_being_published(hub: Hubbed) -> None:
    """Spec Z3."""
    hub.push("team/app", {"1": image(1)})
    wishes = hub.wish("team/app:*")
    hub.run(wishes)
    index = hub.hub.root / f".metadata/{hub.registry.address}/team/app:1/index.json"
    index.mkdir()
    hub.push("team/app", {"2": image(2)})
    report = hub.run(wishes)
    assert outcomes(report) == {"team/app:1": "failed", "team/app:2": "added"}
    (error,) = [found.error for found in report.images if found.error]
    assert error == f"{index}: expected a file or nothing where a name is described, found a directory"


@pytest.mark.parametrize("path", ["podmanStore/overlay-layers/layers.json", ".metadata/cstore.json"])
def test_an_error_names_the_file(hub: Hubbed, path: str) -> None:
    hub.push("team/app", {"1": image(1)})
    wishes = hub.wish("team/app:*")
    hub.run(wishes)
    (hub.hub.root / path).write_text("{")
    hub.push("team/app", {"1": image(2)})
    with pytest.raises(FormatError) as error:
        hub.run(wishes)
    assert str(error.value).startswith(f"{hub.hub.root / path.replace('overlay-layers/', '')}: expected ")
