from __future__ import annotations

import os
import re
import socket
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError
from cstore.layer.entry import Kind
from cstore.mend.laid import LaidTree, Look, Measures, look, measure
from cstore.publish.owners import Owners
from cstore.publish.tree import write_tree
from tests.publish.stores import listing

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.layer.entry import Entry


def tree_at(place: Path) -> LaidTree:
    return LaidTree(at="the tree", open=lambda: os.open(place, os.O_RDONLY | os.O_DIRECTORY))


def walked(place: Path) -> list[tuple[Entry, bytes]]:
    return [(entry, b"".join(content)) for entry, content in tree_at(place).walk()]


@pytest.fixture
def laid(tmp_path: Path) -> Path:
    """A tree with an entry of each kind."""
    top = tmp_path / "diff"
    (top / "b/c").mkdir(parents=True)
    (top / "b/c/file").write_bytes(b"x" * 3_000_000)
    (top / "b/c/again").hardlink_to(top / "b/c/file")
    (top / "a").symlink_to("../../etc/passwd")
    (top / "fifo").touch()
    (top / "fifo").unlink()
    os.mkfifo(top / "fifo", 0o600)
    (top / ".cvmfscatalog").touch()
    (top / "b/.cvmfscatalog").touch()
    (top / "set").write_bytes(b"s")
    (top / "set").chmod(0o4755)
    os.setxattr(top / "set", "user.note", b"kept")
    os.utime(top / "set", ns=(1, 1_700_000_000_123_456_789))
    if os.geteuid() == 0:
        os.mknod(top / "gone", 0o20600, os.makedev(0, 0))
        os.mknod(top / "null", 0o20666, os.makedev(1, 3))
        os.chown(top / "set", 7, 8)
    top.chmod(0o755)
    return top


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make devices and to give files away")


@needs_root
def test_it_is_walked_in_an_order_in_which_it_can_be_written(laid: Path, tmp_path: Path) -> None:
    assert [(entry.path, entry.kind) for entry, _ in walked(laid)] == [
        (b"", Kind.DIRECTORY),
        (b"a", Kind.SYMLINK),
        (b"b", Kind.DIRECTORY),
        (b"b/c", Kind.DIRECTORY),
        (b"b/c/again", Kind.FILE),
        (b"b/c/file", Kind.HARDLINK),
        (b"fifo", Kind.FIFO),
        (b"gone", Kind.CHARACTER),
        (b"null", Kind.CHARACTER),
        (b"set", Kind.FILE),
    ]
    (tmp_path / "copy/diff").mkdir(parents=True)
    top = os.open(tmp_path / "copy/diff", os.O_RDONLY)
    write_tree(tree_at(laid).walk(), top, Owners(None), lambda _size: None)
    os.close(top)
    (laid / ".cvmfscatalog").unlink()
    (laid / "b/.cvmfscatalog").unlink()
    copied, expected = listing(tmp_path / "copy"), listing(tmp_path)
    directories = ("diff", "diff/b")
    times = {path: value[:-1] if path in directories else value for path, value in expected.items() if path.startswith("diff")}
    assert {path: value[:-1] if path in directories else value for path, value in copied.items() if path} == times


@needs_root
def test_it_is_measured(laid: Path) -> None:
    assert measure(tree_at(laid)) == Measures(
        entries=10, size=3_000_001, special=3, whiteouts=1, xattrs=1, longest_xattr=4, uids=(0, 7), gids=(0, 8)
    )


def test_its_names_are_looked_through(laid: Path) -> None:
    found = look(tree_at(laid))
    assert found == Look(mark="", reserved=(".cvmfscatalog", "b/.cvmfscatalog"), owner=os.geteuid())


@pytest.mark.parametrize("mark", [".wh.a", ".wh..wh..opq", "b/c/.wh.x"])
def test_a_whiteout_of_the_other_kind_is_found(laid: Path, mark: str) -> None:
    (laid / mark).touch()
    assert look(tree_at(laid)).mark == mark


def test_a_tree_of_markers_only_has_but_its_top(tmp_path: Path) -> None:
    (tmp_path / ".cvmfscatalog").touch()
    assert [entry.path for entry, _ in walked(tmp_path)] == [b""]


def test_what_no_layer_holds_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        with pytest.raises(
            ContentError, match=r'^the tree: expected files, directories, links, devices and fifos, found "s", which is none of them$'
        ):
            walked(tmp_path)


@pytest.mark.parametrize(("size", "found"), [(2, "fewer"), (4, "more")])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, size: int, found: str) -> None:
    (tmp_path / "file").write_bytes(b"123")
    with pytest.raises(ContentError, match=f'^the tree: expected 3 bytes in "file", found {found}$'):  # noqa: PT012 - in the middle
        for entry, content in tree_at(tmp_path).walk():
            if entry.path:
                os.truncate(tmp_path / "file", size)
            list(content)


def test_a_directory_that_is_no_longer_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ContentError, match=r"^the tree: expected a tree that can be read, found: No such file or directory$"):  # noqa: PT012
        for entry, _ in tree_at(tmp_path).walk():
            if entry.path:
                (tmp_path / "a").rmdir()


def test_a_tree_may_be_deep_and_its_names_any_bytes(tmp_path: Path) -> None:
    depth = 300
    (tmp_path / "/".join(["d"] * depth)).mkdir(parents=True)
    (tmp_path / os.fsdecode(b"\xff\n")).write_bytes(b"1")
    paths = [entry.path for entry, _ in walked(tmp_path)]
    assert paths == [b"", *(b"/".join([b"d"] * number) for number in range(1, depth + 1)), b"\xff\n"]
    assert re.fullmatch(r"\.wh\.\\xff", look_after_marking(tmp_path))


def look_after_marking(place: Path) -> str:
    (place / os.fsdecode(b".wh.\xff")).touch()
    return look(tree_at(place)).mark


def test_no_descriptor_stays_open_when_a_walk_is_given_up(laid: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    walk = tree_at(laid).walk()
    for entry, content in walk:
        if entry.path == b"b/c/again":
            next(content)
            content.close()  # type: ignore[attr-defined]  # it is a generator
            break
    walk.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names are enough
