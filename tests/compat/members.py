"""Layers from tars written by hand, and by GNU tar."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.compat.programs import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tools.make_images import UmociImage

__all__ = ["IMPLIED", "LONG_AGO", "OPAQUE", "REPEATED", "REPLACED", "SPARSE", "add_gnu_tar", "add_tar", "topless", "twice_hidden"]

LONG_AGO = 1_234_567_890
"""The time of all members, in seconds."""

SPARSE = bytes(1 << 20) + b"between two holes" + bytes(2 << 20)
"""The content of sparse files."""

_CAPABILITY = "\x01\x00\x00\x02\x00\x04\x00\x00" + "\x00" * 12
_Member = tuple[tarfile.TarInfo, bytes]


def _member(name: str, kind: bytes, *, mode: int, owner: tuple[int, int] = (0, 0), mtime: float = LONG_AGO) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, mtime
    info.uid, info.gid = owner
    return info


def _directory(name: str, *, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> _Member:
    return _member(name, tarfile.DIRTYPE, mode=mode, owner=owner), b""


def _file(name: str, data: bytes, *, mode: int = 0o644, mtime: float = LONG_AGO, xattrs: Mapping[str, str] | None = None) -> _Member:
    info = _member(name, tarfile.REGTYPE, mode=mode, mtime=mtime)
    info.size = len(data)
    info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in (xattrs or {}).items()}
    return info, data


def _link(name: str, kind: bytes, target: str) -> _Member:
    info = _member(name, kind, mode=0o777)
    info.linkname = target
    return info, b""


def _opaque(directory: str) -> _Member:
    return _file(f"{directory}/.wh..wh..opq", b"")


def _whiteout(path: str) -> _Member:
    directory, _, name = path.rpartition("/")
    return _file(f"{directory}/.wh.{name}", b"")


def add_tar(image: UmociImage, members: Iterable[_Member]) -> None:
    with tempfile.TemporaryDirectory(dir=image.layout.parent) as directory:
        path = Path(directory, "layer.tar")
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for info, data in members:
                tar.addfile(info, io.BytesIO(data))
        image.add_tar(path)


def add_gnu_tar(image: UmociImage, tar_format: str, names: Iterable[str]) -> None:
    """Add a layer that GNU tar writes of sparse files with these names."""
    with tempfile.TemporaryDirectory(dir=image.layout.parent) as directory:
        tree, path = Path(directory, "tree"), Path(directory, "layer.tar")
        tree.mkdir()
        for name in names:
            (tree / name).write_bytes(b"")
            os.truncate(tree / name, len(SPARSE))
            with (tree / name).open("r+b") as file:
                file.seek(SPARSE.index(b"b"))
                file.write(SPARSE.strip(b"\0"))
        members = [f"./{name}" for name in names]
        run(
            "tar",
            "--sparse",
            f"--format={tar_format}",
            f"--mtime=@{LONG_AGO}",
            "--transform=s,^./,srv/,",
            "-cf",
            path,
            "-C",
            tree,
            *members,
        )
        image.add_tar(path)


OPAQUE = (
    _directory("opt/opaque", mode=0o775, owner=(5, 6)),
    _opaque("opt/opaque"),
    _file("opt/opaque/new", b"in an opaque directory\n"),
    _file("opt/opaque/sub/new", b"below an opaque directory\n"),
    _opaque("opt/opaque/sub"),
    _opaque("opt/deep/a/b"),
    _opaque("opt/fresh"),
    _file("etc/replaced/sub/late", b"before the mark that makes its directory opaque\n"),
    _opaque("etc/replaced/sub"),
)
IMPLIED = (
    _file("tmp/implied/file", b"below a sticky directory\n"),
    _file("root/implied/deep/file", b"below a closed directory\n"),
    _whiteout("root/secret"),
    _file("home/user/implied/file", b"below somebody's directory\n"),
    _file("srv/by-hand-1", b"three names\n", mtime=LONG_AGO + 0.25),
    _link("srv/by-hand-2", tarfile.LNKTYPE, "srv/by-hand-1"),
    _link("srv/by-hand-3", tarfile.LNKTYPE, "srv/by-hand-1"),
    _file("srv/noted", b"with an attribute\n", xattrs={"user.note": "noted"}),
    _file("srv/capable", b"with a capability\n", mode=0o755, xattrs={"security.capability": _CAPABILITY}),
    _file("srv/" + "n" * 255, b"a long name\n"),
    _file("srv/" + "/".join(["deep"] * 30) + "/file", b"a long path\n"),
    _file("srv/\N{SNOWMAN} and a\ttab", b"an odd name\n"),
)
REPEATED = (_file("srv/repeated", b"twice the same layer\n"),)
REPLACED = (
    _file("etc/dir-to-file", b"a file\n"),
    _whiteout("etc/by-hand"),
    _directory("etc/by-hand", mode=0o751),
    _file("etc/by-hand/new", b"in a directory that replaces one\n"),
)


def twice_hidden() -> tuple[_Member, ...]:
    """Return a layer that removes a directory, and then, as some tools write it, what was in it."""
    return (_whiteout("opt/deep"), _whiteout("opt/deep/a"))


def topless(busybox: bytes) -> tuple[_Member, ...]:
    """Return a base layer that has no entry for the top directory."""
    return (_directory("bin"), _file("bin/busybox", busybox, mode=0o755), _link("bin/sh", tarfile.SYMTYPE, "busybox"))
