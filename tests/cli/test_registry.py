from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cstore.cli.registry import usual_cache
from tests.cli.program import call
from tests.registries import layout, registry
from tools.registries.forward import ForwardProxy

if TYPE_CHECKING:
    from tools.registries.server import Registry

__all__ = ["layout", "registry"]


@pytest.fixture
def _environment(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in registry.environment(tmp_path).items():
        monkeypatch.setenv(name, value)


def kept(place: Path) -> int:
    return len([path for path in (place / "blobs").rglob("*") if path.is_file()])


@pytest.mark.usefixtures("_environment")
def test_an_image_of_a_registry(registry: Registry, tmp_path: Path) -> None:
    source = f"docker://{registry.address}/atlas/app:v1"
    done = call("add", tmp_path / "store", source, "--platform", "linux/amd64")
    assert (done.code, done.out.splitlines()[0]) == (0, f"added {source.removeprefix('docker://')}")
    assert [line.partition(" ")[0] for line in done.err.splitlines()].count("downloading") == 3
    assert kept(tmp_path / "cache/cstore") == 4
    done = call("add", tmp_path / "store", source, "--platform", "linux/amd64")
    assert (done.code, done.out, done.err) == (0, f"{source.removeprefix('docker://')}: already there\n", "")


@pytest.mark.usefixtures("_environment")
def test_a_cache_of_ones_own(registry: Registry, tmp_path: Path) -> None:
    source = f"docker://{registry.address}/atlas/app:v1"
    arguments = (tmp_path / "store", source, "--name", "example.org/a:1", "--platform", "linux/amd64", "--cache", tmp_path / "own")
    assert call("add", *arguments, "--cache-size", "0").code == 0
    # Of two that come at the same time, each makes room before the other is there.
    assert (kept(tmp_path / "own") in (1, 2), (tmp_path / "cache").exists()) == (True, False)


@pytest.mark.usefixtures("_environment")
def test_an_image_that_is_not_there(registry: Registry, tmp_path: Path) -> None:
    done = call("add", tmp_path / "store", f"docker://{registry.address}/atlas/app:none")
    assert (done.code, (tmp_path / "store").exists()) == (3, False)
    assert done.sentence == (
        f"cstore: docker://{registry.address}/atlas/app:none: expected a manifest from {registry.address}, found status 404 (Not Found)"
    )


@pytest.mark.usefixtures("_environment")
def test_a_proxy_that_the_environment_names(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = tmp_path / "proxied.conf"
    conf.write_text('[[registry]]\nlocation = "registry.example.org"\ninsecure = true\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
    with ForwardProxy({"registry.example.org": registry.address}, login="user:secret") as proxy:
        for scheme in ("http", "https"):
            monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://user:secret@{proxy.address}")
        done = call("add", tmp_path / "store", "docker://registry.example.org/atlas/app:v1", "--platform", "linux/amd64")
    assert (done.code, done.out.splitlines()[0]) == (0, "added registry.example.org/atlas/app:v1")
    assert {seen.method for seen in proxy.seen} == {"CONNECT", "HEAD", "GET"}
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:secret@proxy.example.org:1080")
    done = call("add", tmp_path / "store", "docker://registry.example.org/atlas/app:v1")
    said = "HTTPS_PROXY: expected an address of a proxy such as http://proxy.example.org:3128, found another one"
    assert (done.code, done.sentence) == (3, f"cstore: {said}")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    for value, place in (("/x", "/x/cstore"), ("", "/home/someone/.cache/cstore"), ("relative", "/home/someone/.cache/cstore")):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert usual_cache() == Path(place)


@pytest.mark.parametrize("arguments", [["--version"], ["add", "--help"], ["tag", "/none", "a", "b"], ["add", "/none/store", "oci:/none"]])
def test_what_asks_no_registry_imports_nothing_for_it(arguments: list[str]) -> None:
    called = f"try:\n    main({arguments!r})\nfinally:\n    print({{'urllib3', 'ssl'}} & {{*sys.modules}})"
    code = f"import sys\nfrom cstore.cli import main\n{called}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "set()"
