from __future__ import annotations

from cstore.registry.endpoint import Endpoint


def test_docker_hub_is_asked_elsewhere() -> None:
    hub = Endpoint("docker.io", "library/debian")
    assert (hub.host, hub.path("manifests", "12"), str(hub)) == (
        "registry-1.docker.io",
        "/v2/library/debian/manifests/12",
        "docker.io/library/debian",
    )


def test_other_registries_are_asked_where_they_are() -> None:
    other = Endpoint("registry.example.org:5000", "a/b")
    assert (other.host, other.path("blobs", "sha256:00")) == ("registry.example.org:5000", "/v2/a/b/blobs/sha256:00")


def test_a_path_leads_nowhere_else() -> None:
    assert Endpoint("x", "a b?c").path("manifests", "../x") == "/v2/a%20b%3Fc/manifests/..%2Fx"
