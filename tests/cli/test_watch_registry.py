"""`cstore watch` beside a real registry that tells it of pushes."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.images import write_layout
from tests.sync.hubs import image
from tests.sync.schemas import violations
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 60.0
SECRET = "a-long-secret"  # noqa: S105 - of the test


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def until(process: subprocess.Popen[str], port: int, is_so: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Wait until the watch's status is so, and return it."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            status: dict[str, Any] = json.loads(get(port, "/status.json"))
        except ConnectionRefusedError:
            status = {}
        if status and is_so(status):
            assert violations("status", status) == []
            return status
        assert time.monotonic() < end, status
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


def states(status: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {entry["name"].rpartition(":")[2]: (entry["state"], entry["published_digest"]) for entry in status["images"]}


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="there is no docker-registry")
def test_what_is_pushed_appears_although_no_round_is_due(tmp_path: Path) -> None:
    """Spec Y10 to Y14: a real registry's notifications, and what is told by the page's JSON, beside the stores, and by metrics."""
    port = free_port()
    (tmp_path / "hub").mkdir()

    def push(layout: str, tag: str, number: int) -> str:
        write_layout(tmp_path / layout, {tag: image(number)})
        return registry.put("atlas/app", tmp_path / layout)[tag]

    with Registry(tmp_path / "registry", notified=(f"http://127.0.0.1:{port}/notify", f"Bearer {SECRET}")) as registry:
        first = push("first", "v1", 1)
        (tmp_path / "wishes.yaml").write_text(
            f"version: 1\nuser: hub\ncvmfs_repo: r.example.org\noutput_format: ''\ninput:\n  - '{registry.address}/atlas/app:v*'\n"
        )
        command = [sys.executable, "-m", "cstore", "watch", str(tmp_path / "wishes.yaml"), "--to", str(tmp_path / "hub"), "--every", "1h"]
        options = ["--listen", f"127.0.0.1:{port}", "--events", str(tmp_path / "events"), "--cache", str(tmp_path / "cache")]
        environment = {**os.environ, **registry.environment(tmp_path), "CSTORE_NOTIFY_SECRET": SECRET}
        with subprocess.Popen([*command, *options], env=environment, stderr=subprocess.PIPE, text=True) as process:
            try:
                until(process, port, lambda status: states(status) == {"v1": ("published", first)})
                second = push("second", "v2", 2)
                moved = push("moved", "v1", 3)
                status = until(process, port, lambda status: states(status) == {"v1": ("published", moved), "v2": ("published", second)})
                process.send_signal(signal.SIGTERM)
                said = process.communicate(timeout=PATIENCE)[1]
            finally:
                process.kill()
    assert (process.returncode, "failed" in said) == (0, False), said
    assert all(entry["published"] and entry["error"] is None for entry in status["images"])
    beside = json.loads((tmp_path / "hub/status.json").read_bytes())
    assert violations("status", beside) == []
    assert {(entry["name"], entry["published_digest"]) for entry in beside["images"]} >= {
        (f"{registry.address}/atlas/app:v1", moved),
    }
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [violation for event in events for violation in violations("events", event)] == []
    assert {name for event in events if event["event"] == "notified" for name in event["names"]} >= {
        f"{registry.address}/atlas/app:v1",
        f"{registry.address}/atlas/app:v2",
    }
    assert [event["round"] for event in events if event["event"] == "round-started" and "only" not in event] == [1]
