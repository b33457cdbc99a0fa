"""Podman reads what is published in CernVM-FS, as a client shows it: by the stand-in's rules, read-only, and without devices."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from attrs import evolve, frozen

from tests.compat.programs import run
from tests.compat.test_trees import unpacked
from tests.compat.trees import Row, differences, rows
from tests.images import Image, directory, file, tar, write_layout
from tests.publish.cvmfs import NAME, STORE, Publisher, publishing_machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.compat.conftest import Images, Readers
    from tests.compat.podman import Podman

LAYERS, SIBLING, TOPLESS = "registry.example.org/team/layers:1", "localhost/sibling:1", "localhost/topless:1"
SECOND = 1_000_000_000


@frozen
class Site:
    """A publisher and a client of one repository."""

    publisher: Publisher
    client: Path

    def add(self, source: str, name: str, form: str = "sharded") -> None:
        self.cstore("add", source, "--name", name, "--layout", form)

    def cstore(self, verb: str, *arguments: str) -> str:
        """Call a verb on the store of the repository."""
        return run(sys.executable, "-m", "cstore", verb, self.publisher.location, *arguments, env=self.publisher.environment)

    def newest(self) -> Path:
        """Return the store as the client shows it from now on."""
        assert self.publisher.machine.run("client", NAME, str(self.client)) == (0, "")
        return self.client / STORE


@pytest.fixture(scope="module", params=["sharded", "direct"])
def site(request: pytest.FixtureRequest, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two images of one chain in one repository, which came in two revisions."""
    place = tmp_path_factory.mktemp("cvmfs")
    with publishing_machine(place / "site") as publisher:
        site = Site(publisher, place / "client")
        site.add(images.layers.source, LAYERS, request.param)
        site.add(images.sibling.source, SIBLING, request.param)
        assert publisher.revision == 3
        yield site


@pytest.fixture
def podman(readers: Readers, site: Site) -> Podman:
    return readers(site.newest())


def test_runs_images_with_deletions_and_replaced_directories(podman: Podman) -> None:
    shown = podman.container(LAYERS, "cat", "/etc/by-hand/new", "/etc/dir-to-link/inside", "/opt/opaque/again")
    assert shown == "in a directory that replaces one\na directory\nback\n"
    assert podman.container(SIBLING, "sh", "-c", "cat /etc/sibling; ls /etc/passwd /var/gone /etc/removed 2>&1 | wc -l") == "sibling\n3\n"
    assert podman.own_layers() == []


def test_container_sees_what_umoci_unpacks(podman: Podman, images: Images, tmp_path: Path) -> None:
    """But for what an ingest does not keep: fractions of seconds, attributes, and that two names are one file."""
    expected = {path: kept(row) for path, row in unpacked(images.sibling, tmp_path).items()}
    with podman.tree_of(SIBLING) as tree:
        found = {path: kept(row) for path, row in rows(tree).items()}
    timeless = {path for path, row in expected.items() if not row.mtime}
    found = {path: row.without_mtime() if path in timeless else row for path, row in found.items()}
    assert differences(expected, found) == ["opt/fresh: there, not expected"]


@pytest.mark.parametrize("archive", ["docker-archive", "oci-archive"])
def test_saves_an_image_that_loads_again_with_the_same_id(podman: Podman, readers: Readers, archive: str, tmp_path: Path) -> None:
    podman("save", "--format", archive, "--output", tmp_path / "saved", SIBLING)
    other = readers()
    other("load", "--input", tmp_path / "saved")
    assert other.image_id(SIBLING) == podman.image_id(SIBLING)
    assert other.inspect(SIBLING)["RootFS"] == podman.inspect(SIBLING)["RootFS"]
    assert other.container(SIBLING, "cat", "/etc/sibling") == "sibling\n"


def test_tells_what_the_top_layer_changed(podman: Podman) -> None:
    assert set(podman("image", "diff", SIBLING).splitlines()) == {"C /etc", "A /etc/sibling", "D /etc/passwd"}


def test_builds_from_an_image(podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "added").write_text("added\n")
    (tmp_path / "Containerfile").write_text(f"FROM {SIBLING}\nCOPY added /etc/added\nRUN rm /etc/sibling && cat /etc/added > /etc/run\n")
    podman("build", "--isolation=chroot", "--pull=never", "--tag", "localhost/built:1", tmp_path)
    assert podman.container("localhost/built:1", "sh", "-c", "cat /etc/added /etc/run; ls /etc/sibling 2>&1 | wc -l") == "added\nadded\n1\n"


def test_a_reader_goes_on_after_further_revisions(images: Images, readers: Readers, tmp_path: Path) -> None:
    with publishing_machine(tmp_path / "site") as publisher:
        site = Site(publisher, tmp_path / "client")
        site.add(images.layers.source, LAYERS)
        first = readers(site.newest())
        assert first.container(LAYERS, "cat", "/opt/opaque/again") == "back\n"
        site.add(images.sibling.source, SIBLING)
        site.add(images.topless.source, TOPLESS)
        site.cstore("tag", SIBLING, LAYERS)
        site.cstore("remove", TOPLESS)
        site.cstore("prune", "--grace", "0d")
        assert publisher.revision == 7
        second = readers(site.newest())
        assert second.image_id(LAYERS) == second.image_id(SIBLING)
        assert second.container(LAYERS, "cat", "/etc/sibling", "/opt/opaque/again") == "sibling\nback\n"
        second.refusal("image", "exists", TOPLESS)


def test_saves_an_image_of_which_names_were_left_out(images: Images, readers: Readers, tmp_path: Path) -> None:
    del images  # They see to it that podman is there.
    layers = (tar(directory("etc"), file("etc/.cvmfscatalog", b"theirs"), file("etc/ours", b"ours")),)
    source = write_layout(tmp_path / "images", Image(layers=layers))
    with publishing_machine(tmp_path / "site") as publisher:
        site = Site(publisher, tmp_path / "client")
        site.cstore("add", source, "--name", LAYERS, "--skip-reserved")
        podman = readers(site.newest())
        podman("save", "--format", "oci-archive", "--output", tmp_path / "saved", LAYERS)
    other = readers()
    other("load", "--input", tmp_path / "saved")
    with other.tree_of(LAYERS) as tree:
        assert ((tree / "etc/.cvmfscatalog").read_bytes(), (tree / "etc/ours").read_bytes()) == (b"theirs", b"ours")


def kept(row: Row) -> Row:
    """Return of an entry what an ingest keeps."""
    return evolve(row, mtime=row.mtime // SECOND * SECOND, twins="", xattrs={})
