"""A registry on this machine, filled by skopeo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.compat.programs import require, skopeo
from tools.registries import server

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Registry"]


class Registry(server.Registry):
    """A docker-registry that keeps its blobs in a directory."""

    def __init__(self, place: Path) -> None:
        require("docker-registry", "skopeo")
        super().__init__(place)

    def push(self, source: str, name: str) -> str:
        """Put an image into it as it is, and return its name for readers."""
        reference = f"{self.address}/{name}"
        skopeo("copy", "--dest-tls-verify=false", "--preserve-digests", source, f"docker://{reference}")
        return reference

    def forget(self, digest: str) -> None:
        """Remove a blob."""
        self.blob_path(digest).unlink(missing_ok=True)

    def sent(self, digest: str) -> bool:
        """Whether it was asked for a blob and sent it."""
        return any("GET " in line and f"/blobs/{digest} " in line and '" 200 ' in line for line in self.log.splitlines())
