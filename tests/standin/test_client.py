from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from tests.images import device, directory, file, symlink, tar
from tests.standin.seen import ingest
from tools.cvmfs_standin.client import expand
from tools.cvmfs_standin.harness import standin
from tools.cvmfs_standin.mounts import mounts_below

if TYPE_CHECKING:
    from pathlib import Path

    from tools.cvmfs_standin.harness import Standin


def test_variables_in_symlinks() -> None:
    variables = {"NAME": "value"}
    assert expand("a/$(NAME)/$(OTHER:-d)/$(OTHER)", variables) == "a/value/d/"
    assert expand("$NAME ${NAME} $(", variables) == "$NAME ${NAME} $("


def test_a_client_shows_the_newest_revision_read_only(machine: Standin) -> None:
    assert ingest(machine, tar(directory("a"), file("a/x", b"1"), device("a/gone", 0, 0), symlink("l", "$(NAME:-a)/x"))) == 0
    place = machine.site.root / "mounted"
    assert machine.run("client", "-e", "NAME=b", "r", str(place)) == (0, "")
    assert (os.readlink(place / "l"), (place / "a/x").read_bytes()) == ("b/x", b"1")  # noqa: PTH115 - a text is wanted
    with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
        (place / "y").touch()
    assert ingest(machine, tar(file("y")), "-d", "a") == 0
    assert (place / "a/x").exists()
    assert machine.run("client", "r", str(place)) == (0, "")
    assert sorted(path.name for path in place.iterdir()) == ["l", "y"]
    assert os.readlink(place / "l") == "a/x"  # noqa: PTH115 - a text is wanted
    assert machine.run("unmount-all") == (0, "")
    (place / "z").touch()


def test_a_client_goes_with_its_machine(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("the stand-in mounts, which needs root")
    with standin(tmp_path / "site") as machine:
        machine.make("r")
        assert machine.run("client", "r", str(tmp_path / "client")) == (0, "")
        assert mounts_below(tmp_path / "client") == [tmp_path / "client"]
    assert mounts_below(tmp_path) == []
