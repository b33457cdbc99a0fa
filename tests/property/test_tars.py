"""Tars at random and tars with changed bytes, read, taken apart into tar-splits and written as trees."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cstore.errors import ContentError, FormatError
from cstore.layer.tar import TarReader
from cstore.layer.tarsplit import SplitReader
from cstore.publish.owners import Owners
from cstore.publish.tree import write_tree
from tests.images import BLOCK, END, device, directory, file, hardlink, header, opaque, symlink, tar, whiteout
from tests.layer.splits import assemble, raw, written
from tests.layer.stacks import trees
from tests.layer.tars import DIALECTS, ENDS, blob_of, contents, members, pax, sealed
from tests.property.strategies import HOSTILE_TARS
from tests.publish.trees import discard

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = tar(
    directory("d", 0o1777),
    file("d/a", b"content" * 200, mtime=1.5, xattrs={"user.a": b"1"}),
    hardlink("d/b", "d/a"),
    symlink("s", "../../etc"),
    device("n", 1, 3),
    whiteout("w"),
    opaque("o"),
)
VALID = st.sampled_from([MANY, *(dialect + END for dialect in DIALECTS.values())])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good tar with some bytes changed, most often in headers and with checksums made right again."""
    made = bytearray(draw(VALID))
    for _ in range(draw(st.integers(1, 4))):
        block = draw(st.integers(0, len(made) // BLOCK - 1)) * BLOCK
        at = block + draw(st.integers(0, BLOCK - 1))
        made[at] = draw(st.sampled_from([0, 0x20, 0x2E, 0x2F, 0x30, 0x37, 0x39, 0x80, 0xFF]) | st.integers(0, 255))
        if draw(st.booleans()) and any(made[block : block + BLOCK]):
            made[block : block + BLOCK] = sealed(bytes(made[block : block + BLOCK]))
    return bytes(made)


TARS = st.one_of(HOSTILE_TARS, mutated(), st.binary(max_size=1500))


@contextmanager
def directory_apart() -> Iterator[Path]:
    """A new directory in a new one, which is removed however deep what is in it."""
    with tempfile.TemporaryDirectory() as made:
        try:
            (Path(made) / "top").mkdir()
            yield Path(made) / "top"
        finally:
            discard(Path(made) / "top")


@example(DIALECTS["gnu sparse"])
@example(header(b"c", kind=b"3")[:329] + b"\xff" * 7)
@given(TARS)
@settings(max_examples=400)
def test_a_tar_is_read_or_refused_as_damaged(made: bytes) -> None:
    """Malformed input raises ContentError and nothing else; every byte of what is read without error is accounted for."""
    with suppress(ContentError):
        found = blob_of(made).scan()
        with found.tar_split as split:
            files = contents(made)
            assert assemble(split.read(), {entry.name: files[entry.path] for entry in members(made)}) == made


@given(VALID, st.sampled_from([*ENDS.values()]))
def test_a_tar_split_tells_the_same_members(made: bytes, end: bytes) -> None:
    """What the chain below holds comes from the lower layers' tar-split: its entries are those of the tar."""
    whole = made.removesuffix(END) + end
    with blob_of(whole).scan().tar_split as split:
        assert list(TarReader(SplitReader(split, "split"), "layer")) == members(whole)


@given(TARS, st.sampled_from(["gzip", "zstd", "none"]), st.integers(0, 1 << 14), st.integers(1, 255))
def test_a_changed_blob_is_refused(made: bytes, compression: str, place: int, flip: int) -> None:
    """Every blob is verified: with one byte changed it is refused, whatever is in it."""
    good = blob_of(made or bytes(BLOCK), compression)
    changed = bytearray(good.data)
    changed[place % len(changed)] ^= flip
    with pytest.raises(ContentError):
        evolve(good, data=bytes(changed)).scan()


@example(pax({b"GNU.sparse.name": b"s", b"GNU.sparse.size": b"9" * 20, b"GNU.sparse.map": b""}) + header(b"s"))
@example(tar(symlink("a", ".."), file("a/b")))
@example(tar(symlink("a", "../outside"), hardlink("b", "a/secret")))
@example(tar(file("a/b"), symlink("a", "..")))
@given(TARS)
@settings(max_examples=250)
def test_nothing_is_written_outside_of_the_tree(made: bytes) -> None:
    """cstore never follows a symlink or `..` out of the tree it unpacks; only the file system's own refusals come besides ContentError."""
    owners = Owners(None) if os.geteuid() == 0 else Owners((os.geteuid(), os.getegid()))
    with directory_apart() as top:
        handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        try:
            write_tree(trees([made])[0].walk(), handle, owners, lambda _size: None)
        except ContentError:
            pass
        except OSError as error:
            assert error.errno in (errno.EINVAL, errno.EFBIG, errno.EOPNOTSUPP)  # noqa: PT017 - a device, a size or an attribute
        finally:
            os.close(handle)
        assert list(top.parent.iterdir()) == [top]


LINES = st.lists(
    st.one_of(
        st.binary(max_size=700).map(raw),
        st.sampled_from([header(b"a", 5), header(b"d/", kind=b"5"), bytes(BLOCK), bytes(507), pax({b"size": b"5"})]).map(raw),
        st.fixed_dictionaries({"type": st.just(1), "name": st.just("a"), "size": st.integers(-1, 2000), "payload": st.just("")}),
        st.dictionaries(
            st.sampled_from(["type", "size", "payload"]), st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats()
        ),
    ),
    max_size=6,
)


@given(LINES.map(lambda lines: written(*lines)) | st.binary(max_size=300))
def test_a_damaged_tar_split_is_a_clear_error(packed: bytes) -> None:
    """A layer's tar-split that is damaged raises FormatError, one that tells no tar ContentError, and nothing else ever comes."""
    with suppress(FormatError, ContentError), tempfile.SpooledTemporaryFile(1 << 20) as split:
        split.write(packed)
        split.seek(0)
        list(TarReader(SplitReader(split, "split"), "layer"))


@given(VALID, st.integers(0, 1 << 14))
def test_a_tar_cut_anywhere_is_refused_or_ends_between_members(made: bytes, place: int) -> None:
    """A tar that ends inside a member is damaged; podman takes one that just has no end."""
    end = place % len(made)
    try:
        found = members(made[:end])
    except ContentError:
        return
    assert end % BLOCK == 0
    assert found == members(made)[: len(found)]
