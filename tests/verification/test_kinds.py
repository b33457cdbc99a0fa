"""Each file and directory of a store may be something else: that is a problem, nothing is waited for, and no symlink leads out."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from typing import TYPE_CHECKING

import pytest

from cstore.verification.store import verify
from tests.verification.patience import patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.verification.target import Target

PLACES: dict[str, tuple[Callable[[Target], Path], str, str]] = {
    "images.json": (lambda target: target.index("images"), "file", "V1"),
    "layers.json": (lambda target: target.index("layers"), "file", "V1"),
    "images.lock": (lambda target: target.lock("images"), "file", "V5"),
    "layers.lock": (lambda target: target.lock("layers"), "file", "V5"),
    "cstore.json": (lambda target: target.root / "cstore.json", "file", "V88"),
    "overlay": (lambda target: target.root / "overlay", "directory", "V51"),
    "overlay-images": (lambda target: target.root / "overlay-images", "directory", "V5"),
    "overlay-layers": (lambda target: target.root / "overlay-layers", "directory", "V5"),
    "a layer": (lambda target: target.layer(target.top), "directory", "V51"),
    "overlay/l": (lambda target: target.root / "overlay/l", "directory", "V53"),
    "a symlink of a link": (lambda target: target.link(target.top), "symlink", "V53"),
    "link": (lambda target: target.layer(target.top) / "link", "file", "V52"),
    "lower": (lambda target: target.layer(target.top) / "lower", "file", "V55"),
    "lower-layers": (lambda target: target.layer(target.top) / "lower-layers", "file", "V56"),
    "empty": (lambda target: target.layer(target.base) / "empty", "directory", "V66"),
    "diff": (lambda target: target.diff(target.top), "directory", "V57"),
    "a tar-split": (lambda target: target.tar_split(target.top), "file", "V71"),
    "an image": (lambda target: target.root / "overlay-images" / target.image["id"], "directory", "V31"),
    "a manifest": (lambda target: target.item("manifest"), "file", "V31"),
    "a config": (lambda target: target.item(target.config_key), "file", "V32"),
    "an item": (lambda target: target.item(target.manifest_key), "file", "V42"),
    "a directory of a tree": (lambda target: target.diff(target.top) / "etc", "directory", "V63"),
    "a file of a tree": (lambda target: target.diff(target.top) / "etc/top", "file", "V63"),
    "a symlink of a tree": (lambda target: target.diff(target.middle) / "etc/link", "symlink", "V63"),
    "a whiteout of a tree": (lambda target: target.diff(target.top) / "etc/gone", "device", "V64"),
}
"""Places of a store, what is there, and a rule that is broken where it is something else."""


def _socket(place: Path) -> None:
    # Its name may not be as long as some of a store are.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{short}/socket")
        shutil.move(f"{short}/socket", place)


def _device(place: Path) -> None:
    # The one that waits for other hands, and makes whoever reads it wait too.
    os.mknod(place, 0o020666, os.makedev(5, 0))


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda _place: None, ""),
    "a file": (lambda place: place.write_bytes(b"{}"), "file"),
    "a directory": (lambda place: place.mkdir(), "directory"),
    "a fifo": (os.mkfifo, ""),
    "a socket": (_socket, ""),
    "a terminal": (_device, "device"),
    "a symlink to itself": (lambda place: place.symlink_to(place.name), "symlink"),
    "a symlink to nothing": (lambda place: place.symlink_to("nothing"), "symlink"),
    "a symlink to /etc": (lambda place: place.symlink_to("/etc"), "symlink"),
    "a symlink to a file of the machine": (lambda place: place.symlink_to("/etc/passwd"), "symlink"),
    "a symlink to a fifo in the repository": (lambda place: place.symlink_to(_fifo(place)), "symlink"),
}


OTHERWISE = {
    ("images.json", "nothing"): "V84",
    ("layers.json", "nothing"): "V13",
    ("lower-layers", "nothing"): "V90",
    ("diff", "a symlink to /etc"): "V60",
}
"""Where another rule is broken than for the other kinds."""


def _fifo(place: Path) -> Path:
    repository = next(above for above in place.parents if above.name == "repository")
    os.mkfifo(repository / "fifo")
    return repository / "fifo"


CASES = [
    pytest.param(place, kind, id=f"{kind} for {place}")
    for place in PLACES
    for kind in KINDS
    if PLACES[place][1] != KINDS[kind][1] and (place, kind) != ("cstore.json", "nothing")
]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")
@pytest.mark.parametrize(("place", "kind"), CASES)
def test_something_else_is_a_problem(target: Target, place: str, kind: str) -> None:
    at, _, code = PLACES[place]
    path = at(target)
    _remove(path)
    KINDS[kind][0](path)
    with patience(20):
        codes = {problem.code for problem in verify(target.root, deep=True)}
    assert OTHERWISE.get((place, kind), code) in codes


@pytest.mark.parametrize("place", [place for place, (_, kind, _) in PLACES.items() if kind in ("file", "directory")])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_no_symlink_leads_out_of_the_store(target: Target, tmp_path: Path, place: str, kind: str) -> None:
    """Whoever reads a file or lists a directory leaves the time of it: outside, nobody did."""
    outside = tmp_path / "outside"
    path = PLACES[place][0](target)
    if path.is_dir():
        shutil.copytree(path, outside, symlinks=True, ignore=lambda _at, names: [name for name in names if name == "gone"])
    else:
        outside.mkdir()
    (outside / "control").write_bytes(b"control\n")
    (outside / "file").write_bytes(path.read_bytes() if path.is_file() else b"file\n")
    if not _leaves_its_time(outside / "control", (outside / "control").read_bytes):
        pytest.skip("reading a file leaves no trace on this file system")
    inner = outside if kind == "directory" else outside / "file"
    _remove(path)
    path.symlink_to(inner)
    with patience(20):
        assert not _leaves_its_time(inner, lambda: [*verify(target.root, deep=True)])
        assert not _leaves_its_time(outside, lambda: [*verify(target.root, deep=True)])
    assert {problem.code for problem in verify(target.root)} or "of a tree" in place


def _leaves_its_time(path: Path, read: Callable[[], object]) -> bool:
    """Whether something was read meanwhile."""
    # The kernel notes a reading where the last one is older than the last change.
    os.utime(path, (1, 2))
    read()
    return path.stat().st_atime != 1


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
