from __future__ import annotations

import pytest

from cstore.errors import FormatError
from cstore.model.digest import Digest
from cstore.model.remote import RemoteName

SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("given", "public", "reference"),
    [
        pytest.param("docker://debian:12", "docker.io/library/debian:12", "docker.io/library/debian:12", id="one word"),
        pytest.param("docker.io/user/app", "docker.io/user/app:latest", "docker.io/user/app:latest", id="latest by default"),
        pytest.param(
            "https://registry.hub.docker.com/library/centos:7",
            "registry.hub.docker.com/library/centos:7",
            "docker.io/library/centos:7",
            id="the public name is as written, the store's as podman has it",
        ),
        pytest.param("http://localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b:c", id="port"),
        pytest.param("localhost/app:1", "localhost/app:1", "localhost/app:1", id="localhost"),
        pytest.param(
            "docker://localhosts:5000", "docker.io/library/localhosts:5000", "docker.io/library/localhosts:5000", id="a tag of digits"
        ),
        pytest.param(f"example.org/a/b@{SHA}", f"example.org/a/b:{SHA}", f"example.org/a/b@{SHA}", id="digest"),
        pytest.param(f"example.org:1/a/b@{SHA}", f"example.org:1/a/b:{SHA}", f"example.org:1/a/b@{SHA}", id="port and digest"),
        pytest.param(f"example.org/a/b:v1@{SHA}", "example.org/a/b:v1", "example.org/a/b:v1", id="tag and digest"),
    ],
)
def test_a_name_is_read(given: str, public: str, reference: str) -> None:
    name = RemoteName.parse(given)
    assert name.public == public
    assert str(name.reference) == reference
    assert RemoteName.parse(str(name)) == name
    assert str(name).startswith("docker://")


def test_the_digest_decides() -> None:
    assert RemoteName.parse(f"example.org/a:v1@{SHA}").identifier == SHA
    assert RemoteName.parse("example.org/a:v1").identifier == "v1"
    assert RemoteName.parse(f"example.org/a:v1@{SHA}").digest == Digest.parse(SHA)
    assert RemoteName.parse(f"example.org/a@{SHA}").tagged("v2") == RemoteName("example.org", "a", "v2")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            "docker://example.org/A:1",
            'wish: expected [docker://]REGISTRY/REPOSITORY[:TAG][@DIGEST], found "docker://example.org/A:1": '
            'expected an image name such as registry.example.org/path:tag, found "example.org/A:1": '
            "a path is of lower-case letters and digits, parted by single dots, dashes, underscores and slashes",
            id="capitals",
        ),
        *(
            pytest.param(
                given,
                f'wish: expected [docker://]REGISTRY/REPOSITORY[:TAG][@DIGEST], found "{given}": no repository after {host}',
                id=f"no repository: {given}",
            )
            for given, host in (
                ("docker://localhost:5000", "localhost:5000"),
                ("https://127.0.0.1:5000", "127.0.0.1:5000"),
                ("registry.example.org", "registry.example.org"),
                ("registry.example.org:v1", "registry.example.org"),
            )
        ),
        pytest.param("example.org/a@sha256:12", 'wish: expected a digest, found "sha256:12"', id="short digest"),
    ],
)
def test_what_is_no_name_is_refused(given: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        RemoteName.parse(given, "wish")
    assert str(caught.value) == message
