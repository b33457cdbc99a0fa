"""Images for stores, stores made of them, and listings of stores to compare."""

from __future__ import annotations

import datetime as dt
import os
import re
import stat
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import frozen

from cstore.model.layout import Form
from cstore.pruning import plan_prune
from cstore.publish.batch import Batch, publishing
from cstore.store import Store
from tests.images import Image, device, directory, fifo, file, hardlink, opaque, symlink, tar, whiteout, write_layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cstore.delta import Delta

DAY = dt.date(2026, 1, 2)
"""The day on which the layers of these stores are retired."""

OLD = "registry.example.org/team/app:1"
NEW = "registry.example.org/team/app:2"
TOOL = "registry.example.org/team/tool:1"

BASE = tar(
    directory("etc"),
    file("etc/motd", b"hello\n"),
    file("etc/empty"),
    directory("tmp", 0o1777),
    directory("root", 0o700),
    file("root/secret", b"s" * 5000, 0o600, uid=7, gid=8),
    directory("usr"),
    directory("usr/lib"),
    file("usr/lib/one", b"1"),
    file("usr/lib/two", b"2", mtime=1_600_000_000.5),
)
TOP = tar(
    whiteout("etc/motd"),
    opaque("usr/lib"),
    file("usr/lib/three", b"3", xattrs={"user.note": b"kept"}),
    hardlink("usr/lib/four", "usr/lib/three"),
    symlink("usr/lib/five", "../../etc/motd"),
    file("tmp/tool", b"#!/bin/sh\n", 0o4755),
    fifo("tmp/pipe"),
    device("tmp/null", 1, 3),
)
OTHER = tar(file("opt/other", b"o" * 3000), whiteout("etc/empty"))

IMAGES = {
    "old": Image(layers=(BASE, OTHER)),
    "new": Image(layers=(BASE, TOP), compression="zstd"),
    "tool": Image(layers=(BASE,), labels={"what": "tool"}),
}


def sources(place: Path) -> dict[str, str]:
    """Write the images, and return each as a source."""
    layout = write_layout(place, IMAGES)
    return {tag: f"{layout}:{tag}" for tag in IMAGES}


@frozen
class Scenario:
    """A change of a store in which some images may be already."""

    name: str
    before: tuple[tuple[str, str], ...]
    """Tags of images and their names, in the store before."""
    removed: tuple[str, ...]
    """Names taken away again before."""
    verb: tuple[str, ...]
    """The command line: the verb, then what follows the location; `oci:TAG` stands for a source."""

    def prepare(self, root: Path, made: dict[str, str], form: Form) -> None:
        """Make the store as it is before."""
        if self.before:
            with publishing(root, form=form, today=DAY) as batch:
                for tag, name in self.before:
                    batch.add(made[tag], name=name)
        if self.removed:
            with publishing(root, today=DAY) as batch:
                for name in self.removed:
                    batch.remove(name)

    def arguments(self, root: Path, made: dict[str, str], form: Form) -> list[str]:
        """Return the arguments of the command line."""
        verb, *rest = [made[word.removeprefix("oci:")] if word.startswith("oci:") else word for word in self.verb]
        return [verb, str(root), *rest, *(("--layout", form.value) if verb == "add" else ())]

    @contextmanager
    def planned(self, root: Path, made: dict[str, str], form: Form) -> Iterator[Delta]:
        """Give the delta of the change, for as long as its sources are open."""
        verb, *rest = self.verb
        if verb == "prune":
            yield plan_prune(Store.open(root), dt.timedelta(0), DAY)
            return
        batch = Batch(root, form=form, today=DAY)
        try:
            if verb == "add":
                batch.add(made[rest[0].removeprefix("oci:")], name=rest[2])
            elif verb == "tag":
                batch.tag(*rest)
            else:
                batch.remove(rest[0])
            yield batch.plan()
        finally:
            batch.close()


SCENARIOS = (
    Scenario("add to nothing", (), (), ("add", "oci:new", "--name", NEW)),
    Scenario("add", (("old", OLD),), (), ("add", "oci:new", "--name", NEW)),
    Scenario("add and move a name", (("old", OLD),), (), ("add", "oci:new", "--name", OLD)),
    Scenario("move a name", (("old", OLD), ("tool", TOOL)), (), ("tag", TOOL, OLD)),
    Scenario("remove", (("old", OLD), ("new", NEW)), (), ("remove", NEW)),
    Scenario("prune", (("old", OLD), ("new", NEW)), (NEW,), ("prune", "--grace", "0d")),
)
FORMS = (Form.DIRECT, Form.SHARDED)


def listing(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return each entry of a store with its kind, mode, owner, content and attributes; below `diff` also with its time.

    The days on which layers were retired stand there as one and the same, and hard links by the first of their names.
    """
    found: dict[str, tuple[Any, ...]] = {}
    first: dict[int, str] = {}
    for path in _paths(root):
        place = root / path
        told = place.lstat()
        kind = stat.S_IFMT(told.st_mode)
        if kind == stat.S_IFLNK:
            content: object = str(place.readlink())
        elif kind == stat.S_IFREG:
            content = re.sub(rb"\d{4}-\d\d-\d\d", b"DAY", place.read_bytes()) if path == "cstore.json" else place.read_bytes()
        else:
            content = told.st_rdev
        xattrs = {name: os.getxattr(place, name, follow_symlinks=False) for name in os.listxattr(place, follow_symlinks=False)}
        link = first.setdefault(told.st_ino, path) if kind != stat.S_IFDIR else ""
        time = told.st_mtime_ns if re.search(r"/diff(/|$)", path) else None
        found[path] = (oct(told.st_mode), told.st_uid, told.st_gid, content, xattrs, link if link != path else "", time)
    return found


def exact(root: Path) -> dict[str, tuple[int, ...]]:
    """Return each entry of a store with all that changes when it is touched."""
    found: dict[str, tuple[int, ...]] = {}
    for path in _paths(root):
        told = (root / path).lstat()
        found[path] = (told.st_ino, told.st_mode, told.st_uid, told.st_gid, told.st_size, told.st_nlink, told.st_mtime_ns, told.st_ctime_ns)
    return found


def copy(store: Path, to: Path) -> None:
    """Copy a store with all that belongs to it."""
    subprocess.run(["cp", "-a", store, to], check=True)


def _paths(root: Path) -> list[str]:
    if not root.exists():
        return []
    found = [""]
    for above, directories, files in os.walk(root):
        found += [os.path.relpath(os.path.join(above, name), root) for name in (*directories, *files)]  # noqa: PTH118 - text from os.walk
    return sorted(found)
