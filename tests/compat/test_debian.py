"""An image of a whole Debian, from debootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compat.programs import cstore, run
from tests.compat.test_trees import seen
from tests.compat.trees import differences, rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.conftest import Readers

NAME = "localhost/debian:minbase"


@pytest.fixture(scope="module")
def debian_tree(debian: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree that umoci unpacks."""
    bundle = tmp_path_factory.mktemp("bundle") / "bundle"
    run("umoci", "unpack", "--image", debian.removeprefix("oci:"), bundle)
    return bundle / "rootfs"


@pytest.fixture(scope="module")
def debian_store(debian: str, form: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("debian") / "store"
    cstore("add", store, debian, "--name", NAME, "--layout", form)
    return store


def test_runs(debian_store: Path, readers: Readers) -> None:
    shown = readers(debian_store).container(NAME, "sh", "-c", "dpkg-query -W -f '${Status}\\n' | sort -u; apt-get check -qq && echo sound")
    assert shown == "install ok installed\nsound\n"


def test_container_sees_what_umoci_unpacks(debian_store: Path, debian_tree: Path, readers: Readers) -> None:
    expected = {path: row if path != "." else row.without_mtime() for path, row in rows(debian_tree).items()}
    assert len(expected) > 5000
    assert differences(expected, seen(readers(debian_store), NAME, expected)) == []


def test_saves_an_image_that_loads_again_with_the_same_id(debian_store: Path, readers: Readers, tmp_path: Path) -> None:
    podman, other = readers(debian_store), readers()
    podman("save", "--output", tmp_path / "saved", NAME)
    other("load", "--input", tmp_path / "saved")
    assert other.image_id(NAME) == podman.image_id(NAME)
