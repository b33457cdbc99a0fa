"""Where an image is really asked for: a registry, perhaps a mirror, and the repository there."""

from __future__ import annotations

from urllib.parse import quote

from attrs import frozen

__all__ = ["HUB", "Endpoint"]

HUB = "docker.io"
_HUB_ANSWERS_AT = "registry-1.docker.io"


@frozen
class Endpoint:
    """A repository of a registry."""

    registry: str
    """Host, with a port where one is given; Docker Hub is `docker.io`."""
    repository: str
    is_insecure: bool = False
    """Whether a certificate that cannot be verified will do, and HTTP without one."""
    is_mirror: bool = False

    @property
    def host(self) -> str:
        """The host that is asked, with the port where one is given (spec Q2)."""
        return _HUB_ANSWERS_AT if self.registry == HUB else self.registry

    def path(self, kind: str, name: str) -> str:
        """Return the path of a `manifests/…`, `blobs/…` or `tags/…`."""
        return f"/v2/{quote(self.repository)}/{kind}/{quote(name, safe=':')}"

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}"
