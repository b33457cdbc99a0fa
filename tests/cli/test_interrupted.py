"""The program interrupted while it waits for registries: it ends at once, with the exit code of all verbs, and publishes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.compat.programs import require
from tests.images import Image, file, tar, write_layout
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import Registry, environment_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PATIENCE = 30
"""Seconds after which the program hangs; what it waits for in these tests would come later."""
LAYERS = 7
SLOW = Fault("GET .*/blobs/", times=None, pause=0.05)
"""Bodies of which each byte takes its time; the config's too, so that requests for layers are told from it by their number."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with an image of more layers than there are connections."""
    require("docker-registry")
    place = tmp_path_factory.mktemp("interrupted")
    layers = tuple(tar(file(f"data/{number}", b"%d" % number * 4000)) for number in range(LAYERS))
    write_layout(place / "layout", {"v1": Image(layers=layers, compression="none")})
    with Registry(place / "registry") as registry:
        registry.put("atlas/app", place / "layout")
        yield registry


def ended(place: Path, proxy: Proxy, verb: Sequence[str], seen: str, *signals: int, apart: float = 0.0) -> tuple[int, str]:
    """Run a verb, interrupt it when a request has come, and return its exit code and what it said.

    Args:
        place: a directory of the test.
        proxy: what it asks.
        verb: with its arguments; `{0}` is the place, `{1}` what it asks.
        seen: what matches the request.
        signals: one after the other.
        apart: seconds between them.
    """
    (place / "hub").mkdir(exist_ok=True)
    entry = f"{proxy.address}/atlas/app:v{'*' if 'tags' in seen else '1'}"
    (place / "wishes.yaml").write_text(
        f"version: 1\nuser: hub\ncvmfs_repo: r.example.org\noutput_format: ''\ninput:\n  - '{entry}'\n  - '{proxy.address}/atlas/b:v1'\n"
    )
    command = [word.format(place, proxy.address) for word in verb]
    environment = {**os.environ, **environment_for(place, proxy.address)}
    with subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "cstore", *command], env=environment, stdout=-1, stderr=-1, text=True
    ) as process:
        try:
            end = time.monotonic() + PATIENCE
            while not proxy.asked(seen):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end, (proxy.seen, seen)
                time.sleep(0.005)
            for number in signals:
                process.send_signal(number)
                time.sleep(apart)
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, said


ADD = ("add", "{0}/store", "docker://{1}/atlas/app:v1", "--platform", "linux/amd64")
SYNC = ("sync", "{}/wishes.yaml", "--to", "{}/hub")
WATCH = ("watch", "{}/wishes.yaml", "--to", "{}/hub")
EXPAND = ("expand", "{}/wishes.yaml")
HANGS = {
    "a head that does not come": (Fault("HEAD .*app", times=None, drip=60), "HEAD .*app"),
    "a manifest that does not come": (Fault("GET .*app/manifests", times=None, pause=60), "GET .*app/manifests"),
    "a pause that the registry asked for": (Fault("HEAD .*app", times=None, status=503, headers={"Retry-After": "50"}), "HEAD .*app"),
    "blobs": (SLOW, "GET .*/blobs/"),
    "tags": (Fault("tags/list", times=None, drip=60), "tags/list"),
}


@pytest.mark.parametrize(
    ("verb", "hang"),
    [
        *((SYNC, hang) for hang in ("a manifest that does not come", "a pause that the registry asked for", "blobs")),
        *((WATCH, hang) for hang in ("a head that does not come", "tags")),
        (ADD, "a manifest that does not come"),
        (EXPAND, "tags"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_one_signal_ends_whatever_is_waited_for(registry: Registry, tmp_path: Path, verb: tuple[str, ...], hang: str) -> None:
    """A watch that is asked to end, has nothing to undo, and ends well."""
    fault, seen = HANGS[hang]
    with Proxy(registry.address, fault) as proxy:
        number = signal.SIGTERM if verb is WATCH else signal.SIGINT
        code, said = ended(tmp_path, proxy, verb, seen, number)
    last = "round 1: ended before it published anything, as was asked" if verb is WATCH else "cstore: interrupted"
    assert (code, said.splitlines()[-1]) == (0 if verb is WATCH else 130, last), said
    assert "Traceback" not in said
    assert [*(tmp_path / "hub").iterdir()] == []
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("verb", "apart"),
    [(ADD, 0.002), (SYNC, 0.02), (WATCH, 0.002)],
    ids=lambda value: value if isinstance(value, float) else value[0],
)
def test_two_signals_end_it_too(registry: Registry, tmp_path: Path, verb: tuple[str, ...], apart: float) -> None:
    """Others wait for a connection meanwhile, since there are fewer than layers."""
    number = signal.SIGTERM if verb is WATCH else signal.SIGINT
    with Proxy(registry.address, SLOW) as proxy:
        code, said = ended(tmp_path, proxy, verb, "GET .*/blobs/", number, number, apart=apart)
    assert "Traceback" not in said
    # A watch that has ended already when the second one comes is ended by that while it leaves.
    assert code == 130 or (verb is WATCH and code in (0, -signal.SIGTERM)), said
    assert [*(tmp_path / "hub").iterdir()] == []
    assert not (tmp_path / "store").exists()
