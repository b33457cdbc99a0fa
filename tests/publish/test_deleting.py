from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import PublishError
from cstore.publish.deleting import delete

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["a file", "a tree", "a symlink", "a fifo"])
def test_whatever_it_is_it_goes_and_nothing_else(tmp_path: Path, kind: str) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    place = tmp_path / "place"
    if kind == "a file":
        place.touch()
    elif kind == "a tree":
        (place / "a/b/c").mkdir(parents=True)
        (place / "a/out").symlink_to(tmp_path / "precious")
        (place / "a/b/file").touch()
    elif kind == "a symlink":
        place.symlink_to(tmp_path / "precious")
    else:
        os.mkfifo(place)
    delete(place)
    assert sorted(str(found.relative_to(tmp_path)) for found in tmp_path.rglob("*")) == ["precious", "precious/file"]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_directory_that_is_moved_away_meanwhile_leads_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    """From the moved one, `..` leads to where names are those that are still to be deleted."""
    tree = tmp_path / "store/tree"
    for name in ("a", "b", "c"):
        (tree / name / name / name / name).mkdir(parents=True)
        (tmp_path / "home" / name).mkdir(parents=True)
        (tmp_path / "home" / name / "precious").touch()
    real, steps = os.open, []

    def moving(path: Any, *rest: Any, **more: Any) -> int:  # noqa: ANN401 - whatever is opened
        if path == "..":
            steps.append(path)
            if len(steps) == depth:
                here = os.readlink(f"/proc/self/fd/{more['dir_fd']}")  # noqa: PTH115 - the same
                os.rename(here, tmp_path / "home/moved")  # noqa: PTH104 - a text
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", moving)
    with pytest.raises(PublishError, match="expected a directory to stay where it is while it is deleted, found it moved"):
        delete(tree)
    assert [(tmp_path / "home" / name / "precious").exists() for name in ("a", "b", "c")] == [True] * 3
