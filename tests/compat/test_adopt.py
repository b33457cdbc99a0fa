"""Podman runs images that were adopted from stores of the present converter's, of both of its generations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cstore.publish.adopt import adopt
from cstore.publish.within import within
from tests.compat.programs import require
from tests.converter import CONVERTER, flat, layered
from tests.images import Image, directory, file, hardlink, symlink, tar, whiteout
from tests.publish.cvmfs import STORE, publishing_machine
from tests.publish.repositories import publish_directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compat.conftest import Readers
    from tests.compat.podman import Podman

APP = "registry.example.org/team/app:1"
BASE = "registry.example.org/team/base:1"
HIDES = "registry.example.org/team/hides:1"

EACH_GENERATION = pytest.mark.parametrize("make", [layered, flat])
EACH_WAY = pytest.mark.parametrize("copy", [False, True], ids=["where they lie", "copied"])
EACH_FORM = pytest.mark.parametrize("place", [Path, within], ids=["direct", "sharded"])


def images() -> dict[str, Image]:
    """Return images that run: of one layer, of several of which two are the same, and with a whiteout."""
    require("busybox")
    base = tar(
        directory("bin"),
        file("bin/busybox", Path("/usr/bin/busybox").read_bytes(), 0o755),
        *(symlink(f"bin/{name}", "busybox") for name in ("cat", "echo", "ls", "rm", "sh", "stat", "true")),
        directory("etc"),
        file("etc/base", b"base\n"),
        directory("tmp", 0o1777),
    )
    top = tar(file("etc/top", b"top\n"), hardlink("etc/same", "etc/top"), file("etc/base", b"replaced\n", 0o640))
    again = tar(file("etc/again", b"again\n"))
    return {
        BASE: Image(layers=(base,)),
        APP: Image(layers=(base, again, tar(), top, again, tar())),
        HIDES: Image(layers=(base, tar(whiteout("etc/base")))),
    }


@pytest.fixture
def podman(tmp_path: Path, readers: Readers, make: Callable[..., Path], place: Callable[[Path], Path], *, copy: bool) -> Podman:
    """A podman that reads what was adopted, in the repository of the converter's store."""
    origin = make(tmp_path / "repository", images())
    told = adopt(place(tmp_path / "repository/adopted"), origin, copy=copy)
    assert ([image.names for image in told.images], [image.names for image in told.left]) == ([(BASE,), (APP,)], [(HIDES,)])
    return readers(tmp_path / "repository/adopted")


@EACH_FORM
@EACH_WAY
@EACH_GENERATION
def test_runs_them_and_builds_on_them(podman: Podman, tmp_path: Path, *, copy: bool) -> None:
    assert podman.container(APP, "cat", "/etc/base", "/etc/top", "/etc/same", "/etc/again") == "replaced\ntop\ntop\nagain\n"
    assert podman.container(BASE, "cat", "/etc/base") == "base\n"
    assert podman.container(BASE, "stat", "-c", "%u:%g %a", "/etc/base").strip() == f"{CONVERTER[0]}:{CONVERTER[1]} 644"
    assert (".cvmfscatalog" in podman.container(BASE, "ls", "-a", "/").split()) != copy
    assert {line.split()[0] for line in podman("images", "--noheading").splitlines()} == {name.rpartition(":")[0] for name in (APP, BASE)}
    assert podman("image", "diff", BASE)
    for number, name in enumerate((APP, BASE)):
        (tmp_path / "Containerfile").write_text(f"FROM {name}\nRUN echo new > /etc/new && rm /etc/base\n")
        podman("build", "--isolation=chroot", "--pull=never", "--tag", f"localhost/built:{number}", tmp_path)
        assert podman.container(f"localhost/built:{number}", "sh", "-c", "cat /etc/new; ls /etc/base 2>&1 | cat").splitlines() == [
            "new",
            "ls: /etc/base: No such file or directory",
        ]


@pytest.mark.parametrize("place", [Path], ids=["direct"])
@EACH_WAY
@EACH_GENERATION
def test_cannot_save_them_since_their_tars_are_lost(podman: Podman, tmp_path: Path) -> None:
    assert "writing blob" in podman.refusal("save", "--output", tmp_path / "saved", BASE)


@pytest.mark.parametrize("place", [Path], ids=["direct"])
@pytest.mark.parametrize("copy", [True], ids=["copied"])
@EACH_GENERATION
def test_runs_copies_with_mapped_owners(podman: Podman) -> None:
    run = ("run", "--rm", "--pull=never", "--uidmap=0:100000:65536", APP)
    assert podman(*run, "stat", "-c", "%u", "/etc/base").strip() == str(CONVERTER[0])


@pytest.mark.parametrize("place", [Path], ids=["direct"])
@pytest.mark.parametrize("copy", [True, False], ids=["copied", "where they lie"])
@pytest.mark.parametrize("make", [flat])
def test_runs_by_digest_what_kept_its_manifest(podman: Podman) -> None:
    assert podman.container(f"{APP.rpartition(':')[0]}@{images()[APP].digest}", "cat", "/etc/top") == "top\n"


@pytest.mark.parametrize("place", [Path], ids=["direct"])
@pytest.mark.parametrize("copy", [False], ids=["where they lie"])
@pytest.mark.parametrize("make", [layered])
def test_does_not_know_the_digest_of_what_did_not(podman: Podman) -> None:
    assert podman.refusal("run", "--rm", "--pull=never", f"{APP.rpartition(':')[0]}@{images()[APP].digest}", "true")


@EACH_WAY
def test_runs_what_was_adopted_within_a_cernvm_fs_repository(tmp_path: Path, readers: Readers, *, copy: bool) -> None:
    layered(tmp_path / "repository", images())
    with publishing_machine(tmp_path / "site") as publisher:
        publish_directory(publisher, tmp_path / "repository")
        told = adopt(publisher.place(path="adopted"), publisher.repository.client / STORE, copy=copy)
        assert [image.names for image in told.images] == [(BASE,), (APP,)]
        podman = readers(publisher.newest / "adopted")
        assert podman.container(APP, "cat", "/etc/base", "/etc/top", "/etc/same", "/etc/again") == "replaced\ntop\ntop\nagain\n"
        podman("rm", "--all", "--force")
