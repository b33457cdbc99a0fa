"""A podman that goes on while the store changes: a service, running and stopped containers, and images built on those of the store."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest

from tests.compat.podman import service
from tests.compat.programs import cstore, require
from tests.compat.victims import image_of, programs
from tests.images import file, tar, whiteout, write_layout

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.conftest import Readers
    from tests.compat.podman import Podman

OLD, NEW, TAGGED = (f"registry.example.org/goes-on/{name}" for name in ("app:1", "app:2", "app:tagged"))
LOOK = "cat /etc/base /etc/own; test -e /etc/gone || echo hidden"
SEEN = "base\nold\nhidden\n"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two images that share their base."""
    require("podman", "runc", "busybox")
    base = tar(*programs(), file("etc/base", b"base\n"), file("etc/gone"), file("etc/large", b"l" * 5_000_000))
    tops = {name: tar(file("etc/own", f"{name}\n".encode()), whiteout("etc/gone")) for name in ("old", "new")}
    layout = write_layout(tmp_path_factory.mktemp("sources") / "images", {name: image_of(base, top) for name, top in tops.items()})
    return {name: f"{layout}:{name}" for name in tops}


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, sources: dict[str, str]) -> Path:
    """A store with one of them, in the form that the test wants."""
    cstore("add", tmp_path / "store", sources["old"], "--name", OLD, "--layout", str(request.param))
    return tmp_path / "store"


@pytest.fixture
def podman(readers: Readers, store: Path) -> Podman:
    return readers(store)


class Socket(HTTPConnection):
    """A connection to a service of podman's."""

    def __init__(self, address: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = address.removeprefix("unix://")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)

    def ask(self, path: str) -> tuple[int, Any]:
        """Get something from the service; return the status and what it says."""
        self.request("GET", f"/v4.0.0/libpod/{path}")
        answer = self.getresponse()
        said = answer.read()
        self.close()
        return answer.status, json.loads(said) if said else None

    @property
    def names(self) -> set[str]:
        """The names of all images that it lists."""
        _, images = self.ask("images/json")
        return {name for image in images for name in image["Names"]}


@pytest.mark.parametrize("store", ["direct"], indirect=True)
def test_a_service_sees_each_change_without_a_restart(store: Path, podman: Podman, sources: dict[str, str]) -> None:
    with service(podman) as address:
        api = Socket(address)
        assert api.names == {OLD}
        cstore("add", store, sources["new"], "--name", NEW)
        assert api.names == {OLD, NEW}
        cstore("tag", store, NEW, TAGGED)
        assert api.names == {OLD, NEW, TAGGED}
        assert podman("--remote", "--url", address, "run", "--rm", "--pull=never", TAGGED, "cat", "/etc/own") == "new\n"
        cstore("tag", store, NEW, OLD)
        assert api.ask(f"images/{OLD}/json")[1]["Id"] == api.ask(f"images/{NEW}/json")[1]["Id"]
        cstore("remove", store, OLD, TAGGED)
        assert api.names == {NEW}
        assert [api.ask(f"images/{name}/exists")[0] for name in (OLD, NEW)] == [404, 204]
        cstore("prune", store, "--grace", "0d")
        assert podman("--remote", "--url", address, "run", "--rm", "--pull=never", NEW, "cat", "/etc/own") == "new\n"
        cstore("add", store, sources["old"], "--name", OLD)
        assert podman("--remote", "--url", address, "run", "--rm", "--pull=never", OLD, "cat", "/etc/own") == "old\n"
        assert api.names == {OLD, NEW}


def change(store: Path, sources: dict[str, str]) -> None:
    """Add an image, take away the one that is in use, and prune within the grace period."""
    cstore("add", store, sources["new"], "--name", NEW)
    cstore("remove", store, OLD)
    assert json.loads(cstore("prune", store, "--grace", "1d", "--json"))["changed"] is False
    assert cstore("list", store, "--json").count(OLD) == 0


@pytest.mark.parametrize("store", ["sharded"], indirect=True)
def test_a_container_runs_on_when_its_image_goes(store: Path, podman: Podman, sources: dict[str, str]) -> None:
    podman("run", "--detach", "--pull=never", "--name", "running", OLD, "sleep", "600")
    process = podman("inspect", "--format", "{{.State.Pid}}", "running")
    change(store, sources)
    assert podman("exec", "running", "sh", "-c", LOOK) == SEEN
    assert podman("exec", "running", "wc", "-c", "/etc/large") == "5000000 /etc/large\n"
    podman("exec", "running", "sh", "-c", "echo more >> /etc/base && cat /etc/base > /written")
    assert podman("exec", "running", "cat", "/written") == "base\nmore\n"
    assert podman("ps", "--format", "{{.Names}} {{.Pid}}") == f"running {process}"
    assert "image not known" in podman.refusal("container", "inspect", "running"), (
        "which looks the image up; so it is after podman rmi --force"
    )
    podman("restart", "--time", "0", "running")
    assert podman("exec", "running", "cat", "/etc/own", "/written") == "old\nbase\nmore\n"


@pytest.mark.parametrize("store", ["direct"], indirect=True)
def test_a_stopped_container_starts_until_its_layers_are_pruned(store: Path, podman: Podman, sources: dict[str, str]) -> None:
    podman("run", "--pull=never", "--name", "stopped", OLD, "sh", "-c", LOOK)
    change(store, sources)
    assert podman("start", "--attach", "stopped") == SEEN
    cstore("prune", store, "--grace", "0d")
    podman.refusal("start", "--attach", "stopped")
    assert podman.container(NEW, "cat", "/etc/own") == "new\n"
    cstore("add", store, sources["old"], "--name", OLD)
    assert podman("start", "--attach", "stopped") == SEEN


@pytest.mark.parametrize("store", ["sharded"], indirect=True)
def test_an_image_built_on_one_that_goes_works_until_its_layers_are_pruned(
    store: Path, podman: Podman, sources: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "Containerfile").write_text(f"FROM {OLD}\nCOPY Containerfile /etc/built\n")
    podman("build", "--isolation=chroot", "--pull=never", "--tag", "localhost/built:1", tmp_path)
    podman("create", "--name", "made", "--pull=never", "localhost/built:1", "sh", "-c", LOOK)
    before = podman.own_layers()
    change(store, sources)
    assert podman("start", "--attach", "made") == SEEN
    assert podman.container("localhost/built:1", "sh", "-c", LOOK) == SEEN
    (tmp_path / "Containerfile").write_text("FROM localhost/built:1\nCOPY Containerfile /etc/again\n")
    podman("build", "--isolation=chroot", "--pull=never", "--tag", "localhost/again:1", tmp_path)
    assert podman.container("localhost/again:1", "cat", "/etc/own") == "old\n"
    assert set(before) < set(podman.own_layers())
    assert "localhost/built" in podman("images")
    podman("save", "--output", tmp_path / "saved", "localhost/built:1")
    cstore("prune", store, "--grace", "0d")
    podman.refusal("run", "--rm", "--pull=never", "localhost/built:1", "true")
    assert podman.container(NEW, "cat", "/etc/own") == "new\n"
    cstore("add", store, sources["old"], "--name", OLD)
    assert podman.container("localhost/built:1", "sh", "-c", LOOK) == SEEN
