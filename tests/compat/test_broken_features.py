"""What else podman does with a store that has a defect: pulling, running by digest, with mapped owners, and as a plain user.

As in `test_defects`, what a rule claims is broken by its defects together, and nothing that neither it nor those broken with it claim.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cstore.verification.rules import RULES
from tests.compat.bench import Bench
from tests.compat.mounts import read_only
from tests.compat.podman import Podman
from tests.compat.programs import attempt, require, run
from tests.compat.registry import Registry
from tests.compat.users import User, made_user
from tests.compat.variants import VARIANTS
from tests.verification.defects import DEFECTS, Defect
from tests.verification.target import VICTIM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PULL = ("V12", "V18", "V19", "V20", "V21", "V34", "V37", "V38", "V39", "V40", "V41", "V42", "V43", "V44", "V71", "V78")
DIGEST = ("V40", "V41", "V42", "V43", "V44")
UIDMAP = ("V58", "V59", "V60", "V77")
ROOTLESS = ("V65", "V66", "V67", "V76", "V77")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    require("podman", "runc", "busybox")
    with Bench(tmp_path_factory.mktemp("bench")) as made:
        yield made


@pytest.fixture(scope="module")
def pulled(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image in a registry that has its manifest and config only."""
    with Registry(tmp_path_factory.mktemp("registry") / "registry") as registry:
        name = registry.push(f"{bench.layout}:victim", "team/victim:1")
        sound = bench.sound
        manifest = json.loads(sound.item("manifest").read_bytes())
        for layer in manifest["layers"]:
            registry.forget(layer["digest"])
        yield name


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with made_user() as made:
        yield made


@contextmanager
def fuse(device: Path) -> Iterator[None]:
    """Have FUSE for everybody; a container or a bare virtual machine may keep it for root."""
    if not Path("/dev/fuse").exists():
        pytest.skip("needs /dev/fuse")
    os.mknod(device, 0o666 | stat.S_IFCHR, Path("/dev/fuse").stat().st_rdev)
    device.chmod(0o666)
    run("mount", "--bind", device, "/dev/fuse")
    try:
        yield
    finally:
        run("umount", "/dev/fuse")


def check(command: str, code: str, is_broken: Callable[[Defect | None], bool]) -> None:
    """Compare what a rule claims of a command with what its defects do to it."""
    claims = command in RULES[code].broken_in("4")
    broken = False
    for defect in (defect for defect in (*DEFECTS, *VARIANTS) if defect.code == code):
        if is_broken(defect):
            broken = True
            assert any(command in RULES[other].broken_in("4") for other in (code, *defect.also)), defect
    assert broken or not claims


@pytest.mark.parametrize("code", [None, *PULL])
def test_pulling_what_is_there(bench: Bench, pulled: str, code: str | None) -> None:
    def is_broken(defect: Defect | None) -> bool:
        bench.prepare(defect)
        with read_only(bench.store.parent, bench.store.parent):
            podman = bench.podman("pull")
            done = attempt("podman", "pull", "--tls-verify=false", pulled, env=podman.env, cwd=podman.place)
            own = podman.own_layers()
        bench.forget("pull")
        return done.returncode != 0 or own != []

    if code:
        check("pull", code, is_broken)
    else:
        assert not is_broken(None)


@pytest.mark.parametrize("code", [None, *DIGEST])
def test_running_by_digest(bench: Bench, code: str | None) -> None:
    name = f"{VICTIM.rpartition(':')[0]}@{bench.sound.image['digest']}"

    def is_broken(defect: Defect | None) -> bool:
        bench.prepare(defect)
        with read_only(bench.store.parent, bench.store.parent):
            podman = bench.podman("digest")
            done = attempt("podman", "run", "--rm", "--pull=never", name, "true", env=podman.env, cwd=podman.place)
        return done.returncode != 0

    if code:
        check("digest", code, is_broken)
    else:
        assert not is_broken(None)


@pytest.mark.parametrize("code", [None, *UIDMAP])
def test_running_with_mapped_owners(bench: Bench, code: str | None) -> None:
    def is_broken(defect: Defect | None) -> bool:
        bench.prepare(defect)
        command = ("run", "--pull=never", "--uidmap=0:100000:65536", VICTIM, "stat", "-c", "%u", "/etc/base", "/etc/top")
        with read_only(bench.store.parent, bench.store.parent):
            podman = bench.podman("uidmap")
            done = attempt("podman", *command, env=podman.env, cwd=podman.place)
            own = podman.own_layers()
        bench.forget("uidmap")
        if defect is None and len(own) > 1:
            pytest.skip("needs a file system that mounts with other owners")
        return (done.returncode, done.stdout) != (0, "0\n0\n")

    if is_broken(None):
        pytest.fail("the sound store does not run with mapped owners")
    if code:
        check("uidmap", code, is_broken)


@pytest.mark.parametrize("code", [None, *ROOTLESS])
def test_reading_as_a_plain_user(bench: Bench, user: User, code: str | None, tmp_path: Path) -> None:
    require("fuse-overlayfs")

    def is_broken(defect: Defect | None) -> bool:
        bench.prepare(defect)
        with (
            read_only(bench.store, user.home / "mounted") as mounted,
            Podman(mounted, config_options=("--fuse-overlayfs",), user=user.ids) as podman,
        ):
            command = ("run", "--rm", "--pull=never", VICTIM, "sh", "-c", "cat /etc/base /etc/middle /etc/top; ls /etc/gone")
            done = attempt("podman", *command, env=podman.env, cwd=podman.place, user=user.ids)
        return done.stdout != "base\nmiddle\ntop\n"

    with fuse(tmp_path / "fuse"):
        if code:
            check("rootless", code, is_broken)
        else:
            assert not is_broken(None)
