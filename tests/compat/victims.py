"""Images that run, of the same structure as those of the stores in `tests.verification`."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.compat.programs import require
from tests.images import Image, Member, directory, file, symlink, tar, whiteout

__all__ = ["bystander", "image_of", "layers", "programs"]


def layers() -> tuple[bytes, ...]:
    """Return the layers of the image in which things are broken."""
    return (
        tar(
            *programs(),
            directory("etc"),
            file("etc/base", b"base\n"),
            file("etc/gone", b"gone\n"),
            directory("implied", 0o711),
            file("implied/x"),
        ),
        tar(file("etc/middle", b"middle\n"), symlink("etc/link", "middle")),
        tar(directory("etc"), file("etc/top", b"top\n"), whiteout("etc/gone"), file("implied/y", b"y\n")),
    )


def image_of(*tars: bytes) -> Image:
    """Return an image of these layers; podman builds on none that has no history."""
    return Image(layers=tars, history=[{"created_by": "a test"}] * len(tars))


def bystander() -> bytes:
    """Return the layer of the image beside it."""
    return tar(file("only", b"only\n"), *programs())


def programs() -> list[Member]:
    """Return what an image needs to run something."""
    require("busybox")
    program = Path(shutil.which("busybox") or "").read_bytes()
    return [
        *(directory(name) for name in ("bin", "dev", "proc", "sys", "tmp")),
        file("bin/busybox", program, 0o755),
        *(symlink(f"bin/{name}", "busybox") for name in ("cat", "ls", "sh", "sleep", "stat", "true", "wc")),
    ]
