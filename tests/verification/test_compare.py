"""Trees of other writers, which set on a file what a hard link to it says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from cstore.verification.store import verify
from tests.images import Image, file, hardlink, tar, write_layout
from tests.verification.target import VICTIM, Target

if TYPE_CHECKING:
    from pathlib import Path

LINKED = tar(file("a", b"a", 0o644, uid=1, gid=2), hardlink("b", "a", mode=0o755, uid=3, gid=4), file("c", b"c", 0o600))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The tree of a layer with a file of two names, of which the second gives it another mode and other owners."""
    layout = write_layout(tmp_path / "image", Image(layers=(LINKED,)))
    with publishing(tmp_path / "store") as batch:
        batch.add(layout, name=VICTIM)
    target = Target(tmp_path / "store")
    return target.diff(target.image["layer"])


def problems(tree: Path) -> list[str]:
    return [f"{problem.code} {problem.said}" for problem in verify(tree.parents[2], deep=True)]


@pytest.mark.parametrize(("mode", "owner"), [(0o644, (1, 2)), (0o755, (3, 4)), (0o755, (1, 2))])
def test_a_file_may_have_what_a_hard_link_to_it_says(tree: Path, mode: int, owner: tuple[int, int]) -> None:
    os.chown(tree / "a", *owner)
    (tree / "a").chmod(mode)
    assert problems(tree) == []


def test_a_file_may_have_nothing_that_no_name_of_it_says(tree: Path) -> None:
    os.chown(tree / "a", 3, 2)
    (tree / "a").chmod(0o700)
    assert problems(tree) == ["V63 a: expected mode 644, found 700; a: expected the owner 1:2, found 3:2"]


def test_what_a_hard_link_says_is_not_said_of_other_files(tree: Path) -> None:
    (tree / "c").chmod(0o755)
    assert problems(tree) == ["V63 c: expected mode 600, found 755"]
