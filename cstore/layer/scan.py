"""The first reading of a layer's blob: everything is verified and measured, nothing is written but its tar-split."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from attrs import field, frozen
from fastcrc import crc64

from cstore.layer.entry import Entry, Kind, plain
from cstore.layer.names import is_reserved
from cstore.layer.shape import Shape, ShapeBuilder
from cstore.layer.tar import TarReader
from cstore.layer.tarsplit import SplitWriter

if TYPE_CHECKING:
    from cstore.layer.blob import BlobReader

__all__ = ["UNPRIVILEGED", "Scan", "kept_xattrs", "scan"]

UNPRIVILEGED = "user."
"""How the names of the extended attributes begin that every owner of a file can set."""

_OTHERS = ("trusted.", "security.", "system.")
_NAMESPACES = (UNPRIVILEGED, *_OTHERS)
_WITH_USERS = (Kind.FILE, Kind.DIRECTORY, Kind.HARDLINK)
_OVERLAY = ("trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.")
_SPECIAL = (Kind.CHARACTER, Kind.BLOCK, Kind.FIFO)
_LABEL = "security.selinux"
_FILE = Kind.FILE
"""Looked up once: a layer may have a million of them."""


@frozen(kw_only=True)
class Scan:
    """What the first reading of a layer found."""

    compression: str
    """`gzip`, `zstd` or `none`."""
    diff_size: int
    """Bytes of the uncompressed tar."""
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    entries: int
    """How many entries the tar gives to the tree, implied directories and whiteouts included."""
    content: int
    """Bytes of content in the tree, holes not counted."""
    holes: int
    """Bytes of all holes in sparse files."""
    devices: tuple[str, ...]
    """The devices that only root can make."""
    special: int
    """How many members are devices (whiteouts among them) and fifos."""
    reserved: tuple[str, ...]
    """Names that CernVM-FS would take for its own (spec C9)."""
    variables: tuple[str, ...]
    """Symlinks whose text a CernVM-FS client would expand (spec C10)."""
    xattrs: int
    """Extended attributes that are kept."""
    longest_xattr: int
    """Bytes of the longest of them."""
    dropped_xattrs: int
    """Extended attributes that would tell overlay or SELinux something and are left out (spec X2)."""
    privileged_xattrs: int
    """Those that are kept but that only root can set, such as file capabilities."""
    shape: Shape
    tar_split: IO[bytes] = field(repr=False)

    @property
    def tar_split_size(self) -> int:
        """Bytes of the tar-split."""
        return self.tar_split.seek(0, 2)

    def open_tar_split(self) -> IO[bytes]:
        """Return the tar-split at its beginning; it is one file, read by one reader at a time and never closed by it."""
        self.tar_split.seek(0)
        return self.tar_split


def scan(reader: BlobReader, at: str, scratch: IO[bytes] | None = None) -> Scan:
    """Read a layer from its blob and verify all of it.

    Args:
        reader: the blob, at its beginning.
        at: what errors call the layer.
        scratch: a file that keeps the tar-splits of many layers; None makes one for this layer.

    Raises:
        ContentError: the blob is not what its descriptor and the config promise, is damaged, or holds a member that a tree cannot.
    """
    split = SplitWriter(scratch)
    try:
        return _scan(reader, split, at)
    except BaseException:
        split.close()
        raise


def _scan(reader: BlobReader, split: SplitWriter, at: str) -> Scan:
    shape = ShapeBuilder(at)
    count = _Count()
    tar = TarReader(reader, at, split.raw)
    for entry in tar:
        is_part = shape.add(entry)
        if entry.size and entry.stored:
            _keep_content(tar, entry, split, is_part=is_part)
        if is_part:
            count.add(entry)
    while rest := reader.read(_CHUNK):
        split.raw(rest)
    found = shape.finish()
    return Scan(
        compression=reader.compression,
        diff_size=reader.finish(),
        uids=tuple(sorted(count.uids)),
        gids=tuple(sorted(count.gids)),
        entries=count.entries + len(found.implied) + len(found.whiteouts),
        content=count.content,
        holes=count.holes,
        devices=tuple(count.devices),
        special=count.special,
        reserved=tuple(count.reserved),
        variables=tuple(count.variables),
        xattrs=count.xattrs,
        longest_xattr=count.longest_xattr,
        dropped_xattrs=count.dropped,
        privileged_xattrs=count.privileged,
        shape=found,
        tar_split=split.finish(),
    )


class _Count:
    """What is counted of the entries of a tree."""

    def __init__(self) -> None:
        self.entries = self.content = self.holes = self.special = 0
        self.xattrs = self.longest_xattr = self.dropped = self.privileged = 0
        self.uids: set[int] = set()
        self.gids: set[int] = set()
        self.devices: list[str] = []
        self.reserved: list[str] = []
        self.variables: list[str] = []

    def add(self, entry: Entry) -> None:
        self.entries += 1
        self.uids.add(entry.uid)
        self.gids.add(entry.gid)
        kind = entry.kind
        if kind is _FILE:
            self.content += entry.stored
            self.holes += entry.size - entry.stored
        elif kind is Kind.SYMLINK:
            if b"$(" in entry.target:
                self.variables.append(plain(entry.path))
        elif kind in _SPECIAL:
            self.special += 1
            if kind is not Kind.FIFO and not entry.is_whiteout:
                self.devices.append(plain(entry.path))
        if is_reserved(entry.path):
            self.reserved.append(plain(entry.path))
        if entry.xattrs:
            kept = kept_xattrs(entry)
            self.xattrs += len(kept)
            self.longest_xattr = max(self.longest_xattr, *(len(value) for _, value in kept), 0)
            self.dropped += len(entry.xattrs) - len(kept)
            self.privileged += sum(not name.startswith(UNPRIVILEGED) for name, _ in kept)


def kept_xattrs(entry: Entry) -> tuple[tuple[str, bytes], ...]:
    """Return the extended attributes that an entry's file gets (spec X1, X2); Linux has none of users' on symlinks and devices."""
    if not entry.xattrs:
        return ()
    return tuple(
        (name, value)
        for name, value in entry.xattrs
        if name.startswith(_NAMESPACES if entry.kind in _WITH_USERS else _OTHERS) and name != _LABEL and not name.startswith(_OVERLAY)
    )


def _keep_content(tar: TarReader, entry: Entry, split: SplitWriter, *, is_part: bool) -> None:
    """Let the tar-split name a file for its content, or hold the content where no file of every tree is just that (spec T5)."""
    if not is_part or entry.pieces is not None or is_reserved(entry.path):
        for chunk in tar.content():
            split.raw(chunk)
        return
    checksum = 0
    for chunk in tar.content():
        checksum = crc64.go_iso(chunk, checksum)
    split.file(entry.name, entry.size, checksum)


_CHUNK = 1 << 16
