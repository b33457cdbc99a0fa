"""Programs as the tests run them: in an environment of their own, and skipped with the reason where they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LINES", "ROOT", "attempt", "cstore", "require", "run", "skopeo"]

ROOT = Path(__file__).parents[2]
"""Where the package `cstore` is."""

LINES = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
"""The environment of every program."""

_PACKAGES = {
    "podman": "podman",
    "runc": "runc",
    "skopeo": "skopeo",
    "umoci": "umoci",
    "docker-registry": "docker-registry",
    "openssl": "openssl",
    "fuse-overlayfs": "fuse-overlayfs",
    "debootstrap": "debootstrap",
    "busybox": "busybox-static",
    "newuidmap": "uidmap",
    "useradd": "passwd",
}


def require(*programs: str) -> None:
    """Skip the test where one of these programs is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (Debian: apt-get install {' '.join(_PACKAGES[program] for program in missing)})")


def run(*command: str | Path, env: Mapping[str, str] | None = None, user: tuple[int, int] | None = None, cwd: Path | None = None) -> str:
    """Run a program that must succeed, and return what it prints."""
    done = attempt(*command, env=env, user=user, cwd=cwd)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def attempt(
    *command: str | Path, env: Mapping[str, str] | None = None, user: tuple[int, int] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program that may fail."""
    return subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**LINES, **(env or {})},
        cwd=cwd or "/",
        user=user and user[0],
        group=user and user[1],
        extra_groups=[] if user else None,
        timeout=200,
    )


def cstore(*arguments: str | Path) -> str:
    """Run cstore's command line."""
    return run(sys.executable, "-m", "cstore", *arguments)


def skopeo(*arguments: str | Path) -> str:
    """Run skopeo, whose policy for signatures must not depend on the machine."""
    return run("skopeo", "--insecure-policy", *arguments)
