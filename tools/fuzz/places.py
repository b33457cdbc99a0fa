"""Targets that need a directory: archives, stores of which one file is the input, and journals of interrupted writers.

Each has a directory of its own for all inputs, and leaves it as it was.
"""

from __future__ import annotations

import datetime as dt
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from cstore.errors import StoreError
from cstore.mend.repair import plan_repair
from cstore.model.layout import WORK
from cstore.model.platform import Platform
from cstore.pruning import plan_prune
from cstore.publish.directory import writing
from cstore.publish.journal import Journal
from cstore.source import open_source
from cstore.store import Store
from cstore.verification.store import verify
from tools.fuzz.tars import sealed
from tools.make_store import make_store

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["archive", "journal", "store"]

_DAY = dt.date(2026, 11, 24)
_KINDS = ("oci-archive", "docker-archive")
_FILES = ("a", "b/c", "b/d")


def archive(data: bytes, scratch: Path) -> None:
    """Source: an archive of either kind, which the first byte tells; all that is opened lies in it."""
    place = scratch / "archive"
    place.write_bytes(sealed(data[1:]))
    with suppress(StoreError):
        image = open_source(f"{_KINDS[(data or b'0')[0] % 2]}:{place}", Platform("linux", "amd64"))
        try:
            for descriptor in image.manifest.layers:
                with suppress(StoreError), image.open_blob(descriptor) as file:
                    while file.read(1 << 16):
                        pass
        finally:
            image.close()


def store(data: bytes, scratch: Path) -> None:
    """Store: one file of it, which the first byte tells, is the input. Verifying tells problems, and raises nothing; nor do the others."""
    root = scratch / "store"
    if not root.exists():
        make_store(root, images=1, layers=2)
    places = sorted(place for place in root.rglob("*") if place.is_file() and not place.is_symlink())
    place = places[(data or b"0")[0] % len(places)]
    kept = place.read_bytes()
    place.write_bytes(data[1:])
    try:
        told = [str(problem) for problem in verify(root, deep=True)]
        assert [str(problem) for problem in verify(root, deep=True)] == told
        with suppress(StoreError):
            assert plan_repair(root, str(root), dt.timedelta(days=14), _DAY) is not None
        with suppress(StoreError):
            opened = Store.open(root)
            for image in opened.all_images():
                for layer in opened.chain(image.layer):
                    opened.link(layer.id)
        with suppress(StoreError):
            plan_prune(Store.open(root), dt.timedelta(), _DAY)
    finally:
        place.write_bytes(kept)


def journal(data: bytes, scratch: Path) -> None:
    """Journal: whatever it says, recovering from it changes nothing outside of the store."""
    root, outside = scratch / "store", scratch / "outside"
    shutil.rmtree(root, ignore_errors=True)
    for place in (*(root / name for name in _FILES), outside / "file"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(place.name.encode())
    (root / WORK).mkdir()
    (root / WORK / "journal").write_bytes(data)
    with suppress(StoreError):
        found = Journal.read(root)
        assert found is not None
        for path in (*found.puts, *found.replaced, *found.removes, *found.old_locks, *found.new_locks, *found.directories):
            assert (root / path).resolve().is_relative_to(root.resolve())
    with suppress(StoreError), writing(root):
        pass
    assert sorted(path.name for path in scratch.iterdir()) == ["outside", "store"]
    assert [(path.name, path.read_bytes()) for path in outside.iterdir()] == [("file", b"file")]
