from __future__ import annotations

import re
import time

import pytest

from cstore.errors import ContentError
from cstore.layer.shape import Shape, ShapeBuilder
from tests.images import Member, device, directory, fifo, file, hardlink, opaque, symlink, tar, whiteout
from tests.layer.tars import members


def shape(*made: Member) -> Shape:
    builder = ShapeBuilder("layer")
    for entry in members(tar(*made)):
        builder.add(entry)
    return builder.finish()


def test_an_empty_layer() -> None:
    assert shape() == Shape(has_top=False, early={}, implied=frozenset(), inherited=frozenset({b""}), whiteouts=frozenset(), opaque={})


def test_directories_that_are_only_implied() -> None:
    found = shape(file("a/b/c"), whiteout("d/e"), opaque("f/g"))
    assert found.implied == found.inherited - {b""} == {b"a", b"a/b", b"d", b"f", b"f/g"}
    assert found.whiteouts == {b"d/e"}


def test_directories_whose_entry_comes_late() -> None:
    found = shape(file("a/b/c"), directory("a", 0o700), directory("."))
    assert {path: entry.mode for path, entry in found.early.items()} == {b"": 0o755, b"a": 0o700}
    assert found.implied == found.inherited == {b"a/b"}
    assert found.has_top


def test_a_whiteout_of_what_the_layer_has_makes_a_directory_opaque_and_nothing_else() -> None:
    found = shape(whiteout("d"), directory("d"), file("d/a"), whiteout("f"), file("f"), whiteout("i"), file("i/x"))
    assert found.whiteouts == frozenset()
    assert found.opaque == {b"d": {b"a"}, b"i": {b"x"}}
    assert found.implied == {b"i"}
    assert found.inherited == {b""}


def test_opaque_directories_with_all_directories_in_them() -> None:
    found = shape(opaque("a"), file("a/b/c"), directory("a/b"), file("a/d"), whiteout("a/e"), directory("z"))
    assert found.opaque == {b"a": {b"b", b"d", b"e"}, b"a/b": {b"c"}}
    assert found.inherited == {b"", b"a"}


def test_an_opaque_top_directory() -> None:
    found = shape(opaque(""), file("a/b"), directory("c", 0o700))
    assert found.opaque == {b"": {b"a", b"c"}, b"a": {b"b"}, b"c": frozenset()}
    assert found.inherited == {b""}


def test_directories_that_their_attributes_make_opaque() -> None:
    found = shape(directory("a", xattrs={"trusted.overlay.opaque": b"y"}), file("f", xattrs={"trusted.overlay.opaque": b"y"}))
    assert found.opaque == {b"a": frozenset()}


def test_reserved_names_are_left_out() -> None:
    assert shape(file(".wh..wh.aufs"), directory(".wh..wh.plnk"), hardlink(".wh..wh.plnk/1", "nothing")) == shape()


@pytest.mark.parametrize("kind", [file("a"), symlink("a", "b"), fifo("a"), device("a", 1, 1), device("a", 0, 0), directory("a")])
def test_all_kinds_become_entries(kind: Member) -> None:
    builder = ShapeBuilder("layer")
    assert [builder.add(entry) for entry in members(tar(kind))] == [True]


TWICE = "expected a name once, found it twice"
IN_IT = "expected a directory, since other members are in it, found a "


@pytest.mark.parametrize(
    ("made", "error"),
    [
        ((file("a"), file("a")), f'member "a": {TWICE}'),
        ((file("a"), file("./a")), f'member "./a": {TWICE}'),
        ((directory("a"), directory("a//")), f'member "a//": {TWICE}'),
        ((file("a/b"), directory("a"), directory("a")), f'member "a/": {TWICE}'),
        ((file("a"), directory("a")), f'member "a/": {TWICE}'),
        ((directory("a"), symlink("a", "/")), f'member "a": {TWICE}'),
        ((directory("."), directory("./")), 'member "./": expected the top directory once, found it twice or as something else'),
        ((file("."),), 'member ".": expected the top directory once, found it twice or as something else'),
        ((symlink("./", "/"),), 'member "./": expected the top directory once, found it twice or as something else'),
        ((file("a"), file("a/b")), f'member "a": {IN_IT}file'),
        ((symlink("a", "/etc"), file("a/passwd")), f'member "a": {IN_IT}symlink'),
        ((symlink("a", "."), directory("a/b/c")), f'member "a": {IN_IT}symlink'),
        ((device("a", 0, 0), file("a/b")), f'member "a": {IN_IT}character device'),
        ((file("b"), hardlink("a", "b"), file("a/c")), f'member "a": {IN_IT}hard link'),
        ((file("a/b"), file("a")), f'member "a": {IN_IT}file'),
        ((file("a/b"), symlink("a", "/etc")), f'member "a": {IN_IT}symlink'),
        ((hardlink("a", "b"),), 'member "a": expected a hard link to an earlier file of this layer, found one to "b"'),
        ((hardlink("a", "b"), file("b")), 'member "a": expected a hard link to an earlier file of this layer, found one to "b"'),
        ((hardlink("a", "a"),), 'member "a": expected a hard link to an earlier file of this layer, found one to "a"'),
        ((hardlink("a", "."),), 'member "a": expected a hard link to an earlier file of this layer, found one to ""'),
        ((directory("d"), hardlink("a", "d")), 'member "a": expected a hard link to an earlier file of this layer, found one to "d"'),
        ((file("d/e"), hardlink("a", "d")), 'member "a": expected a hard link to an earlier file of this layer, found one to "d"'),
        (
            (whiteout("d"), hardlink("a", ".wh.d")),
            'member "a": expected a hard link to an earlier file of this layer, found one to ".wh.d"',
        ),
        (
            (symlink("d", "/etc"), hardlink("a", "d/passwd")),
            'member "a": expected a hard link to an earlier file of this layer, found one to "d/passwd"',
        ),
        ((file(".wh."),), 'expected the whiteout of a name, found ".wh."'),
        ((file(".wh..."),), 'expected the whiteout of a name, found ".wh..."'),
        ((file(".wh.a/b"),), 'expected nothing below a whiteout, found ".wh.a/b"'),
    ],
)
def test_members_that_no_tree_can_hold(made: tuple[Member, ...], error: str) -> None:
    with pytest.raises(ContentError, match=f"^layer: {re.escape(error)}$"):
        shape(*made)


def test_a_hard_link_to_a_symlink_device_or_hard_link() -> None:
    builder = ShapeBuilder("layer")
    made = (symlink("s", "/etc/passwd"), hardlink("a", "s"), hardlink("b", "a"), device("c", 1, 3), hardlink("d", "c"))
    assert all(builder.add(entry) for entry in members(tar(*made)))


def test_deep_names_take_no_more_than_their_share_of_time() -> None:
    """A few hundred bytes of a blob, with names of two thousand parts, must not keep cstore busy."""
    entries = members(tar(opaque("0"), *(file(f"{number}/" + "/".join(["a"] * 2000)) for number in range(3))))
    builder = ShapeBuilder("layer")
    began = time.process_time()
    for entry in entries:
        builder.add(entry)
    builder.finish()
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("made", "same"),
    [
        pytest.param((symlink("a", ".."), whiteout("a/b")), (symlink("a", ".."),), id="whiteout below a symlink"),
        pytest.param((symlink("a", ".."), opaque("a")), (symlink("a", ".."),), id="opaque symlink"),
        pytest.param((fifo("a"), opaque("a/b")), (fifo("a"),), id="opaque below a fifo"),
        pytest.param((whiteout("a/b"), file("a")), (file("a"),), id="whiteout before the file above it"),
        pytest.param((whiteout("a"), whiteout("a/b/c"), opaque("a/d")), (whiteout("a"),), id="marks in what is removed"),
    ],
)
def test_marks_in_what_is_no_directory_any_more_are_passed_over(made: tuple[Member, ...], same: tuple[Member, ...]) -> None:
    assert shape(*made) == shape(*same)
