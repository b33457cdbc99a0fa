"""Walking the tree of a layer as it lies in a store (spec V61, V62, V65, V92 to V94)."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from attrs import define, field

from cstore.files import READ
from cstore.layer.names import MARK, is_reserved
from cstore.model.layout import CATALOG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.files import Directory
    from cstore.verification.tally import Tally

__all__ = ["Walked", "walk"]

_ROOT, _ROOTLESS = ("trusted.overlay.opaque",), ("user.overlay.opaque", "user.fuseoverlayfs.opaque")


@define
class Walked:
    """What a tree holds."""

    diff: Directory
    """Its top directory."""
    tally: Tally
    """What is wrong with it."""
    directories: set[bytes] = field(factory=set)
    others: set[bytes] = field(factory=set)
    opaque: set[bytes] = field(factory=set)
    """Directories whose attributes ask overlay to show nothing of the layers below."""
    closed: set[bytes] = field(factory=set)
    """Directories that cannot be read: of what is in them nothing is known."""
    special: int = 0
    """How many are devices, whiteouts among them, and fifos."""

    @property
    def entries(self) -> int:
        """How many there are, the top directory not counted."""
        return len(self.directories) + len(self.others) - 1


def walk(diff: Directory, tally: Tally) -> Walked:
    """Walk a tree, through no symlink, and note what no tree of a layer may have.

    Args:
        diff: its top directory.
        tally: where to note it.
    """
    found = Walked(diff, tally)
    left = [b""]
    while left:
        path = left.pop()
        try:
            file = os.open(path or b".", READ | os.O_DIRECTORY, dir_fd=diff.file)
        except OSError as error:
            code = "V76" if error.errno == errno.EACCES else "V63"
            tally.add(code, path, f"expected a directory that can be read, found: {error.strerror}")
            found.closed.add(path)
            continue
        try:
            found.directories.add(path)
            _see_opaque(file, path, found, tally)
            for name, is_directory, is_symlink, is_file in _listed(file, path, tally):
                found.special += not (is_directory or is_symlink or is_file)
                inner = path + b"/" + name if path else name
                _see_name(inner, name, tally)
                if is_symlink:
                    _see_symlink(file, inner, name, tally)
                if is_directory:
                    left.append(inner)
                else:
                    found.others.add(inner)
        finally:
            os.close(file)
    return found


def _listed(file: int, path: bytes, tally: Tally) -> Iterator[tuple[bytes, bool, bool, bool]]:
    try:
        with os.scandir(file) as entries:
            for entry in entries:
                yield os.fsencode(entry.name), entry.is_dir(follow_symlinks=False), entry.is_symlink(), entry.is_file(follow_symlinks=False)
    except OSError as error:
        tally.add("V63", path, f"expected a directory that can be read, found: {error.strerror}")


def _see_name(path: bytes, name: bytes, tally: Tally) -> None:
    if name.startswith(MARK):
        tally.add("V61", path, "expected no mark of AUFS, found a file that overlay shows and that hides nothing")
    elif name == CATALOG.encode():
        tally.add("V92", path, "expected no marker of a catalog, found one, which containers see")
    elif is_reserved(name):
        tally.add("V94", path, "expected no name of CernVM-FS's own, found one")


def _see_symlink(file: int, path: bytes, name: bytes, tally: Tally) -> None:
    try:
        target = os.readlink(name, dir_fd=file)
    except OSError:
        return
    if b"$(" in target:
        tally.add("V93", path, f'expected no text that clients expand, found "{os.fsdecode(target)}"')


def _see_opaque(file: int, path: bytes, found: Walked, tally: Tally) -> None:
    """Compare the attributes by which overlay of either kind knows that a directory is opaque."""
    try:
        names = os.listxattr(file)
    except OSError:
        return
    kinds = [kind for kind in (_ROOT, _ROOTLESS) if any(name in names and _is_set(file, name) for name in kind)]
    if not kinds:
        return
    found.opaque.add(path)
    if kinds == [_ROOT]:
        tally.add("V65", path, "expected user.overlay.opaque beside trusted.overlay.opaque, found none")
    elif kinds == [_ROOTLESS]:
        tally.add("V62", path, "expected trusted.overlay.opaque, found opaqueness for rootless readers only")


def _is_set(file: int, name: str) -> bool:
    try:
        return os.getxattr(file, name) == b"y"
    except OSError:
        return False
