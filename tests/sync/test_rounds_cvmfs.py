"""Rounds that publish into a repository, by the stand-in: one revision for each that changes anything."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.hub import CvmfsHub
from tests.images import Image, digest_of, directory, file, tar
from tests.publish.cvmfs import Publisher, publishing_machine
from tests.publish.soundness import problems
from tests.sync.hubs import Hubbed, image, outcomes
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    with publishing_machine(tmp_path / "site") as machine:
        yield machine


@pytest.fixture
def hub(tmp_path: Path, publisher: Publisher) -> Iterator[Hubbed]:
    place = CvmfsPlace(repository=publisher.repository, path="")
    with Registry(tmp_path / "registry") as registry, registry.registries() as asked:
        yield Hubbed(tmp_path, registry, CvmfsHub(place), asked)


def test_sixty_wishes_are_one_revision_and_none_the_second_time(hub: Hubbed, publisher: Publisher) -> None:
    shared = [tar(directory("data"), file(f"data/shared-{number}", b"x" * 99)) for number in range(3)]
    images = {
        str(number): Image(
            layers=(*shared, *(tar(file(f"data/{number}-{depth}", b"%d" % number)) for depth in range(5))), compression="none"
        )
        for number in range(60)
    }
    hub.push("team/app", images)
    wishes = hub.wish(*(f"team/app:{tag}" for tag in images))
    before = publisher.revision
    report = hub.run(wishes)
    assert (set(outcomes(report).values()), report.layers) == ({"added"}, 303)
    assert (report.revision, publisher.revision) == (before + 1, before + 1)
    assert problems(publisher.newest / "podmanStore") == []
    assert len([*(publisher.newest / hub.registry.address / "team").iterdir()]) == 60
    report = hub.run(wishes)
    assert (report.changed, report.revision, report.requests, publisher.revision) == (False, None, 60, before + 1)
    hub.push("team/app", {"7": image(7)})
    report = hub.run(wishes)
    assert (report.revision, report.layers) == (before + 2, 2)
    assert [found.name.rpartition(":")[2] for found in report.images if found.outcome.value == "updated"] == ["7"]
    assert problems(publisher.newest / "podmanStore") == []
    assert publisher.check() == ""


def test_everything_is_there_for_each_reader(hub: Hubbed, publisher: Publisher) -> None:
    hub.push("team/app", {"1": image(1)})
    hub.run(hub.wish("team/app:1"))
    flat = publisher.newest / hub.registry.address / "team/app:1"
    assert sorted(place.name for place in (flat / "data").iterdir()) == ["1"]
    assert (flat / ".singularity.d/runscript").stat().st_mode & 0o777 == 0o755
    links = [*(publisher.newest / ".layers").glob("*/*/layerfs")]
    assert len(links) == 2
    assert {link.readlink().parts[3:5] for link in links} == {("podmanStore", "pool")}
    assert all(link.is_dir() for link in links)
    assert (publisher.newest / "status.json").is_file()
    markers = {str(place.relative_to(publisher.newest)) for place in publisher.newest.glob(".*/.cvmfscatalog")}
    assert markers == {".flat/.cvmfscatalog", ".layers/.cvmfscatalog", ".metadata/.cvmfscatalog"}


def test_removed_names_take_a_revision_of_their_own(hub: Hubbed, publisher: Publisher) -> None:
    hub.push("team/app", {"1": image(1), "2": image(2)})
    hub.run(hub.wish("team/app:*"))
    before = publisher.revision
    report = hub.run(hub.wish("team/app:1"), prune=True)
    assert (outcomes(report), report.revision) == ({"team/app:1": "unchanged", "team/app:2": "removed"}, before + 2)
    assert not (publisher.newest / hub.registry.address / "team/app:2").is_symlink()
    assert problems(publisher.newest / "podmanStore") == []
    hub.days = 14
    report = hub.run(hub.wish("team/app:1"))
    assert (report.changed, publisher.revision) == (True, before + 3)
    assert len([*(publisher.newest / ".flat").glob("*/*/data")]) == 1
    assert not hub.run(hub.wish("team/app:1")).changed
    assert publisher.check() == ""


def test_a_layer_of_two_stores_is_found_in_the_other_when_one_loses_it(hub: Hubbed, publisher: Publisher) -> None:
    """Quote: a symlink in `.layers` leads to another tree before its tree in a store is removed (spec H7)."""
    hub.push("team/app", {"1": image(1), "arm": image(2, "arm64")})
    arm = f"{{image: '{hub.registry.address}/team/app:arm', platforms: [linux/arm64]}}"
    hub.run(hub.wish("team/app:1", arm))
    digest = digest_of(image(1).blobs[0]).removeprefix("sha256:")
    link = f".layers/{digest[:2]}/{digest}/layerfs"
    assert "podmanStore" in (publisher.newest / link).readlink().parts
    hub.run(hub.wish(arm), prune=True)
    before = publisher.revision
    hub.days = 14
    report = hub.run(hub.wish(arm))
    assert (report.is_complete, report.revision) == (True, before + 1)
    assert "podmanStore.arm64" in (publisher.newest / link).readlink().parts
    assert [place.is_dir() for place in publisher.newest.glob(".layers/*/*/layerfs")] == [True, True]
    assert publisher.check() == ""


def test_an_image_that_cannot_be_published_keeps_no_other_from_it(hub: Hubbed, publisher: Publisher) -> None:
    reserved = Image(layers=(tar(directory("a"), file("a/.cvmfscatalog", b"")),))
    hub.push("team/app", {"1": image(1), "reserved": reserved})
    report = hub.run(hub.wish("team/app:*"))
    assert outcomes(report) == {"team/app:1": "added", "team/app:reserved": "failed"}
    (failed,) = [found for found in report.images if found.error]
    place = f"{hub.registry.name('team/app:reserved')}@{failed.registry_digest}: layers[0]"
    assert failed.error == f"{place}: expected no names that CernVM-FS takes for its own, found a/.cvmfscatalog"
    assert publisher.revision == report.revision


def test_a_hub_in_a_subdirectory_through_a_gateway(tmp_path: Path) -> None:
    with publishing_machine(tmp_path / "site", upstream="gw") as machine, Registry(tmp_path / "registry") as registry:
        machine.publish_something("hubs/note")
        with registry.registries() as asked:
            hub = Hubbed(tmp_path, registry, CvmfsHub(CvmfsPlace(repository=machine.repository, path="hubs/one")), asked)
            hub.push("team/app", {"1": image(1), "2": image(2)})
            assert outcomes(hub.run(hub.wish("team/app:*"))) == {"team/app:1": "added", "team/app:2": "added"}
            top = machine.newest / "hubs/one"
            assert problems(top / "podmanStore") == []
            assert (top / registry.address / "team/app:2/data/2").exists()
            hub.run(hub.wish("team/app:1"), prune=True)
            assert not (top / registry.address / "team/app:2").is_symlink()
            assert not hub.run(hub.wish("team/app:1")).changed


def test_an_image_that_is_damaged_leaves_an_empty_repository_as_it_is(hub: Hubbed, publisher: Publisher) -> None:
    hub.push("team/app", {"1": image(1)})
    for layer in image(1).blobs:
        hub.registry.blob_path(digest_of(layer)).write_bytes(b"x" * len(layer))
    before = publisher.revision
    report = hub.run(hub.wish("team/app:1"))
    assert (report.is_complete, report.changed, outcomes(report), publisher.revision) == (False, False, {"team/app:1": "failed"}, before)
    hub.push("team/app", {"2": Image(layers=(tar(file("x", b"x")), b"no tar" * 100))})
    report = hub.run(hub.wish("team/app:2"))
    assert (report.is_complete, report.changed, outcomes(report), publisher.revision) == (False, False, {"team/app:2": "failed"}, before)
