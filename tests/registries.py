"""A registry for the tests of a session: import `layout` and `registry` in the conftest.py of the folder that wants them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.compat.programs import require
from tests.images import Image, file, tar, write_layout
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["IMAGE", "MANY", "layout", "make_certificate", "registry"]

LAYERS = tar(file("etc/a", b"a" * 5000)), tar(file("etc/b", b"b"))
IMAGE = Image(layers=LAYERS, compression="none")
MANY = [Image(layers=LAYERS, platform=platform) for platform in ("linux/amd64", "linux/arm64/v8", "linux/ppc64le")]


def make_certificate(place: Path) -> Path:
    """Make a certificate for 127.0.0.1 and registry.example.org that signs itself, `server.pem`, and its key beside it."""
    require("openssl")
    certificate = place / "server.pem"
    named = ["-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1,DNS:registry.example.org"]
    files = ["-keyout", str(place / "server.key"), "-out", str(certificate)]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run([*new, *named, *files], check=True, capture_output=True)
    return certificate


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout with an image `v1`, and an image index `many` of three platforms."""
    place = tmp_path_factory.mktemp("registry") / "layout"
    write_layout(place, {"v1": IMAGE, "many": MANY})
    return place


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[Registry]:
    """A registry with the images of the layout in `atlas/app`."""
    require("docker-registry")
    with Registry(tmp_path_factory.mktemp("registry") / "registry") as registry:
        registry.put("atlas/app", layout)
        yield registry
