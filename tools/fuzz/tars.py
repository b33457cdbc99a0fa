"""Targets that read layers: their tars, their blobs, and tar-splits."""

from __future__ import annotations

import gzip
import io
from contextlib import suppress
from typing import TYPE_CHECKING

from cstore.errors import ContentError, FormatError
from cstore.layer.below import NOTHING
from cstore.layer.blob import BlobReader
from cstore.layer.entry import Entry, Kind
from cstore.layer.names import parent
from cstore.layer.scan import Scan, scan
from cstore.layer.sparse import placed
from cstore.layer.tar import TarReader
from cstore.layer.tarsplit import SplitReader, read_pieces
from cstore.layer.tree import Tree
from cstore.model.digest import Digest
from cstore.model.manifest import Descriptor

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["blob", "layer", "sealed", "tar_split"]

_BLOCK = 512
_MAGIC = slice(257, 262)
_CHECKSUM = slice(148, 156)
_MOST_UNPACKED = 64 << 20
_MOST_LINES = 1 << 16


def layer(data: bytes, _scratch: Path) -> None:
    """Layer: a tar; its tree stays inside, is the same each time, and with its tar-split gives back the very tar."""
    tar = sealed(data)
    try:
        found = scan(_reader(tar), "layer")
    except ContentError:
        return
    tree = Tree(at="layer", shape=found.shape, below=NOTHING, open=lambda: _reader(tar))
    try:
        walked = [(entry, b"".join(content)) for entry, content in tree.walk()]
        assert [(entry, b"".join(content)) for entry, content in tree.walk()] == walked
        _see_tree([entry for entry, _ in walked], found)
        _see_content(walked)
        assert _reassembled(found, {entry.name: content for entry, content in walked if entry.kind is Kind.FILE}) == tar
        assert list(TarReader(SplitReader(found.open_tar_split(), "split"), "split")) == list(TarReader(_reader(tar), "layer"))
    finally:
        found.tar_split.close()


def blob(data: bytes, _scratch: Path) -> None:
    """Layer: a blob of any compression. It is read to its end, or refused; never more than its bound."""
    with suppress(ContentError):
        reader = BlobReader(io.BytesIO(data), _descriptor(data), Digest.of(b""))
        try:
            total = 0
            while total < _MOST_UNPACKED and (chunk := reader.read(1 << 16)):
                total += len(chunk)
            if total < _MOST_UNPACKED:
                reader.finish()
                assert total == 0
        finally:
            reader.close()


def tar_split(data: bytes, _scratch: Path) -> None:
    """Tar-split: lines of any writer, read as verification reads them."""
    packed = data if data[:2] == b"\x1f\x8b" else gzip.compress(data, 1, mtime=0)
    try:
        for number, piece in enumerate(read_pieces(io.BytesIO(packed), "split")):
            assert piece.size >= 0
            if number > _MOST_LINES:
                break
    except FormatError:
        pass
    with suppress(FormatError, ContentError):
        for number, entry in enumerate(TarReader(SplitReader(io.BytesIO(packed), "split"), "split")):
            _see_inside(entry)
            if number > _MOST_LINES:
                break


def _descriptor(data: bytes) -> Descriptor:
    return Descriptor(media_type="", digest=Digest.of(data), size=len(data))


def _reader(tar: bytes) -> BlobReader:
    return BlobReader(io.BytesIO(tar), _descriptor(tar), Digest.of(tar))


def sealed(data: bytes) -> bytes:
    """Give each block that looks like a header a checksum that is right, which no fuzzer would find."""
    blocks = [data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK)]
    for place, block in enumerate(blocks):
        if len(block) == _BLOCK and block[_MAGIC] == b"ustar":
            blank = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
            blocks[place] = block[: _CHECKSUM.start] + b"%06o\0 " % sum(blank) + block[_CHECKSUM.stop :]
    return b"".join(blocks)


def _see_inside(entry: Entry) -> None:
    """See that an entry names nothing outside of its tree."""
    for path in (entry.path, entry.target if entry.kind is Kind.HARDLINK else b""):
        assert not path.startswith(b"/")
        assert b"\0" not in path
        assert not {b"..", b"."} & {*path.split(b"/")}
        assert path == b"" or b"" not in path.split(b"/")


def _see_tree(entries: list[Entry], found: Scan) -> None:
    """See that a tree can be written entry by entry, each below directories that were made."""
    made: dict[bytes, Kind] = {}
    for entry in entries:
        _see_inside(entry)
        assert entry.path not in made
        assert not entry.path or made[parent(entry.path)] is Kind.DIRECTORY
        assert entry.kind is not Kind.HARDLINK or made[entry.target] is not Kind.DIRECTORY
        assert 0 <= entry.mode <= 0o7777
        assert 0 <= entry.size < 2**63
        assert 0 <= entry.uid < 2**32
        assert 0 <= entry.gid < 2**32
        made[entry.path] = entry.kind
    assert found.entries <= len(entries) <= found.entries + 1


def _see_content(walked: list[tuple[Entry, bytes]]) -> None:
    """See that each file gets just the bytes that it is to have."""
    for entry, content in walked:
        assert len(content) == entry.stored
        if entry.pieces is not None:
            parts = list(placed(entry.pieces, iter([content] if content else [])))
            assert b"".join(part for _, part in parts) == content
            assert all(offset + len(part) <= entry.size for offset, part in parts)


def _reassembled(found: Scan, contents: dict[bytes, bytes]) -> bytes:
    pieces = read_pieces(found.open_tar_split(), "split")
    return b"".join(piece.payload if piece.name is None else contents[piece.name] for piece in pieces if piece.size or piece.name is None)
