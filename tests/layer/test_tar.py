from __future__ import annotations

import re
from typing import Any

import pytest
from attrs import asdict

from cstore.errors import ContentError
from cstore.layer.entry import Kind
from cstore.layer.tar import TarReader
from tests.images import BLOCK, END, device, directory, fifo, file, hardlink, header, padded, symlink, tar
from tests.layer.tars import (
    DIALECTS,
    ENDS,
    GNU,
    HOLED_SIZE,
    HOLES,
    PIECES,
    V7,
    Bytes,
    base256,
    contents,
    long_name,
    members,
    octal,
    old_sparse,
    patched,
    pax,
    sparse,
    special,
)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (tar(file("a", b"abc", 0o4755, uid=7, gid=8)), {"path": b"a", "kind": Kind.FILE, "mode": 0o4755, "uid": 7, "gid": 8, "size": 3}),
        (tar(file("a", mtime=1.123456789)), {"mtime": 1_123_456_789}),
        (tar(directory("./d/", 0o1777)), {"path": b"d", "kind": Kind.DIRECTORY, "mode": 0o1777, "name": b"./d/"}),
        (tar(symlink("s", "../../etc")), {"kind": Kind.SYMLINK, "target": b"../../etc", "size": 0}),
        (tar(symlink("s", b"\xff" * 300)), {"target": b"\xff" * 300}),
        (tar(hardlink("h", "./d//e")), {"kind": Kind.HARDLINK, "target": b"d/e"}),
        (tar(device("c", 5, 1)), {"kind": Kind.CHARACTER, "device": (5, 1)}),
        (tar(device("b", 8, 16, b"4")), {"kind": Kind.BLOCK, "device": (8, 16)}),
        (tar(fifo("f")), {"kind": Kind.FIFO, "device": (0, 0)}),
        (tar(file(b"\xff/\xe2\x82\xac")), {"path": b"\xff/\xe2\x82\xac"}),
        (tar(file("n" * 255 + "/" + "m" * 255)), {"path": b"n" * 255 + b"/" + b"m" * 255}),
        (tar(file("a", xattrs={"user.b": b"\0\n", "user.a": b"1"})), {"xattrs": (("user.a", b"1"), ("user.b", b"\0\n"))}),
        (tar(file("a", uid=3_000_000_000)), {"uid": 3_000_000_000}),
        (patched(header(b"a"), 108, base256(2**32 - 2, 8)), {"uid": 2**32 - 2}),
        (patched(header(b"a"), 136, base256(2**33, 12)), {"mtime": 2**33 * 10**9}),
        (patched(header(b"a"), 136, base256(2**34, 12)), {"mtime": 0}),
        (patched(header(b"a"), 136, b"\xff" * 12), {"mtime": 0}),
        (pax({b"mtime": b"-1.5"}) + header(b"a"), {"mtime": 0}),
        (pax({b"mtime": b"99999999999999999999"}) + header(b"a"), {"mtime": 0}),
        (header(b"a", kind=b"7"), {"kind": Kind.FILE}),
        (header(b"a", kind=b"\0", magic=V7), {"kind": Kind.FILE}),
        (header(b"a/", kind=b"\0", magic=V7), {"kind": Kind.DIRECTORY, "path": b"a"}),
        (long_name(b"n" * 150 + b"/" + b"m" * 150) + header(b"n"), {"path": b"n" * 150 + b"/" + b"m" * 150}),
        (long_name(b"t" * 150, b"K") + header(b"s", kind=b"2"), {"target": b"t" * 150}),
        (long_name(b"t" * 150, b"K") + long_name(b"n" * 150) + header(b"s", kind=b"1"), {"target": b"t" * 150, "path": b"n" * 150}),
        (pax({b"path": b"other"}, b"g") + header(b"a"), {"path": b"a"}),
        (pax({b"path": b"first"}) + pax({b"path": b"second"}) + header(b"a"), {"path": b"second"}),
        (header(b"d", 700, kind=b"5") + header(b"never a member"), {"kind": Kind.DIRECTORY, "size": 0}),
        (header(b"d", mode=b"0100644\0"), {"mode": 0o644}),
        (header(b"d", mode=bytes(8)), {"mode": 0}),
        (header(b"/", kind=b"5"), {"path": b"", "kind": Kind.DIRECTORY}),
        (tar(directory(".")), {"path": b"", "kind": Kind.DIRECTORY}),
    ],
)
def test_members(made: bytes, expected: dict[str, Any]) -> None:
    entry = members(made)[0]
    assert {name: getattr(entry, name) for name in expected} == expected


@pytest.mark.parametrize("dialect", ["gnu", "0.0", "0.1", "1.0"])
def test_sparse_files_in_all_dialects(dialect: str) -> None:
    made = sparse(b"s", dialect) + header(b"after", 5) + padded(b"after") + END
    entry, after = members(made)
    assert (entry.path, entry.size, entry.pieces, entry.stored) == (b"s", HOLED_SIZE, HOLES, len(PIECES))
    assert (after.path, after.pieces) == (b"after", None)
    assert contents(made) == {b"s": PIECES, b"after": b"after"}


def test_a_name_that_pax_gives_only_lasts_for_one_member() -> None:
    made = pax({b"path": b"other", b"SCHILY.xattr.user.a": b"1"}) + header(b"a") + header(b"b")
    assert [(entry.path, len(entry.xattrs)) for entry in members(made)] == [(b"other", 1), (b"b", 0)]


def test_a_size_that_pax_gives_goes_before_the_header() -> None:
    assert contents(pax({b"size": b"3"}) + header(b"a", 600) + padded(b"abc") + header(b"b")) == {b"a": b"abc", b"b": b""}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_all_bytes_but_content_are_handed_on(dialect: bytes, end: bytes) -> None:
    kept: list[bytes] = []
    reader = TarReader(Bytes(dialect + end), "layer", kept.append)
    for entry in reader:
        content = b"".join(reader.content())
        assert len(content) == entry.stored
        kept.append(content)
    assert (dialect + end).startswith(b"".join(kept))
    assert not (dialect + end)[len(b"".join(kept)) :].strip(b"\0") or b"garbage" in end


def test_content_that_is_not_asked_for_is_passed_over() -> None:
    made = tar(file("a", b"a" * 3000), file("b", b"b" * 3000), file("c"))
    reader = TarReader(Bytes(made), "layer")
    found = []
    for entry in reader:
        found.append(entry.path)
        if entry.path == b"b":
            next(reader.content())
    assert found == [b"a", b"b", b"c"]


CUT = "layer: expected the rest of a tar member, found the end of the tar"
FILE = header(b"f", 5)


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (b"x" * BLOCK, 'layer: expected a checksum in octal digits, found "xxxxxxxx"'),
        (b"short", CUT),
        (FILE[:-1], CUT),
        (FILE, CUT),
        (FILE + b"cont", CUT),
        (FILE + b"content", CUT),
        (special(b"L", b"n" * 600)[:1024], CUT),
        (bytes(BLOCK) + FILE, "layer: expected a second block of zeros at the end of the tar, found something else"),
        (bytes(BLOCK + 9), "layer: expected a second block of zeros at the end of the tar, found something else"),
        (special(b"x", bytes((1 << 20) + 1)), "layer: expected a header of up to 1048576 bytes, found one of 1048577"),
        (special(b"g", bytes((1 << 20) + 1)), "layer: expected a header of up to 1048576 bytes, found one of 1048577"),
        (special(b"x", b"garbage"), 'layer: expected a record of an extended header, found "garbage"'),
        (header(b"../a"), 'layer: expected a name inside the layer, found "../a"'),
        (header(b"/etc/passwd"), 'layer: expected a relative name, found "/etc/passwd"'),
        (header(b""), 'layer: expected a relative name, found ""'),
        (pax({b"path": b"a/../../b"}) + FILE + padded(b"12345"), 'layer: expected a name inside the layer, found "a/../../b"'),
        (long_name(b"/a") + FILE + padded(b"12345"), 'layer: expected a relative name, found "/a"'),
        (
            pax({b"GNU.sparse.name": b"..", b"GNU.sparse.map": b"0,5"}) + FILE + padded(b"12345"),
            'layer: expected a name inside the layer, found ".."',
        ),
        (header(b"h", kind=b"1"), 'layer: member "h": target: expected a relative name, found ""'),
        (header(b"h", kind=b"1", target=b"../f"), 'layer: member "h": target: expected a name inside the layer, found "../f"'),
        (header(b"h", kind=b"1", target=b"/f"), 'layer: member "h": target: expected a relative name, found "/f"'),
        (header(b"s", kind=b"2"), 'layer: member "s": expected a symlink\'s text of 1 to 4095 bytes, found 0'),
        (
            long_name(b"t" * 4096, b"K") + header(b"s", kind=b"2"),
            'layer: member "s": expected a symlink\'s text of 1 to 4095 bytes, found 4096',
        ),
        (header(b"D", kind=b"D"), 'layer: member "D": expected a file, directory, link or device, found a member of type "D"'),
        (header(b"M", kind=b"M", magic=GNU), 'layer: member "M": expected a file, directory, link or device, found a member of type "M"'),
        (header(b"?", kind=b"\xff"), 'layer: member "?": expected a file, directory, link or device, found a member of type "\\xff"'),
        (patched(FILE, 124, b"\xff" * 12), 'layer: member "f": expected a size of at least 0, found a negative one'),
        (patched(FILE, 124, base256(1 << 80, 12)), f'layer: member "f": expected a size from 0 to {2**63 - 1}, found {1 << 80}'),
        (patched(FILE, 124, b"77777777777\0"), CUT),
        (pax({b"size": b"9" * 20}) + FILE, f'layer: member "f": expected a size from 0 to {2**63 - 1}, found {"9" * 20}'),
        (pax({b"size": b"%d" % (2**63 - 1)}) + FILE, CUT),
        (patched(FILE, 108, b"\xff" * 8), 'layer: member "f": expected an owner of at least 0, found a negative one'),
        (patched(FILE, 108, base256(2**32 - 1, 8)), 'layer: member "f": expected an owner from 0 to 4294967294, found 4294967295'),
        (pax({b"gid": b"4294967295"}) + FILE, 'layer: member "f": expected an owner from 0 to 4294967294, found 4294967295'),
        (patched(FILE, 100, b"rw-r--r-"), 'layer: member "f": expected a mode in octal digits, found "rw-r--r-"'),
        (patched(FILE, 136, b"\xc0" * 12), 'layer: member "f": expected a time of at least 0, found a negative one'),
        (
            patched(header(b"c", kind=b"3"), 329, b"\xff" * 8),
            'layer: member "c": expected a device number of at least 0, found a negative one',
        ),
        (
            old_sparse(b"s", [(octal(0), octal(600))], octal(600), b"")[:BLOCK],
            'layer: member "s": expected 600 bytes in the pieces of a sparse file',
        ),
        (old_sparse(b"s", [], octal(5), b"", [[]])[:BLOCK], CUT),
        (pax({b"GNU.sparse.major": b"1"}) + header(b"s", 5) + padded(b"1\n"), 'layer: member "s": expected the map of a sparse file'),
        (pax({b"GNU.sparse.major": b"1"}) + header(b"s", 512), CUT),
        (
            pax({b"GNU.sparse.realsize": b"1", b"GNU.sparse.map": b"0,2"}) + header(b"s", 2) + padded(b"ab"),
            'layer: member "s": expected pieces',
        ),
    ],
)
def test_tars_that_are_refused(made: bytes, error: str) -> None:
    with pytest.raises(ContentError, match="^" + re.escape(error)):
        members(made)


@pytest.mark.parametrize(
    ("block", "error"),
    [
        (
            patched(header(b"c", kind=b"3"), 329, base256(4096, 8)),
            'layer: member "c": expected a device number from 0 to 4095, found 4096',
        ),
        (
            patched(header(b"c", kind=b"3"), 337, b"77777777"),
            'layer: member "c": expected a device number from 0 to 1048575, found 16777215',
        ),
        (old_sparse(b"s", [], base256(1 << 63, 12), b""), f'layer: member "s": expected a size from 0 to {2**63 - 1}, found {2**63}'),
        (
            pax({b"GNU.sparse.size": b"9" * 20, b"GNU.sparse.map": b""}) + header(b"s"),
            f'layer: member "s": expected a size from 0 to {2**63 - 1}, found {"9" * 20}',
        ),
    ],
    ids=["major", "minor", "size of an old sparse file", "size of a PAX sparse file"],
)
def test_numbers_that_no_file_system_has_are_refused(block: bytes, error: str) -> None:
    with pytest.raises(ContentError, match="^" + re.escape(error)):
        members(block + END)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_tar_cut_anywhere_is_refused_or_ends_between_members(dialect: bytes) -> None:
    whole = members(dialect + END)
    for end in range(len(dialect)):
        try:
            found = members(dialect[:end])
        except ContentError as error:
            assert str(error).startswith("layer: ")  # noqa: PT017 - what is raised depends on where the cut is
        else:
            assert end % BLOCK == 0
            assert [asdict(entry) for entry in found] == [asdict(entry) for entry in whole[: len(found)]]


def test_content_that_is_cut_is_noticed_by_whoever_reads_it() -> None:
    reader = TarReader(Bytes(FILE + b"con"), "layer")
    next(iter(reader))
    with pytest.raises(ContentError, match=f"^{CUT}$"):
        b"".join(reader.content())
