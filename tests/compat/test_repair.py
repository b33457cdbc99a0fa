"""Podman runs images of the present converter's stores after they were repaired where they lie."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from cstore.publish.repair import repair
from tests.compat.mounts import read_only
from tests.compat.podman import Podman
from tests.compat.programs import require
from tests.compat.test_adopt import APP, BASE, images
from tests.converter import Flaw, flat, layered
from tests.images import Image, file, tar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Clients = Callable[[Path], Podman]

OTHER = "registry.example.org/team/other:1"
SINCE = dt.timedelta(days=14)


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Clients]:
    """Makes podmans that read a store in a read-only mount of the whole repository."""
    require("podman", "runc")
    with ExitStack() as stack:
        count = iter(range(100))

        def make(store: Path) -> Podman:
            client = stack.enter_context(read_only(store.parent, tmp_path / f"client-{next(count)}"))
            return stack.enter_context(Podman(client / store.name))

        yield make


def repaired(store: Path) -> Path:
    assert repair(store, SINCE, dt.date(2026, 1, 2)).delta
    assert not repair(store, SINCE, dt.date(2026, 1, 2)).delta
    return store


def of_layers() -> Image:
    """Return an image of layers that come once each."""
    layers = images()[APP].layers
    return Image(layers=(layers[0], layers[1], layers[3]))


@pytest.mark.parametrize("flaws", [(), (Flaw.TWO_RECORDS,)], ids=["as it is", "an image that stands there twice"])
@pytest.mark.parametrize("make", [layered, flat])
def test_runs_an_image(tmp_path: Path, clients: Clients, make: Callable[..., Path], flaws: tuple[Flaw, ...]) -> None:
    store = repaired(make(tmp_path / "repository", {APP: of_layers()}, *flaws))
    podman = clients(store)
    assert podman.container(APP, "cat", "/etc/top", "/etc/again") == "top\nagain\n"
    assert podman("images", "--noheading").split()[:2] == [APP.rpartition(":")[0], "1"]


def test_runs_an_image_whose_lower_named_no_links(tmp_path: Path, clients: Clients) -> None:
    image = of_layers()
    more = {APP: image, OTHER: Image(layers=(*image.layers, tar(file("etc/other", b"other\n"))))}
    store = layered(tmp_path / "repository", more, Flaw.LOWER_WITHOUT_L)
    assert "l/" not in (store / "overlay" / more[OTHER].diff_ids[-1].removeprefix("sha256:") / "lower").read_text().split(":")[0]
    podman = clients(repaired(store))
    assert podman.container(OTHER, "cat", "/etc/other", "/etc/top") == "other\ntop\n"


def test_lists_images_again_of_which_two_had_a_name(tmp_path: Path, clients: Clients) -> None:
    store = flat(tmp_path / "repository", [(APP, images()[BASE]), (APP, of_layers())])
    assert "same name" in clients(store).refusal("images")
    podman = clients(repaired(store))
    assert len(podman("images", "--noheading", "--all").splitlines()) == 2
    assert podman.container(APP, "cat", "/etc/top") == "top\n"


def test_builds_on_an_image_whose_symlinks_were_relative(tmp_path: Path, clients: Clients) -> None:
    store = layered(tmp_path / "repository", {APP: of_layers()})
    (tmp_path / "Containerfile").write_text(f"FROM {APP}\nRUN echo new > /etc/new\n")
    build = ("build", "--isolation=chroot", "--pull=never", "--tag", "localhost/built:1", tmp_path)
    assert "linkpath must be absolute" in clients(store).refusal(*build)
    podman = clients(repaired(store))
    podman(*build)
    assert podman.container("localhost/built:1", "cat", "/etc/new", "/etc/top") == "new\ntop\n"
