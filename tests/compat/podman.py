"""Podman with a graph root of its own, as a reader of a store."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.compat.mounts import unmount_below
from tests.compat.programs import LINES, attempt, cstore, run
from tools.reader import CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Podman", "service"]

_LONGEST = 30

_OWN = '[storage]\ndriver = "overlay"\n'
_PLACES = ('graphroot = "/var/lib/containers/storage"\n', 'runroot = "/run/containers/storage"\n')


class Podman:
    """A podman that reads a store besides its own, empty one.

    Args:
        store: the additional image store; None for none.
        config_options: of `cstore config`, which writes its storage.conf.
        user: runs it as this user and group.
    """

    def __init__(self, store: Path | None = None, *, config_options: tuple[str, ...] = (), user: tuple[int, int] | None = None) -> None:
        # Where the name of its directory is as long as tmp_path's, it waits 20 seconds for the end of every container.
        self.place = place = Path(tempfile.mkdtemp(prefix="podman-"))
        place.chmod(0o755)
        os.chown(place, *(user or (0, 0)))
        self.graph = place / "graph"
        self._user = user
        for name in ("graph", "run", "libpod", "networks", "home", "xdg"):
            (place / name).mkdir(mode=0o700)
            os.chown(place / name, *(user or (0, 0)))
        (place / "storage.conf").write_text(self._storage_conf(cstore("config", store, *config_options) if store else _OWN))
        (place / "containers.conf").write_text(CONTAINERS.format(place=place))
        self.env = {
            "CONTAINERS_CONF": str(place / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(place / "storage.conf"),
            "HOME": str(place / "home"),
            "TMPDIR": str(place),
            "XDG_RUNTIME_DIR": str(place / "xdg"),
        }

    def _storage_conf(self, printed: str) -> str:
        """Return what cstore printed, with the graph root of the test in place of the machine's."""
        for line in _PLACES:
            printed = printed.replace(line, "")
        return printed.replace("[storage]\n", f'[storage]\ngraphroot = "{self.graph}"\nrunroot = "{self.place}/run"\n')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        attempt("podman", "rm", "--all", "--force", "--time", "0", env=self.env, user=self._user)
        for pid in self.place.rglob("pause.pid"):
            os.kill(int(pid.read_text()), signal.SIGKILL)
        # A clean-up of podman's may still be about to end.
        end = time.monotonic() + _LONGEST
        while self.place.exists():
            unmount_below(self.place)
            try:
                shutil.rmtree(self.place)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def __call__(self, *arguments: str | Path) -> str:
        """Run a command of podman's that must succeed, and return what it prints."""
        return run("podman", *arguments, env=self.env, user=self._user, cwd=self.place)

    def refusal(self, *arguments: str | Path) -> str:
        """Run a command of podman's that must fail, and return what it says."""
        done = attempt("podman", *arguments, env=self.env, user=self._user, cwd=self.place)
        assert done.returncode, f"podman {' '.join(map(str, arguments))} succeeded:\n{done.stdout}"
        return done.stderr

    def container(self, image: str, *command: str) -> str:
        """Run a command in a new container of an image that must be there."""
        return self("run", "--rm", "--pull=never", image, *command)

    def inspect(self, image: str) -> dict[str, Any]:
        """Return what podman knows of an image."""
        (described,) = json.loads(self("image", "inspect", image))
        return dict(described)

    def image_id(self, image: str) -> str:
        """Return the ID of an image."""
        return str(self.inspect(image)["Id"])

    def own_layers(self) -> list[str]:
        """Return the layers that it has in its own graph root."""
        path = self.graph / "overlay-layers/layers.json"
        return [layer["id"] for layer in json.loads(path.read_bytes())] if path.exists() else []

    @contextmanager
    def tree_of(self, image: str) -> Iterator[Path]:
        """Yield the tree that a new container of an image sees, as podman mounts it."""
        container = self("create", "--pull=never", image, "/bin/sh").strip()
        try:
            yield self.place / self("mount", container).strip()
        finally:
            self("umount", container)
            self("rm", container)


@contextmanager
def service(podman: Podman) -> Iterator[str]:
    """Run `podman system service` while the body runs, and yield where it is."""
    address = f"unix://{podman.place}/socket"
    process = subprocess.Popen(
        ["podman", "system", "service", "--time=0", address],
        env={**LINES, **podman.env},
        cwd=podman.place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + _LONGEST
        while attempt("podman", "--remote", "--url", address, "version").returncode and time.monotonic() < end:
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()
