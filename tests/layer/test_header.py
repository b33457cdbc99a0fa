from __future__ import annotations

import re

import pytest

from cstore.errors import ContentError
from cstore.layer.header import Header, number, seconds
from tests.images import header
from tests.layer.tars import GNU, V7, base256, patched, sealed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (bytes(8), 0),
        (b" " * 8, 0),
        (b"0000644\0", 0o644),
        (b"    644 ", 0o644),
        (b"644 \0\0\0\0", 0o644),
        (b"77777777", 0o77777777),
        (b"777777777777", 0o777777777777),
        (base256(5, 8), 5),
        (base256(1 << 40, 12), 1 << 40),
        (base256((1 << 54) - 1, 8), (1 << 54) - 1),
    ],
)
def test_numbers(field: bytes, value: int) -> None:
    assert number(field, "a size", "layer") == value


@pytest.mark.parametrize(
    ("field", "error"),
    [
        (b"\xff" * 8, "layer: expected a size of at least 0, found a negative one"),
        (base256(-5, 12), "layer: expected a size of at least 0, found a negative one"),
        (b"0000648\0", 'layer: expected a size in octal digits, found "0000648\0"'),
        (b"0000694\0", 'layer: expected a size in octal digits, found "0000694\0"'),
        (b"-000001\0", 'layer: expected a size in octal digits, found "-000001\0"'),
        (b"0o00001\0", 'layer: expected a size in octal digits, found "0o00001\0"'),
        (b"1_00000\0", 'layer: expected a size in octal digits, found "1_00000\0"'),
        (b"+000001\0", 'layer: expected a size in octal digits, found "+000001\0"'),
        (b"1 1\0\0\0\0\0", 'layer: expected a size in octal digits, found "1 1\0\0\0\0\0"'),
        (b"deadbeef", 'layer: expected a size in octal digits, found "deadbeef"'),
        (b"\t\t\t\t\t\t\t1", 'layer: expected a size in octal digits, found "\t\t\t\t\t\t\t1"'),
    ],
)
def test_what_is_no_number(field: bytes, error: str) -> None:
    with pytest.raises(ContentError, match=f"^{re.escape(error)}$"):
        number(field, "a size", "layer")


@pytest.mark.parametrize(
    ("field", "value"), [(b"00000000017\0", 15), (base256(1 << 40, 12), 1 << 40), (b"\xff" * 12, -1), (b"\xff" * 11 + b"\0", -256)]
)
def test_times_may_be_before_1970(field: bytes, value: int) -> None:
    assert seconds(field, "layer") == value


def test_what_is_no_time() -> None:
    with pytest.raises(ContentError, match=r'^layer: expected a time in octal digits, found "yesterday"$'):
        seconds(b"yesterday", "layer")


def test_fields() -> None:
    found = Header.parse(header(b"a/b", 3, kind=b"2", target=b"c"), "layer")
    assert (found.name, found.kind, found.target[:2]) == (b"a/b", b"2", b"c\0")
    assert number(found.size, "a size", "") == 3


@pytest.mark.parametrize(("magic", "name"), [(b"ustar\x0000", b"in/front/a"), (b"ustar\0\0\0", b"in/front/a"), (GNU, b"a"), (V7, b"a")])
def test_only_ustar_has_names_in_two_parts(magic: bytes, name: bytes) -> None:
    assert Header.parse(patched(header(b"a", magic=magic), 345, b"in/front"), "layer").name == name


def test_a_name_and_prefix_that_fill_their_fields() -> None:
    block = patched(patched(header(b""), 0, b"n" * 100), 345, b"p" * 155)
    assert Header.parse(block, "layer").name == b"p" * 155 + b"/" + b"n" * 100


def test_checksums_of_signed_bytes_are_taken_too() -> None:
    block = header(b"\xff\xfe name")
    signed = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + b" " * 8 + block[156:])
    assert Header.parse(block[:148] + b"%06o\0 " % signed + block[156:], "layer").name == b"\xff\xfe name"


@pytest.mark.parametrize("offset", [0, 100, 124, 147, 148, 156, 157, 257, 345, 500, 511])
def test_a_changed_byte_is_noticed(offset: int) -> None:
    block = bytearray(header(b"name", 5))
    block[offset] ^= 0x01
    with pytest.raises(ContentError, match=r"^layer: expected a tar header, found a block with a wrong checksum$"):
        Header.parse(bytes(block), "layer")


@pytest.mark.parametrize(
    ("checksum", "error"),
    [
        (b"zzzzzz\0 ", 'expected a checksum in octal digits, found "zzzzzz\0 "'),
        (b"\xff" * 8, "expected a checksum of at least 0, found a negative one"),
        (bytes(8), "expected a tar header, found a block with a wrong checksum"),
    ],
)
def test_checksums_that_are_none(checksum: bytes, error: str) -> None:
    block = header(b"name")
    with pytest.raises(ContentError, match=f"^layer: {re.escape(error)}$"):
        Header.parse(block[:148] + checksum + block[156:], "layer")


def test_a_checksum_may_be_in_base_256() -> None:
    block = header(b"name")
    value = number(block[148:156], "checksum", "")
    assert Header.parse(block[:148] + base256(value, 8) + block[156:], "layer").name == b"name"
    assert sealed(block) == block
