"""Podman and skopeo as benchmarks run them: with a place of their own, and with mounts that nobody else sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CAN_RUN", "CONTAINERS", "Reader", "need_podman", "own_mounts", "reader"]

CAN_RUN = os.geteuid() == 0 and all(map(shutil.which, ("podman", "skopeo", "runc")))
"""Whether podman and skopeo can be measured here: they are there, and root runs the benchmark."""

_PRIVATE = "CSTORE_BENCH_MOUNTS"
_CACHE = Path("/var/lib/containers")
CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
image_copy_tmp_dir = "{place}"
lock_type = "file"
runtime = "runc"
tmp_dir = "{place}/libpod"
[network]
network_config_dir = "{place}/networks"
"""
"""containers.conf: what starts a container without systemd, under a low limit of files, and keeps all state below one directory."""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{graph}"
runroot = "{place}/run"
[storage.options]
additionalimagestores = [{store}]
"""


@frozen(kw_only=True)
class Reader:
    """A podman."""

    graph: Path
    """Its graph root, which it writes to."""
    env: Mapping[str, str]
    """What tells it so."""


def need_podman(program: str) -> None:
    """End a program that cannot have podman read a store here, and say why."""
    if not CAN_RUN:
        sys.exit(f"{program}: expected root, podman, runc and skopeo, found some of it missing")


def own_mounts() -> None:
    """Start this program anew with mounts that only it sees and that go with it, where root runs it.

    The directory in which podman and skopeo note what they know of blobs, whatever graph root they are told, is an empty one then.
    """
    if os.geteuid() != 0:
        return
    if not os.environ.get(_PRIVATE):
        os.environ[_PRIVATE] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])  # noqa: S606 - no shell is wanted
    del os.environ[_PRIVATE]
    _CACHE.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "tmpfs", _CACHE)


@contextmanager
def reader(*, store: Path | None = None, view: str = "", graph: Path | None = None) -> Iterator[Reader]:
    """Yield a podman.

    Args:
        store: an additional image store that it reads, through a mount that cannot be written to; None for none.
        view: the path of a view in that store, which it reads instead; empty for the store itself.
        graph: its graph root; None for an empty one.
    """
    # Where the name of this directory is long, podman waits 20 seconds for the end of every container.
    place = Path(tempfile.mkdtemp(prefix="podman-"))
    own = graph or place / "graph"
    try:
        for name in ("run", "libpod", "networks", "home", "xdg", "store"):
            (place / name).mkdir()
        if store:
            _mount("--bind", store, place / "store")
            _mount("-o", "remount,ro,bind", place / "store")
        (place / "storage.conf").write_text(_STORAGE.format(place=place, graph=own, store=f'"{place / "store" / view}"' if store else ""))
        (place / "containers.conf").write_text(CONTAINERS.format(place=place))
        env = {
            "CONTAINERS_CONF": f"{place}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{place}/storage.conf",
            "HOME": f"{place}/home",
            "TMPDIR": str(place),
            "XDG_RUNTIME_DIR": f"{place}/xdg",
        }
        made = Reader(graph=own, env=env)
        yield made
    finally:
        for mounted in (place / "store", place / "graph/overlay"):
            subprocess.run(["umount", "--lazy", "--quiet", mounted], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(place, ignore_errors=True)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)
