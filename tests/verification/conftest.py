from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from tests.images import Image, directory, file, symlink, tar, whiteout, write_layout
from tests.publish.stores import DAY, copy
from tests.verification.target import BYSTANDER, VICTIM, Target

if TYPE_CHECKING:
    from pathlib import Path

_IMAGES = {
    "victim": Image(
        layers=(
            tar(directory("etc"), file("etc/base", b"base\n"), file("etc/gone", b"gone\n"), directory("implied", 0o711), file("implied/x")),
            tar(file("etc/middle", b"middle\n"), symlink("etc/link", "middle")),
            tar(directory("etc"), file("etc/top", b"top\n"), whiteout("etc/gone"), file("implied/y", b"y\n")),
        )
    ),
    "bystander": Image(layers=(tar(file("only", b"only\n")),)),
}


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound store, which stays as it is."""
    place = tmp_path_factory.mktemp("sound")
    layout = write_layout(place / "images", _IMAGES)
    with publishing(place / "store", today=DAY) as batch:
        batch.add(f"{layout}:victim", name=VICTIM)
        batch.add(f"{layout}:bystander", name=BYSTANDER)
    return place / "store"


@pytest.fixture
def target(sound: Path, tmp_path: Path) -> Target:
    """A copy of it, to be broken."""
    (tmp_path / "repository").mkdir()
    copy(sound, tmp_path / "repository/store")
    return Target(tmp_path / "repository/store")
