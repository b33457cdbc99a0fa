"""Whether podman keeps containers in a store: then layers belong to it that no image names, and what lies beside them is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import StoreError
from cstore.files import UnreadableError
from cstore.origin import Origin, opened

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.files import Directory

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
    if not root.is_dir():
        return
    origin = Origin.of(root, str(root.absolute()))
    try:
        with opened(root) as top:
            for path in _LISTS:
                found = _found(top, path, origin)
                if found:
                    raise StoreError(f"{root / path}: expected an additional store, in which podman keeps no containers, found {found}")
    except OSError as error:
        raise StoreError(f"{root}: expected a store, found a directory that cannot be opened ({error.strerror})") from None


def _found(top: Directory, path: str, origin: Origin) -> str:
    """Return what is in a list that should be empty; nothing where it is."""
    above, _, name = path.rpartition("/")
    with top.opened(above) as room:
        if room is None:
            target = top.target(above)
            leads_nowhere = target is not None and origin.kind_at(origin.inside(""), target) == 0
            there = top.found(above)
            return "" if there == "nothing" or leads_nowhere else f"{there} that cannot be entered at {above}"
        if room.found(name) == "nothing":
            return ""
        try:
            data = b"".join(room.read(name, _MOST).split())
        except UnreadableError as error:
            return str(error)
    return "" if data in _EMPTY else f"{len(data)} bytes about some"
