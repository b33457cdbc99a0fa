"""What is to be seen of a store: the old state or the new one, nothing wrong, and nothing held by one who has died."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from cstore.index.lock import request
from cstore.model.layout import VIEWS
from cstore.verification.problem import Reach
from cstore.verification.store import verify
from tests.compat.mounts import unmount_below
from tests.publish.soundness import INDEXES, is_visible, names
from tests.publish.stores import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.crashes.grounds import Copy

__all__ = ["State", "differences", "held_locks", "seen_by_podman", "unlike_both"]

_EMPTY = b"[]"
_BEHIND = ("V75", "V101", "V102")
"""A kill just after an index got its name leaves its lock, and the views of the store, as they were: readers see the new images, but
services that run already, and readers of views, only with the next change, which finishes this one (spec P3)."""


@frozen
class State:
    """A store at one moment."""

    listing: dict[str, tuple[Any, ...]]
    indexes: tuple[bytes | None, ...]
    """The bytes of both; None where there is none."""
    names: dict[str, str]
    """The images behind the names that readers see."""
    problems: dict[str, frozenset[str]]
    """What `verify` finds that anybody can notice, by the image, layer or path that it is about."""

    @classmethod
    def of(cls, copy: Copy) -> State:
        """Read a store; where the path of a copy stands in it, it is the same for all copies whose paths are of one length."""
        root, beside = copy.root, f"{copy.beside}/"
        indexes = tuple((root / index).read_bytes() if (root / index).exists() else None for index in INDEXES)
        return cls(_listing(root, beside), indexes, names(root), _problems(root, beside))


def _listing(root: Path, beside: str) -> dict[str, tuple[Any, ...]]:
    found = {}
    for path, (mode, user, group, content, xattrs, first, time) in listing(root).items():
        if isinstance(content, str):
            # A layer's tree that lies elsewhere is no part of a layer, and its symlink has the time at which it was put there.
            found[path] = (mode, user, group, content.replace(beside, "BESIDE/"), xattrs, first, None if path.endswith("/diff") else time)
        else:
            found[path] = (mode, user, group, content, xattrs, first, time)
    return found


def _problems(root: Path, beside: str) -> dict[str, frozenset[str]]:
    """Return what is wrong with a store and its views, for readers of either."""
    found: dict[str, set[str]] = {}
    for place in (root, *sorted((root / VIEWS).glob("*"))):
        for problem in verify(place) if is_visible(place) else ():
            if problem.reach is not Reach.NOTE:
                subject = f"{place.relative_to(root)} {problem.subject}"
                found.setdefault(subject, set()).add(str(problem).replace(beside, "BESIDE/"))
    return {subject: frozenset(told) for subject, told in found.items()}


def unlike_both(found: State, old: State, new: State) -> Iterator[str]:
    """Yield in what a store is neither the old one nor the new one, as readers see them."""
    for index, data, *both in zip(INDEXES, found.indexes, old.indexes, new.indexes, strict=True):
        # In a new store both indexes are there empty before anything is in them (spec P1).
        if data not in both and not (both[0] is None and data == _EMPTY):
            yield f"{index} has neither its old nor its new bytes"
    if found.names not in (old.names, new.names):
        yield f"readers see neither the old nor the new images: {found.names}"
    for subject, told in found.problems.items():
        # What is mended step by step may show another of its problems meanwhile.
        if subject not in old.problems:
            yield from sorted(
                problem for problem in told - new.problems.get(subject, frozenset()) if problem.partition(" ")[0] not in _BEHIND
            )


def differences(found: State, wanted: State) -> Iterator[str]:
    """Yield each path at which a store is not what it should be, and each problem that it should not have."""
    for path in sorted(found.listing.keys() | wanted.listing.keys()):
        here, there = found.listing.get(path), wanted.listing.get(path)
        if here != there:
            yield f"{path or 'the store'}: expected {str(there)[:200]}, found {str(here)[:200]}"
    for subject, told in found.problems.items():
        yield from sorted(told - wanted.problems.get(subject, frozenset()))


def held_locks(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the lock files that somebody holds."""
    for path in paths:
        with suppress(FileNotFoundError):
            file = os.open(path, os.O_RDWR)
            try:
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, request(fcntl.F_WRLCK))
            except BlockingIOError:
                yield f"{path.name} is locked still"
            finally:
                os.close(file)


def seen_by_podman(copy: Copy) -> dict[str, str]:
    """Return the images that podman lists of a store, by their names; what it says where it fails."""
    with tempfile.TemporaryDirectory(prefix="podman-") as place:
        own = [f"--root={place}/root", f"--runroot={place}/run", f"--tmpdir={place}/libpod", "--storage-driver=overlay"]
        store = f"--storage-opt=additionalimagestore={copy.root}"
        listed = ["images", "--no-trunc", "--format={{.Repository}}:{{.Tag}} {{.ID}}"]
        done = subprocess.run(["podman", *own, store, *listed], capture_output=True, text=True, check=False)
        # Where it fails, it leaves its directory mounted.
        unmount_below(Path(place))
    if done.returncode:
        return {"podman fails": done.stderr.strip()}
    lines = [line.split() for line in done.stdout.splitlines()]
    return {name: image.removeprefix("sha256:") for name, image in lines}
