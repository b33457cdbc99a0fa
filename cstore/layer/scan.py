"""The first reading of a layer's blob: everything is verified and measured, nothing is written but its tar-split."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from attrs import field, frozen
from fastcrc import crc64

from cstore.layer.entry import Entry, Kind, shown
from cstore.layer.shape import Shape, ShapeBuilder
from cstore.layer.tar import TarReader
from cstore.layer.tarsplit import SplitWriter

if TYPE_CHECKING:
    from cstore.layer.blob import BlobReader

__all__ = ["UNPRIVILEGED", "Scan", "kept_xattrs", "scan"]

UNPRIVILEGED = "user."
"""How the names of the extended attributes begin that every owner of a file can set."""

_OVERLAY = ("trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.")
_LABEL = "security.selinux"


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
    devices: tuple[str, ...]
    """The devices that only root can make."""
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


def scan(reader: BlobReader, at: str) -> Scan:
    """Read a layer from its blob and verify all of it.

    Args:
        reader: the blob, at its beginning.
        at: what errors call the layer.

    Raises:
        ContentError: the blob is not what its descriptor and the config promise, is damaged, or holds a member that a tree cannot.
    """
    split = SplitWriter()
    try:
        return _scan(reader, split, at)
    except BaseException:
        split.close()
        raise


def _scan(reader: BlobReader, split: SplitWriter, at: str) -> Scan:
    shape = ShapeBuilder(at)
    uids: set[int] = set()
    gids: set[int] = set()
    entries = content = dropped = privileged = 0
    devices = []
    tar = TarReader(reader, at, split.raw)
    for entry in tar:
        is_part = shape.add(entry)
        if entry.stored:
            _keep_content(tar, entry, split, is_part=is_part)
        if not is_part:
            continue
        entries += 1
        content += entry.stored
        uids.add(entry.uid)
        gids.add(entry.gid)
        if entry.xattrs:
            kept = kept_xattrs(entry)
            dropped += len(entry.xattrs) - len(kept)
            privileged += sum(not name.startswith(UNPRIVILEGED) for name, _ in kept)
        if entry.kind in (Kind.CHARACTER, Kind.BLOCK) and not entry.is_whiteout:
            devices.append(shown(entry.path))
    _keep_rest(reader, split)
    found = shape.finish()
    return Scan(
        compression=reader.compression,
        diff_size=reader.finish(),
        uids=tuple(sorted(uids)),
        gids=tuple(sorted(gids)),
        entries=entries + len(found.implied) + len(found.whiteouts),
        content=content,
        devices=tuple(devices),
        dropped_xattrs=dropped,
        privileged_xattrs=privileged,
        shape=found,
        tar_split=split.finish(),
    )


def kept_xattrs(entry: Entry) -> tuple[tuple[str, bytes], ...]:
    """Return the extended attributes that an entry's file gets (spec X1, X2)."""
    if not entry.xattrs:
        return ()
    return tuple((name, value) for name, value in entry.xattrs if name != _LABEL and not name.startswith(_OVERLAY))


def _keep_content(tar: TarReader, entry: Entry, split: SplitWriter, *, is_part: bool) -> None:
    """Let the tar-split name a file for its content, or hold the content where no file of the tree is just that (spec T5)."""
    if not is_part or entry.pieces is not None:
        for chunk in tar.content():
            split.raw(chunk)
        return
    checksum = 0
    for chunk in tar.content():
        checksum = crc64.go_iso(chunk, checksum)
    split.file(entry.name, entry.size, checksum)


def _keep_rest(reader: BlobReader, split: SplitWriter) -> None:
    while rest := reader.read(_CHUNK):
        split.raw(rest)


_CHUNK = 1 << 16
