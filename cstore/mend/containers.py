"""Whether podman keeps containers in a store: then layers belong to it that no image names, and what lies beside them is in use."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cstore.errors import StoreError
from cstore.verification.files import UnreadableError, kind_of, read_all

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["refuse_containers"]

_LISTS = ("overlay-containers/containers.json", "overlay-containers/volatile-containers.json", "overlay-layers/volatile-layers.json")
_EMPTY = (b"", b"[]", b"null")
_MOST = 64 << 20


def refuse_containers(root: Path) -> None:
    """See that podman keeps no containers in a store.

    Args:
        root: the store's directory; there may be none.

    Raises:
        StoreError: it does, or that cannot be told.
    """
    for path in _LISTS:
        found = _found(root / path)
        if found:
            raise StoreError(f"{root / path}: expected an additional store, in which podman keeps no containers, found {found}")


def _found(place: Path) -> str:
    """Return what is in a list that should be empty; nothing where it is."""
    try:
        # Through symlinks, as podman does; a fifo is not waited for.
        file = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"a file that cannot be opened ({error.strerror})"
    try:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            return kind_of(mode)
        data = b"".join(read_all(file, _MOST).split())
    except UnreadableError as error:
        return str(error)
    finally:
        os.close(file)
    return "" if data in _EMPTY else f"{len(data)} bytes about some"
