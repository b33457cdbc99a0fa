from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cstore.publish.owners import Owners

if TYPE_CHECKING:
    from pathlib import Path

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="root writes stores of others")


@AS_ROOT
def test_root_gives_files_the_owners_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    for place in (tmp_path / "store", tmp_path / "none" / "below"):
        assert Owners.of(place).as_in_image
        assert str(Owners.of(place)) == "as in the images"


@AS_ROOT
def test_root_keeps_a_users_store_his(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    os.chown(tmp_path / "store", 7, 8)
    owners = Owners.of(tmp_path / "store")
    assert owners == Owners((7, 8)) == Owners.there(tmp_path / "store")
    assert not owners.as_in_image
    assert str(owners) == "all files belong to user 7, devices are left out"


@AS_ROOT
def test_what_root_makes_in_a_users_directory_is_no_users_store(tmp_path: Path) -> None:
    os.chown(tmp_path, 7, 8)
    assert Owners.of(tmp_path / "store").as_in_image


@pytest.mark.skipif(os.geteuid() == 0, reason="a plain user owns what he writes")
def test_a_plain_user_owns_all(tmp_path: Path) -> None:
    assert Owners.of(tmp_path) == Owners((os.geteuid(), os.getegid())) == Owners.of(tmp_path / "none")
