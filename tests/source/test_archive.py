"""The table of an archive's members, of archives that are hostile to their readers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError
from cstore.source.archive import find, member_name, members_of
from tests.images import END, device, directory, fifo, file, hardlink, header, padded, symlink, tar
from tests.layer.tars import base256, long_name, patched, pax, sparse

if TYPE_CHECKING:
    from cstore.source.archive import Member


def table(data: bytes) -> dict[str, Member]:
    return members_of(io.BytesIO(data), len(data), "archive")


def content(data: bytes, path: str) -> bytes | None:
    member = find(table(data), path)
    return None if member is None else data[member.offset : member.offset + member.size]


@pytest.mark.parametrize(
    ("data", "path", "expected"),
    [
        pytest.param(tar(file("a", b"1")), "a", b"1", id="a file"),
        pytest.param(tar(file("a" * 150, b"1")), "a" * 150, b"1", id="a long name by PAX"),
        pytest.param(long_name(b"a" * 150) + header(b"x", 1) + padded(b"1"), "a" * 150, b"1", id="a long name by GNU"),
        pytest.param(pax({b"size": b"4"}) + header(b"a", 9) + padded(b"four") + tar(file("b", b"2")), "b", b"2", id="size by PAX"),
        pytest.param(header(b"d", 512, kind=b"5") + tar(file("b", b"2")), "b", b"2", id="a directory with a size"),
        pytest.param(header(b"u", 3, kind=b"V") + padded(b"abc") + tar(file("b", b"2")), "b", b"2", id="an unknown type"),
        pytest.param(pax({b"path": b"b"}, b"g") + tar(file("a", b"1")), "a", b"1", id="a global header"),
        pytest.param(tar(file("a", b"1"), file("./a", b"2")), "a", b"2", id="twice"),
        pytest.param(tar(file("a", b"1")) + tar(file("a", b"2")), "a", b"1", id="a second archive behind the first"),
        pytest.param(tar(symlink("d/l", "../../../a"), file("a", b"1")), "d/l", b"1", id="a symlink upwards"),
        pytest.param(tar(symlink("l", "l")), "l", None, id="a symlink to itself"),
        pytest.param(tar(hardlink("h", "h")), "h", None, id="a hard link to itself"),
        pytest.param(tar(symlink("a", "b"), symlink("b", "a")), "a", None, id="two symlinks in a circle"),
        pytest.param(tar(symlink("l", "/etc/passwd")), "l", None, id="a symlink out"),
        pytest.param(tar(directory("a")), "a", None, id="a directory"),
        pytest.param(tar(fifo("a")), "a", None, id="a fifo"),
        pytest.param(tar(device("a", 1, 5)), "a", None, id="a device"),
        pytest.param(tar(), "a", None, id="nothing"),
    ],
)
def test_what_a_name_leads_to(data: bytes, path: str, expected: bytes | None) -> None:
    assert content(data, path) == expected


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(patched(header(b"a"), 124, b"\xff" * 12), 'archive: member "a": expected a size of at least 0', id="a negative size"),
        pytest.param(patched(header(b"a"), 124, base256(1 << 60, 12)), f'archive: member "a": expected {1 << 60} bytes', id="a huge size"),
        pytest.param(pax({b"size": b"9" * 20}) + header(b"a"), 'archive: member "a": expected 9999', id="a huge size by PAX"),
        pytest.param(patched(header(b"a", kind=b"x"), 124, b"77777777777\0"), "archive: expected a header of up to", id="a huge header"),
        pytest.param(patched(header(b"a", kind=b"L"), 124, b"\xff" * 12), "archive: expected a size of at least 0", id="a negative header"),
        pytest.param(b"x" * 600, "archive: expected a checksum", id="no tar"),
        pytest.param(header(b"a") + b"x" * 512, "archive: expected a checksum", id="no tar behind the first member"),
        pytest.param(sparse(b"a", "1.0"), 'archive: member "a": expected a member without holes', id="a sparse member"),
        pytest.param(sparse(b"a", "gnu"), 'archive: member "a": expected a member without holes', id="a sparse member of GNU"),
        pytest.param(header(b"a") * 100_001 + END, "archive: expected up to 100000 members, found more", id="too many members"),
    ],
)
def test_what_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ContentError) as error:
        table(data)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("path", ["a/b", "./a/b", "/a/b", "a//b", "a/./b/"])
def test_a_name_is_found_however_it_is_written(path: str) -> None:
    assert member_name(path) == "a/b"
