from __future__ import annotations

import re
from typing import Any

import pytest

from cstore.errors import ContentError
from cstore.layer.pax import Pax
from tests.layer.tars import records


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({b"comment": b"nothing that a tree needs"}, {}),
        ({b"path": b"a/\xe2\x82\xac\xff"}, {"name": b"a/\xe2\x82\xac\xff"}),
        ({b"linkpath": b"../b"}, {"target": b"../b"}),
        ({b"path": b"a=b\nc"}, {"name": b"a=b\nc"}),
        ({b"path": b""}, {}),
        ({b"size": b"8589934592"}, {"size": 1 << 33}),
        ({b"uid": b"2000000000", b"gid": b""}, {"uid": 2_000_000_000}),
        ({b"mtime": b"1700000000.123456789"}, {"mtime": 1_700_000_000_123_456_789}),
        ({b"mtime": b"1.1234567899"}, {"mtime": 1_123_456_789}),
        ({b"mtime": b"2."}, {"mtime": 2_000_000_000}),
        ({b"mtime": b"3.5"}, {"mtime": 3_500_000_000}),
        ({b"mtime": b"-3.5"}, {"mtime": -3_500_000_000}),
        ({b"mtime": b""}, {}),
        (
            {b"SCHILY.xattr.user.b": b"\0\n=\xff", b"SCHILY.xattr.user.a": b""},
            {"xattrs": (("user.a", b""), ("user.b", b"\0\n=\xff"))},
        ),
        ({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"9"}, {"is_sparse": True, "real_size": 9}),
        ({b"GNU.sparse.name": b"real", b"path": b"GNUSparseFile.7/real"}, {"is_sparse": True, "name": b"real"}),
        ({b"GNU.sparse.size": b"9", b"GNU.sparse.map": b"1,2,5,4"}, {"is_sparse": True, "real_size": 9, "pieces": ((1, 2), (5, 4))}),
        ({b"GNU.sparse.size": b"9", b"GNU.sparse.map": b""}, {"is_sparse": True, "real_size": 9, "pieces": ()}),
    ],
)
def test_what_is_read(values: dict[bytes, bytes], expected: dict[str, Any]) -> None:
    assert Pax.parse(records(values), "layer") == Pax(**expected)


def test_sparse_maps_of_many_records() -> None:
    numbers = [(b"GNU.sparse.offset", b"1"), (b"GNU.sparse.numbytes", b"2"), (b"GNU.sparse.offset", b"7"), (b"GNU.sparse.numbytes", b"1")]
    assert Pax.parse(records(numbers), "layer").pieces == ((1, 2), (7, 1))


def test_the_last_record_of_a_key_counts() -> None:
    twice = records([(b"path", b"a"), (b"SCHILY.xattr.user.x", b"1"), (b"path", b"b"), (b"SCHILY.xattr.user.x", b"2")])
    assert Pax.parse(twice, "layer") == Pax(name=b"b", xattrs=(("user.x", b"2"),))


RECORD = "layer: expected a record of an extended header, found "
NUMBER = "layer: expected a number in an extended header, found "


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"garbage", RECORD + '"garbage"'),
        (b"\0", RECORD + '"\0"'),
        (b" 6 a=b\n", RECORD + '" 6 a=b'),
        (b"6 a=b\nx", RECORD + '"x"'),
        (b"0 a=b\n", RECORD + '"0 a=b'),
        (b"2 a=b\n", RECORD + '"2 a=b'),
        (b"5 a=b\n", RECORD + '"5 a=b'),
        (b"7 a=b\n", RECORD + '"7 a=b'),
        (b"99 path=b\n", RECORD + '"99 path=b'),
        (b"-6 a=b\n", RECORD + '"-6 a=b'),
        (b"5 ab\n", RECORD + '"5 ab'),
        (b"5 =b\n", RECORD + '"5 =b'),
        (b"9999999999 a=b\n", RECORD + '"9999999999 a=b'),
        (b"7 a\0=b\n", RECORD + '"7 a\0=b'),
        (records({b"path": b"a\0b"}), 'layer: expected text in "path" of an extended header, found a NUL byte'),
        (records({b"GNU.sparse.name": b"\0"}), 'layer: expected text in "GNU.sparse.name" of an extended header, found a NUL byte'),
        (records({b"size": b"-1"}), NUMBER + '"-1"'),
        (records({b"size": b"0x10"}), NUMBER + '"0x10"'),
        (records({b"uid": b"1" * 21}), NUMBER + f'"{"1" * 21}"'),
        (records({b"gid": b" 1"}), NUMBER + '" 1"'),
        (records({b"GNU.sparse.size": b"1_0"}), NUMBER + '"1_0"'),
        (records({b"mtime": b"now"}), 'layer: expected a time in an extended header, found "now"'),
        (records({b"mtime": b"1e9"}), 'layer: expected a time in an extended header, found "1e9"'),
        (records({b"mtime": b"1.-5"}), 'layer: expected a time in an extended header, found "1.-5"'),
        (records({b"SCHILY.xattr.": b"x"}), 'layer: expected the name of an extended attribute, found "SCHILY.xattr."'),
        (
            records({b"SCHILY.xattr.\xff": b"x"}),
            'layer: expected the name of an extended attribute, found "SCHILY.xattr.\\xff"',
        ),
        (
            records([(b"GNU.sparse.offset", b"1")]),
            "layer: expected pairs of offset and length in a sparse map, found 1 numbers",
        ),
        (records({b"GNU.sparse.map": b"1,"}), 'layer: expected a number in a sparse map, found ""'),
    ],
)
def test_what_is_refused(data: bytes, error: str) -> None:
    with pytest.raises(ContentError, match="^" + re.escape(error.partition("\n")[0])):
        Pax.parse(data, "layer")


@pytest.mark.parametrize("key", [b"path", b"linkpath", b"mtime", b"uid", b"SCHILY.xattr.user.a"])
def test_an_extended_header_cut_anywhere_is_refused(key: bytes) -> None:
    whole = records({key: b"12345"})
    for end in range(1, len(whole)):
        with pytest.raises(ContentError):
            Pax.parse(whole[:end], "layer")
