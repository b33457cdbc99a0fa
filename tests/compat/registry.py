"""A registry on this machine."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

from tests.compat.programs import LINES, require, skopeo

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Registry"]

_SECONDS = 30


class Registry:
    """A docker-registry that keeps its blobs in a directory."""

    def __init__(self, place: Path) -> None:
        require("docker-registry", "skopeo")
        self._place = place
        self._log = place / "log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        place.mkdir()
        (place / "config.yml").write_text(
            json.dumps(
                {
                    "version": "0.1",
                    "log": {"accesslog": {"disabled": False}},
                    "storage": {"filesystem": {"rootdirectory": str(place / "storage")}},
                    "http": {"addr": f"127.0.0.1:{self._port}"},
                }
            )
        )

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(self._place / "config.yml")], env=LINES, stdout=log, stderr=log
            )
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            time.sleep(0.05)
        self.__exit__()
        raise AssertionError(f"docker-registry does not answer:\n{self._log.read_text()}")

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.wait()

    def push(self, source: str, name: str) -> str:
        """Put an image into it as it is, and return its name for readers."""
        reference = f"127.0.0.1:{self._port}/{name}"
        skopeo("copy", "--dest-tls-verify=false", "--preserve-digests", source, f"docker://{reference}")
        return reference

    def forget(self, digest: str) -> None:
        """Remove a blob."""
        algorithm, _, value = digest.partition(":")
        (self._place / "storage/docker/registry/v2/blobs" / algorithm / value[:2] / value / "data").unlink(missing_ok=True)

    def sent(self, digest: str) -> bool:
        """Whether it was asked for a blob and sent it."""
        return any("GET " in line and f"/blobs/{digest} " in line and '" 200 ' in line for line in self._log.read_text().splitlines())
