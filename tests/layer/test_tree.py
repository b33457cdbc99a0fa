from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.errors import ContentError
from cstore.layer.below import NOTHING
from cstore.layer.entry import Kind
from cstore.layer.tarsplit import SplitReader
from cstore.layer.tree import Tree
from tests.images import Member, device, directory, file, hardlink, opaque, symlink, tar, whiteout
from tests.layer.stacks import nodes, trees
from tests.layer.tars import Blob, blob_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.layer.blob import BlobReader
    from cstore.layer.entry import Entry


def walked(*layers: tuple[Member, ...]) -> list[Entry]:
    """Return the entries of the top layer of a chain, base first."""
    return [entry for entry, _ in trees([tar(*layer) for layer in layers])[-1].walk()]


def paths(*layers: tuple[Member, ...]) -> list[bytes]:
    return [entry.path for entry in walked(*layers)]


BASE = (directory(".", 0o711, uid=9), directory("tmp", 0o1777), directory("home", 0o700, uid=7, gid=8), file("home/.a"), file("home/b"))


def test_the_top_directory_comes_first() -> None:
    assert [(entry.path, entry.mode) for entry in walked(())] == [(b"", 0o555)]
    assert [(entry.path, entry.mode) for entry in walked((file("a"), directory(".", 0o700)))] == [(b"", 0o700), (b"a", 0o644)]
    assert walked(BASE, (file("a"),), ())[0].mode == 0o711
    assert walked(BASE, ())[0].uid == 9


def test_directories_come_before_what_is_in_them() -> None:
    assert paths((file("a/b/c"), directory("a", 0o700), file("a/d"))) == [b"", b"a", b"a/b", b"a/b/c", b"a/d"]
    assert walked((file("a/b/c"), directory("a", 0o700), file("a/d")))[1].mode == 0o700


@pytest.mark.parametrize("between", [0, 1, 3])
def test_implied_directories_are_as_in_the_chain_below(between: int) -> None:
    others = ((file("tmp/x"), file("other")),) * between
    found = {entry.path: entry for entry in walked(BASE, *others, (file("tmp/n"), whiteout("home/.a"), file("new/a")))}
    assert (found[b"tmp"].mode, found[b"tmp"].uid) == (0o1777, 0)
    assert (found[b"home"].mode, found[b"home"].uid, found[b"home"].gid) == (0o700, 7, 8)
    assert (found[b"new"].mode, found[b"new"].uid) == (0o755, 0)


@pytest.mark.parametrize(
    "hiding", [(whiteout("tmp"),), (opaque(""),), (file("tmp"),), (symlink("tmp", "home"),), (whiteout("tmp"), file("tmp/n"))]
)
def test_what_a_layer_in_between_hides_is_not_taken_over(hiding: tuple[Member, ...]) -> None:
    assert {entry.path: entry.mode for entry in walked(BASE, hiding, (file("tmp/n"),))}[b"tmp"] == 0o755


def test_whiteouts_come_last_in_order() -> None:
    found = walked(BASE, (opaque("home"), whiteout("tmp"), file("z"), whiteout("a")))
    assert [entry.path for entry in found] == [b"", b"z", b"home", b"a", b"home/.a", b"home/b", b"tmp"]
    assert [entry.path for entry in found if entry.is_whiteout] == [b"a", b"home/.a", b"home/b", b"tmp"]


def test_opaque_directories_hide_what_is_there_and_not_in_the_layer() -> None:
    assert paths(BASE, (directory("home"), opaque("home"), file("home/b"))) == [b"", b"home", b"home/b", b"home/.a"]
    assert paths(BASE, (opaque(""), file("home/c"))) == [b"", b"home", b"home/c", b"home/.a", b"home/b", b"tmp"]
    assert paths(BASE, (directory("home", xattrs={"trusted.overlay.opaque": b"y"}),)) == [b"", b"home", b"home/.a", b"home/b"]
    assert paths(BASE, (whiteout("home"), directory("home"))) == [b"", b"home", b"home/.a", b"home/b"]


def test_an_opaque_top_directory_over_one_with_an_entry() -> None:
    assert paths(BASE, (opaque(""),)) == [b"", b"home", b"tmp"]


def test_a_directory_that_only_a_mark_implies_is_made() -> None:
    assert paths((opaque("a/b"),)) == [b"", b"a", b"a/b"]


def test_a_directory_that_only_a_mark_implies_is_hidden_like_any_other() -> None:
    assert paths((whiteout("a/b"),), (opaque(""),)) == [b"", b"a"]


def test_nothing_is_left_of_attributes_that_tell_overlay_something() -> None:
    xattrs = {"trusted.overlay.opaque": b"y", "trusted.overlay.redirect": b"/etc", "user.a": b"1", "security.selinux": b"label"}
    found = walked((directory("a", xattrs=xattrs), file("b/c"), directory("b", xattrs=xattrs), directory(".", xattrs=xattrs)))
    assert [entry.xattrs for entry in found if entry.kind is Kind.DIRECTORY] == [(("user.a", b"1"),)] * 3


def test_reserved_names_and_marks_are_no_part_of_the_tree() -> None:
    assert paths((file(".wh..wh.aufs", b"x"), file(".wh..wh.plnk/1", b"y"), whiteout("a"), file("b"))) == [b"", b"b", b"a"]


def test_a_device_without_numbers_is_a_whiteout_of_its_own() -> None:
    assert paths(BASE, (device("home/b", 0, 0), opaque("home"))) == [b"", b"home", b"home/b", b"home/.a"]


def test_content_may_be_left_unread() -> None:
    made = trees([tar(file("a", b"1" * 3000), hardlink("b", "a"), file("c", b"3"))])[0]
    assert [entry.path for entry, _ in made.walk()] == [b"", b"a", b"b", b"c"]
    assert [b"".join(content) for _, content in made.walk()] == [b"", b"1" * 3000, b"", b"3"]


def changing(first: bytes, second: Blob) -> Tree:
    """Return the tree of a blob that holds something else when it is read for the second time."""
    made = blob_of(first)
    found = made.scan()
    found.tar_split.close()

    def reopen() -> BlobReader:
        return evolve(made, data=second.data).reader()

    return Tree(at="layer", shape=found.shape, below=NOTHING, open=reopen)


FIRST = tar(file("a/b", b"1"), file("c", b"2"))


@pytest.mark.parametrize(
    "second",
    [
        tar(file("a/b", b"1"), file("c", b"3")),
        tar(file("a/b", b"1")),
        tar(file("x/y", b"1"), file("c", b"2")),
        tar(symlink("a", "/etc"), file("a/b", b"1"), file("c", b"2")),
        tar(file("a/b", b"1"), symlink("a", "/etc"), file("a/c", b"2")),
        tar(file("a/b", b"1"), file("c", b"2"), file("d", b"3")),
        tar(file("../a", b"1")),
        FIRST[:700],
        b"",
        b"x" * 2048,
    ],
)
def test_a_blob_that_changes_between_the_readings_is_noticed(second: bytes) -> None:
    with pytest.raises(ContentError):
        nodes(changing(FIRST, blob_of(second)).walk())


@pytest.mark.parametrize(
    "second",
    [
        tar(symlink("x", "/etc"), hardlink("c", "x/passwd"), file("a/b", b"1")),
        tar(hardlink("c", "a/../../b"), file("a/b", b"1")),
        tar(hardlink("c", "nothing"), file("a/b", b"1")),
    ],
)
def test_a_blob_that_changes_gives_no_hard_link_out_of_the_tree(second: bytes) -> None:
    def outside() -> Iterator[bytes]:
        directories: set[bytes] = set()
        for entry, _ in changing(FIRST, blob_of(second)).walk():
            if entry.kind is Kind.HARDLINK and entry.target.rpartition(b"/")[0] not in directories:
                yield entry.target
            if entry.kind is Kind.DIRECTORY:
                directories.add(entry.path)

    with pytest.raises(ContentError):
        pytest.fail(f"linked {next(outside())!r}")


def test_the_blob_is_closed_however_the_walk_ends() -> None:
    made = blob_of(FIRST)
    raw = [io.BytesIO(made.data) for _ in range(2)]
    opened = iter(raw)
    tree = evolve(trees([FIRST])[0], open=lambda: type(made.reader())(next(opened), made.descriptor, made.diff_id))
    list(tree.walk())
    walk = tree.walk()
    next(walk)
    del walk
    assert [file.closed for file in raw] == [True, True]


def test_content_that_is_not_asked_for_is_not_read() -> None:
    made = blob_of(tar(file("a", b"1" * 3000), file("b", b"2")))
    tree = trees([made.data])[0]
    split = made.scan().tar_split

    class Split(SplitReader):
        def finish(self) -> int:
            self.drain()
            return 0

        def close(self) -> None:
            split.close()

    assert [entry.path for entry, _ in evolve(tree, open=lambda: Split(split, "split")).walk()] == [b"", b"a", b"b"]
