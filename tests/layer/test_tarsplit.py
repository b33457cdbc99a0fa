from __future__ import annotations

import gzip
import io
import json
import re
from typing import Any

import pytest

from cstore.errors import ContentError, FormatError, StoreError
from cstore.layer.tar import TarReader
from cstore.layer.tarsplit import SplitReader, SplitWriter
from tests.images import BLOCK, END, file, hardlink, header, padded, symlink, tar, whiteout
from tests.layer.splits import assemble, checksum, lines, name_of, raw, written
from tests.layer.tars import DIALECTS, ENDS, Blob, blob_of, contents, members

FILE = {"type": 1, "name": "a", "size": 5, "payload": "AAAAAAAAAAA=", "position": 1}


def split_of(made: bytes) -> bytes:
    with blob_of(made).scan().tar_split as file:
        return file.read()


def files_of(made: bytes) -> dict[bytes, bytes]:
    """Return the contents that a tree has of a tar's files, by their names in the tar."""
    found = contents(made)
    return {entry.name: found[entry.path] for entry in members(made)}


def test_the_checksum_of_these_tests_is_that_of_go() -> None:
    assert checksum(b"") == 0
    assert checksum(b"123456789") == 0xB90956C775A41001
    assert checksum(b"a") == 0x3420000000000000


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_very_tar_can_be_given_back(dialect: bytes, end: bytes) -> None:
    made = dialect + end
    split = split_of(made)
    assert assemble(split, files_of(made)) == made
    read = SplitReader(io.BytesIO(split), "split")
    assert list(TarReader(read, "layer")) == members(made)


def test_content_stands_in_it_only_where_no_file_is_just_that() -> None:
    made = tar(file("a", b"content of a"), whiteout("b"), file(".wh.c", b"in a mark"), file(".wh..wh.plnk/d", b"reserved"))
    made = DIALECTS["gnu sparse"] + made
    named = [name_of(line) for line in lines(split_of(made)) if line["type"] == 1]
    assert named == [b"a"]


def test_empty_files_and_links_have_no_line() -> None:
    made = tar(file("a"), symlink("b", "a"), hardlink("c", "a"))
    assert [line["type"] for line in lines(split_of(made))] == [2]


@pytest.mark.parametrize("name", [b"./a", b"a//b", b"\xe2\x82\xac", b"\xff\xfe", b'"\\\n'])
def test_names_are_as_the_tar_has_them(name: bytes) -> None:
    made = tar(file(name, b"x"))
    assert [name_of(line) for line in lines(split_of(made)) if line["type"] == 1] == [name]
    assert assemble(split_of(made), {name: b"x"}) == made


def test_long_raw_bytes_are_in_pieces() -> None:
    made = tar(file(".wh.a", b"x" * 300_000)) + b"y" * 200_000
    split = split_of(made)
    assert assemble(split, {}) == made
    assert all(len(line["payload"]) < 100_000 for line in lines(split))


def test_same_tar_same_bytes() -> None:
    made = tar(file("a", b"x"), file("b", b"y"))
    assert split_of(made) == split_of(made)
    assert split_of(made)[4:8] == bytes(4)


def test_an_empty_tar() -> None:
    assert assemble(split_of(b""), {}) == b""


def test_a_checksum_is_of_all_content() -> None:
    content = bytes(range(256)) * 8200
    assert assemble(split_of(tar(file("a", content))), {b"a": content}) == tar(file("a", content))


def test_a_large_tar_split_does_not_stay_in_memory() -> None:
    writer = SplitWriter()
    for number in range(80):
        writer.raw(bytes([number]) + number.to_bytes(8, "big") * 8000)
    with writer.finish() as made:
        assert made.tell() == 0
        assert len(gzip.decompress(made.read())) > 5_000_000


def read_all(packed: bytes) -> list[bytes]:
    return [entry.path for entry in TarReader(SplitReader(io.BytesIO(packed), "split"), "layer")]


def test_tar_splits_of_other_writers() -> None:
    """podman writes a line for each member, of empty ones with no payload, and with other members of its own."""
    packed = written(
        raw(header(b"empty")),
        {"type": 1, "name": "empty", "payload": None, "position": 1},
        raw(b""),
        raw(header(b"a", 5)),
        {**FILE, "size": 5, "extra": 1},
        raw(bytes(BLOCK - 5)),
        raw(END[:BLOCK]),
        raw(END[BLOCK:]),
    )
    assert read_all(packed) == [b"empty", b"a"]
    assert read_all(gzip.compress(gzip.decompress(packed)[:100]) + gzip.compress(gzip.decompress(packed)[100:])) == [b"empty", b"a"]


def test_skipping_goes_over_files_and_bytes_alike() -> None:
    reader = SplitReader(io.BytesIO(written(raw(b"abc"), FILE, raw(b"de"))), "split")
    assert reader.skip(1) == 1
    assert reader.read(2) == b"bc"
    assert reader.skip(3) == 3
    assert reader.skip(100) == 4
    assert reader.read(5) == b""


def test_content_cannot_be_read() -> None:
    reader = SplitReader(io.BytesIO(written(raw(b"abc"), FILE)), "split")
    with pytest.raises(ContentError, match=r"^split: expected a header, found the content of a file$"):
        reader.read(10)


ENTRY = "split: expected an entry of tar-split, found "


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        "[]",
        "7",
        "null",
        '"text"',
        "{}",
        '{"type":2}',
        '{"type":2,"payload":null}',
        '{"type":2,"payload":7}',
        '{"type":2,"payload":"*"}',
        '{"type":2,"payload":"YQ"}',
        '{"type":2,"payload":"\u20ac"}',
        '{"type":3,"payload":"YQ=="}',
        '{"type":"2","payload":"YQ=="}',
        '{"type":[],"payload":"YQ=="}',
        '{"type":1,"name":"a","size":-1}',
        '{"type":1,"name":"a","size":"5"}',
        '{"type":1,"name":"a","size":5.0}',
        '{"type":1,"name":"a","size":null}',
        '{"type":1,"name":"a","size":99999999999999999999999}',
        "",
        "[" * 2000,
    ],
)
def test_damaged_lines(line: str) -> None:
    with pytest.raises(FormatError, match="^" + re.escape(ENTRY)):
        read_all(gzip.compress(line.encode() + b"\n"))


@pytest.mark.parametrize("packed", [b"\0", b"no gzip", b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff\xff"])
def test_what_is_no_gzip_stream(packed: bytes) -> None:
    with pytest.raises(FormatError, match=r"^split: expected a gzip stream, found damage \("):
        read_all(packed)


def test_a_tar_split_that_lacks_the_file_of_a_member() -> None:
    with pytest.raises(ContentError, match=r"^layer: expected the rest of a tar member, found the end of the tar$"):
        read_all(written(raw(header(b"a", 5))))


def test_a_tar_split_that_names_another_size() -> None:
    with pytest.raises(ContentError, match=r"^split: expected a header, found the content of a file$"):
        read_all(written(raw(header(b"a", 5)), {**FILE, "size": 900}, raw(bytes(507)), raw(END)))


@pytest.mark.parametrize("step", [1, 7])
def test_a_tar_split_cut_or_changed_anywhere_is_a_clear_error(step: int) -> None:
    whole = split_of(header(b"a", 5) + padded(b"12345") + header(b"b", 1) + padded(b"x") + END)
    for at in range(0, len(whole), step):
        with pytest.raises(FormatError):
            read_all(whole[:at]) if at else read_all(b"\0")
        changed = bytearray(whole)
        changed[at] ^= 0x20
        try:
            read_all(bytes(changed))
        except StoreError as error:
            assert isinstance(error, FormatError | ContentError)  # noqa: PT017 - the time and name in the gzip header may change


def test_lines_may_have_any_order_of_members() -> None:
    entry: dict[str, Any] = dict(reversed(raw(header(b"a") + END).items()))
    assert read_all(gzip.compress(json.dumps(entry, indent=None).encode() + b"\n")) == [b"a"]


def test_a_blob_need_not_be_a_tar_to_have_a_clear_error() -> None:
    with pytest.raises(StoreError):
        Blob(b"", blob_of(b"x").descriptor, blob_of(b"x").diff_id).scan()
