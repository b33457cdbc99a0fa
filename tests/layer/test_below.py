from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError
from cstore.layer.below import NOTHING, look
from tests.images import Member, device, directory, file, opaque, symlink, tar, whiteout
from tests.layer.tars import members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.layer.below import Below
    from cstore.layer.entry import Entry


def chain(*layers: tuple[Member, ...]) -> list[list[Entry]]:
    """Return the entries of layers, the top one first."""
    return [members(tar(*layer)) for layer in layers]


def modes(found: Below) -> dict[bytes, int]:
    return {path: entry.mode for path, entry in found.directories.items()}


TMP = directory("tmp", 0o1777)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], {}),
        ([(TMP,)], {b"tmp": 0o1777}),
        ([(file("other"),), (file("tmp/a"),), (TMP,)], {b"tmp": 0o1777}),
        ([(directory("tmp", 0o700),), (TMP,)], {b"tmp": 0o700}),
        ([(whiteout("tmp"),), (TMP,)], {}),
        ([(whiteout("tmp"), directory("tmp", 0o711)), (TMP,)], {b"tmp": 0o711}),
        ([(whiteout("tmp"), file("tmp/a")), (TMP,)], {}),
        ([(file("tmp"),), (TMP,)], {}),
        ([(symlink("tmp", "var"),), (TMP,)], {}),
        ([(device("tmp", 0, 0),), (TMP,)], {}),
        ([(opaque("tmp"),), (TMP,)], {b"tmp": 0o1777}),
        ([(opaque(""),), (TMP,)], {}),
        ([(file("tmp/.wh..wh.aufs"),), (TMP,)], {b"tmp": 0o1777}),
        ([(whiteout("tmp/a"),), (TMP,)], {b"tmp": 0o1777}),
    ],
)
def test_mode_and_owner_of_directories(layers: list[tuple[Member, ...]], expected: dict[bytes, int]) -> None:
    assert modes(look(chain(*layers), {b"tmp"}, ())) == expected


@pytest.mark.parametrize(
    ("hiding", "is_seen"),
    [
        ((whiteout("a"),), False),
        ((opaque("a"),), False),
        ((file("a"),), False),
        ((whiteout("a/b"),), False),
        ((opaque("a/b"),), True),
        ((whiteout("a/b/c"),), True),
        ((whiteout("a/bb"),), True),
        ((directory("a", xattrs={"trusted.overlay.opaque": b"y"}),), False),
    ],
)
def test_what_hides_a_deep_directory(hiding: tuple[Member, ...], is_seen: bool) -> None:  # noqa: FBT001 - a column
    assert bool(modes(look(chain(hiding, (directory("a/b", 0o700),)), {b"a/b"}, ()))) is is_seen


def test_the_top_directory() -> None:
    assert modes(look(chain((file("a"),), (directory(".", 0o700),), (directory(".", 0o777),)), {b""}, ())) == {b"": 0o700}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], set()),
        ([(file("d/a"), directory("d/b"), file("d/c/x"), file("e"))], {b"a", b"b", b"c"}),
        ([(file("d/a"),), (file("d/b"),)], {b"a", b"b"}),
        ([(whiteout("d/b"),), (file("d/a"), file("d/b"))], {b"a"}),
        ([(device("d/b", 0, 0),), (file("d/a"), file("d/b"))], {b"a"}),
        ([(whiteout("d/b"), file("d/b")), (file("d/a"), file("d/b"))], {b"a", b"b"}),
        ([(file("d/b"),), (whiteout("d/b"),), (file("d/b"),)], {b"b"}),
        ([(file("d/z"),), (whiteout("d/b"),), (file("d/b"),)], {b"z"}),
        ([(file("d/z"),), (opaque("d"),), (file("d/b"),)], {b"z"}),
        ([(opaque("d"), file("d/a")), (file("d/b"),)], {b"a"}),
        ([(whiteout("d"),), (file("d/b"),)], set()),
        ([(file("d"),), (file("d/b"),)], set()),
        ([(opaque(""),), (file("d/b"),)], set()),
        ([(whiteout("d/x/y"),), (file("d/b"),)], {b"b", b"x"}),
        ([(opaque("d/x"),), (file("d/b"),)], {b"b", b"x"}),
    ],
)
def test_names_in_directories(layers: list[tuple[Member, ...]], expected: set[bytes]) -> None:
    assert look(chain(*layers), (), {b"d"}).names == {b"d": expected}


def test_names_in_the_top_directory() -> None:
    """The top directory is not a name in itself, though a tar may have an entry for it."""
    assert look(chain((directory("."), file("a"), file("b/c"))), (), {b""}).names == {b"": {b"a", b"b"}}


def test_no_more_layers_are_read_than_needed() -> None:
    def layers() -> Iterator[list[Entry]]:
        yield from chain((directory("d", 0o700), opaque("l")))
        pytest.fail("a layer was read that shows nothing of what is asked for")

    assert modes(look(layers(), {b"d"}, {b"l"})) == {b"d": 0o700}
    assert look(layers(), (), ()) == NOTHING


def test_a_layer_below_that_no_podman_could_have_taken() -> None:
    with pytest.raises(ContentError, match=r'^layer below: expected nothing below a whiteout, found ".wh.a/b"$'):
        look(chain((file(".wh.a/b"),)), {b"d"}, ())
