"""The images and stores that the tests with real tools share."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from attrs import frozen

from tests.compat import images as making
from tests.compat.mounts import private_mounts, read_only
from tests.compat.podman import Podman
from tests.compat.programs import cstore, require
from tools.make_images import UmociImage, make_debian

if TYPE_CHECKING:
    from collections.abc import Iterator

_CACHE = "CSTORE_TEST_CACHE"


@frozen(kw_only=True)
class Images:
    """Images in one OCI layout."""

    layout: Path
    by_umoci: UmociImage
    """All of its layers were written by umoci."""
    layers: UmociImage
    """More layers on top of it, from tars written by hand and by GNU tar."""
    sibling: UmociImage
    """One more layer on top of all these."""
    topless: UmociImage
    """Its base layer has no entry for the top directory."""
    sparse: UmociImage
    """Its top layer is one that umoci cannot unpack."""
    index_digest: str
    """Of an image index that holds `layers`."""

    @property
    def index_source(self) -> str:
        """What cstore calls the image index."""
        return f"oci:{self.layout}:index"


class Readers(Protocol):
    """Makes readers of a store."""

    def __call__(self, store: Path | None = None) -> Podman: ...


@pytest.fixture(scope="session", autouse=True)
def mounts() -> Iterator[None]:
    if os.geteuid():
        pytest.skip("needs root, to mount and to make devices")
    with private_mounts():
        yield


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    require("umoci", "busybox", "tar")
    layout = tmp_path_factory.mktemp("images") / "oci"
    by_umoci = making.make_umoci_layers(layout, "by-umoci")
    layers = making.make_layers(by_umoci, "layers")
    return Images(
        layout=layout,
        by_umoci=by_umoci,
        layers=layers,
        sibling=making.make_sibling(layers, "sibling"),
        topless=making.make_topless(layout, "topless"),
        sparse=making.make_sparse(by_umoci, "sparse"),
        index_digest=making.make_index(layout, "index", layers),
    )


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of an image from debootstrap; CSTORE_TEST_CACHE names a directory that keeps it for later sessions."""
    require("debootstrap", "umoci")
    kept = Path(os.environ.get(_CACHE) or tmp_path_factory.mktemp("debian")).absolute() / "debian"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(f".{os.getpid()}")
        make_debian(made, "debian")
        made.rename(kept)
    return f"oci:{kept}:debian"


@pytest.fixture(scope="session", params=["direct", "sharded"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def store(form: str, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with all the images, mounted so that nobody can write to it."""
    place = tmp_path_factory.mktemp(form)
    for name, source in (
        ("localhost/by-umoci:1", images.by_umoci.source),
        ("registry.example.org/team/layers:1", images.layers.source),
        ("registry.example.org/team/index:1", images.index_source),
        ("localhost/sibling:1", images.sibling.source),
        ("localhost/topless:1", images.topless.source),
        ("localhost/sparse:1", images.sparse.source),
    ):
        cstore("add", place / "store", source, "--name", name, "--layout", form)
    with read_only(place / "store", place / "mounted") as mounted:
        yield mounted


@pytest.fixture
def readers(tmp_path: Path) -> Iterator[Readers]:
    """Makes podmans with graph roots of their own, each for a read-only mount of a store, or for none."""
    require("podman", "runc")
    with ExitStack() as stack:
        count = iter(range(100))

        def make(store: Path | None = None) -> Podman:
            mounted = stack.enter_context(read_only(store, tmp_path / f"mounted-{next(count)}")) if store else None
            return stack.enter_context(Podman(mounted))

        yield make


@pytest.fixture
def podman(readers: Readers, store: Path) -> Podman:
    """A podman that reads the store with all the images."""
    return readers(store)
