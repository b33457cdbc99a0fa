"""A layer's tree as it lies in a directory: what is wrong with it, how large it is, and its entries as a stream."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import field, frozen

from cstore.errors import ContentError, SourceError
from cstore.files import READ
from cstore.layer.entry import Entry, Kind, plain, shown
from cstore.layer.names import MARK, is_reserved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Xattrs = tuple[tuple[str, bytes], ...]

__all__ = ["LaidTree", "Look", "Measures", "look", "measure"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}
_NAMESPACES = ("user.", "trusted.", "security.", "system.")
_LABEL = "security.selinux"
_MAGIC = "user.fqrn"
"""An attribute that a CernVM-FS client shows on everything, with many others that are no file's own."""


@frozen(kw_only=True)
class Look:
    """What the names in a tree tell; no file is opened for it, and none but the top is asked for its attributes."""

    mark: str
    """The first path, in the order of names, that is an AUFS whiteout; empty where there is none."""
    reserved: tuple[str, ...]
    """Paths with names that CernVM-FS takes for its own."""
    owner: int
    """The user to whom the top directory belongs."""


@frozen(kw_only=True)
class Measures:
    """What a publisher must know of a tree."""

    entries: int
    size: int
    special: int
    whiteouts: int
    xattrs: int
    longest_xattr: int
    uids: tuple[int, ...]
    gids: tuple[int, ...]


@frozen(kw_only=True)
class LaidTree:
    """A tree in a directory, to be walked as often as wanted. Names that CernVM-FS takes for its own are left out."""

    at: str
    """What errors call it."""
    whiteouts: int = 0
    open: Callable[[], int] = field(repr=False, eq=False)
    """Returns a descriptor of the top directory, to be closed."""

    def walk(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield each entry with the bytes of its content, which must be read before the next entry.

        The first entry is the top directory. Every directory comes before what is in it, and a hard link after its target; names
        come in their order.

        Raises:
            ContentError: it cannot be read, or holds what no layer can.
        """
        top = self.open()
        first: dict[tuple[int, int], bytes] = {}
        try:
            with _as_content_errors(self.at):
                xattrs = _no_xattrs if _is_cvmfs(top) else _xattrs
                yield _entry(b"", os.fstat(top), b"", xattrs(f"/proc/self/fd/{top}/.")), iter(())
                for path, found, directory in _below(top):
                    if is_reserved(path):
                        continue
                    told = found.stat(follow_symlinks=False)
                    if told.st_nlink > 1 and not stat.S_ISDIR(told.st_mode):
                        target = first.setdefault((told.st_dev, told.st_ino), path)
                        if target != path:
                            yield _hard_link(path, told, target), iter(())
                            continue
                    yield self._found(path, told, found.name, directory, xattrs)
        finally:
            os.close(top)

    def _found(
        self, path: bytes, told: os.stat_result, name: str, directory: int, xattrs: Callable[[str], Xattrs]
    ) -> tuple[Entry, Iterator[bytes]]:
        target = os.fsencode(os.readlink(name, dir_fd=directory)) if stat.S_ISLNK(told.st_mode) else b""
        has_xattrs = stat.S_ISREG(told.st_mode) or stat.S_ISDIR(told.st_mode)
        entry = _entry(path, told, target, xattrs(f"/proc/self/fd/{directory}/{name}") if has_xattrs else ())
        return entry, self._content(entry, name, directory) if entry.kind is Kind.FILE else iter(())

    def _content(self, entry: Entry, name: str, directory: int) -> Iterator[bytes]:
        with _as_content_errors(self.at):
            handle = os.open(name, READ, dir_fd=directory)
            try:
                left = entry.size
                while chunk := os.read(handle, min(_CHUNK, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        break
                    yield chunk
            finally:
                os.close(handle)
        if left:
            raise ContentError(f"{self.at}: expected {entry.size} bytes in {shown(entry.path)}, found {'fewer' if left > 0 else 'more'}")


def look(tree: LaidTree) -> Look:
    """Look through the names in a tree.

    Raises:
        ContentError: it cannot be read.
    """
    mark, reserved = "", []
    top = tree.open()
    try:
        with _as_content_errors(tree.at):
            for path, found, _ in _below(top):
                if os.fsencode(found.name).startswith(MARK) and not mark:
                    mark = plain(path)
                if is_reserved(path):
                    reserved.append(plain(path))
            return Look(mark=mark, reserved=tuple(reserved), owner=os.fstat(top).st_uid)
    finally:
        os.close(top)


def measure(tree: LaidTree) -> Measures:
    """Look at every entry of a tree.

    Raises:
        ContentError: it cannot be read, or holds what no layer can.
    """
    entries = size = special = whiteouts = 0
    lengths: list[int] = []
    uids, gids = set(), set()
    for entry, _ in tree.walk():
        entries += 1
        size += entry.size
        special += entry.kind in (Kind.CHARACTER, Kind.BLOCK, Kind.FIFO)
        whiteouts += entry.is_whiteout
        lengths += [len(value) for _, value in entry.xattrs]
        if not entry.is_whiteout:
            uids.add(entry.uid)
            gids.add(entry.gid)
    return Measures(
        entries=entries,
        size=size,
        special=special,
        whiteouts=whiteouts,
        xattrs=len(lengths),
        longest_xattr=max(lengths, default=0),
        uids=tuple(sorted(uids)),
        gids=tuple(sorted(gids)),
    )


def _below(top: int) -> Iterator[tuple[bytes, os.DirEntry[str], int]]:
    """Yield all that is in a directory and below, each directory before what is in it: path, entry, and its directory's descriptor."""
    stack = [(top, b"", _sorted(top))]
    try:
        while stack:
            handle, prefix, left = stack[-1]
            found = next(left, None)
            if found is None:
                stack.pop()
                if stack:
                    os.close(handle)
                continue
            path = prefix + os.fsencode(found.name)
            yield path, found, handle
            if found.is_dir(follow_symlinks=False):
                below = os.open(found.name, _DIRECTORY, dir_fd=handle)
                # It is on the stack, and so closed in the end, whether or not it can be listed.
                stack.append((below, path + b"/", iter(())))
                stack[-1] = (below, path + b"/", _sorted(below))
    finally:
        for handle, _, _ in stack[1:]:
            os.close(handle)


def _sorted(directory: int) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as found:
        return iter(sorted(found, key=lambda entry: os.fsencode(entry.name)))


def _entry(path: bytes, told: os.stat_result, target: bytes, xattrs: Xattrs) -> Entry:
    kind = _KINDS.get(stat.S_IFMT(told.st_mode))
    if kind is None:
        raise SourceError(f"expected files, directories, links, devices and fifos, found {shown(path)}, which is none of them")
    return Entry(
        path,
        kind,
        0o777 if kind is Kind.SYMLINK else stat.S_IMODE(told.st_mode),
        told.st_uid,
        told.st_gid,
        told.st_mtime_ns,
        size=told.st_size if kind is Kind.FILE else 0,
        target=target,
        device=(os.major(told.st_rdev), os.minor(told.st_rdev)),
        xattrs=xattrs,
    )


def _hard_link(path: bytes, told: os.stat_result, target: bytes) -> Entry:
    return Entry(path, Kind.HARDLINK, stat.S_IMODE(told.st_mode), told.st_uid, told.st_gid, told.st_mtime_ns, target=target)


def _is_cvmfs(directory: int) -> bool:
    try:
        return bool(os.getxattr(directory, _MAGIC))
    except OSError:
        return False


def _no_xattrs(_place: str) -> Xattrs:
    """Return none: what the converter ingests has lost them."""
    return ()


def _xattrs(place: str) -> Xattrs:
    """Return the extended attributes of a file or directory, but for the label that the machine gives to each."""
    try:
        names = os.listxattr(place, follow_symlinks=False)
    except OSError:
        return ()
    kept = sorted(name for name in names if name.startswith(_NAMESPACES) and name != _LABEL)
    return tuple((name, os.getxattr(place, name, follow_symlinks=False)) for name in kept)


@contextmanager
def _as_content_errors(at: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ContentError(f"{at}: expected a tree that can be read, found: {error.strerror or error}") from None
    except SourceError as error:
        raise ContentError(f"{at}: {error}") from None
