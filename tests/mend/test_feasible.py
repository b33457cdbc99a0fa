"""Steps that the writer would refuse are known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.delta import PutDirectory, PutSymlink, Remove, ReplaceIndex, Step, file_of
from cstore.mend.feasible import Feasible

if TYPE_CHECKING:
    from pathlib import Path


def index(path: str, lock_path: str) -> ReplaceIndex:
    return ReplaceIndex(path=path, lock_path=lock_path, data=b"", lock=b"")


@pytest.mark.parametrize(
    ("step", "is_allowed"),
    [
        (file_of("new", b""), True),
        (file_of("room/new", b""), True),
        (file_of("none/new", b""), True),
        (file_of("room/file", b""), True),
        (file_of("room/link", b""), True),
        (file_of("room/inner", b""), False),
        (file_of("room/file/new", b""), False),
        (file_of("room/link/new", b""), False),
        (file_of("led/new", b""), False),
        (file_of("led/inner/new", b""), False),
        (file_of("room/../led/new", b""), False),
        (PutSymlink(path="room/inner", target="x"), False),
        (PutSymlink(path="room/file", target="x"), True),
        (PutDirectory(path="room/new"), True),
        (PutDirectory(path="room/inner"), False),
        (PutDirectory(path="room/file"), False),
        (PutDirectory(path="led/new"), False),
        (Remove(path="room/inner"), True),
        (Remove(path="led/inner"), False),
        (index("room/file", "room/new"), True),
        (index("room/link", "room/new"), False),
        (index("room/file", "room/link"), False),
        (index("room/file", "room/inner"), False),
        (index("led/file", "led/new"), False),
    ],
)
def test_steps(tmp_path: Path, step: Step, *, is_allowed: bool) -> None:
    (tmp_path / "room/inner").mkdir(parents=True)
    (tmp_path / "room/file").touch()
    (tmp_path / "room/link").symlink_to("inner")
    (tmp_path / "led").symlink_to("room")
    assert Feasible(tmp_path).allows(step) == is_allowed
