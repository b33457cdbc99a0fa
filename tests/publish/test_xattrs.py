from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cstore.layer.entry import Entry, Kind
from cstore.publish.xattrs import set_xattrs

if TYPE_CHECKING:
    from pathlib import Path


def entry(path: bytes, kind: Kind = Kind.FILE, target: bytes = b"", **xattrs: bytes) -> tuple[Entry, None]:
    return Entry(path, kind, 0, 0, 0, 0, target=target, xattrs=tuple((f"user.{name}", value) for name, value in xattrs.items())), None


def found(place: Path) -> dict[str, bytes]:
    return {name: os.getxattr(place, name) for name in os.listxattr(place)}


def test_each_file_gets_its_own_and_a_hard_link_those_of_its_file(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "plain"):
        (tmp_path / name).touch()
    entries = [
        entry(b"", Kind.DIRECTORY, top=b"1"),
        entry(b"a", one=b"1", two=b"2"),
        entry(b"b", Kind.HARDLINK, b"a"),
        entry(b"c", Kind.HARDLINK, b"b"),
        entry(b"plain"),
    ]
    set_xattrs(entries, tmp_path, leaves_out=False)
    assert [found(tmp_path / name) for name in ("a", "b", "c")] == [{"user.one": b"1", "user.two": b"2"}] * 3
    assert (found(tmp_path), found(tmp_path / "plain")) == ({"user.top": b"1"}, {})


def test_what_was_left_out_gets_none(tmp_path: Path) -> None:
    set_xattrs([entry(b".cvmfscatalog", one=b"1"), entry(b".cvmfs/x", one=b"1")], tmp_path, leaves_out=True)
    assert list(tmp_path.iterdir()) == []
