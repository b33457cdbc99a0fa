"""Makes OCI images with programs of this machine: from busybox by umoci, and from debootstrap.

python tools/make_images.py busybox DIR     # oci:DIR:busybox, a few small layers
python tools/make_images.py debian DIR      # oci:DIR:debian, one layer with thousands of files; only as root
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["UmociImage", "make_busybox", "make_debian"]

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"  # noqa: S105 - what etc/passwd of the image holds
_HARD_LINKS = ("cat", "ls", "sh")
_LEFTOVERS = ("var/cache/apt/archives", "var/lib/apt/lists", "var/log")


class UmociImage:
    """An image that umoci makes, layer by layer, in an OCI layout.

    Args:
        layout: the directory of the layout; it is made where there is none.
        tag: the image's tag in it; a new, empty image takes it.
    """

    def __init__(self, layout: Path, tag: str) -> None:
        self.layout = layout
        self.tag = tag
        if not layout.exists():
            _run("umoci", "init", "--layout", str(layout))
        _run("umoci", "new", "--image", self._place)
        self.configure("--config.cmd", "/bin/sh", "--config.env", _PATH)

    @property
    def source(self) -> str:
        """What cstore and skopeo call the image."""
        return f"oci:{self._place}"

    @property
    def _place(self) -> str:
        return f"{self.layout}:{self.tag}"

    def configure(self, *options: str) -> None:
        """Change the image's config, with umoci's options."""
        _run("umoci", "config", "--image", self._place, *options)

    def unpack(self, bundle: Path) -> Path:
        """Unpack the image into a new directory and return the tree in it."""
        _run("umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", self._place, str(bundle))
        return bundle / "rootfs"

    @contextmanager
    def layer(self) -> Iterator[Path]:
        """Yield the tree of the image; what is changed in it becomes the next layer."""
        with tempfile.TemporaryDirectory(dir=self.layout.parent, prefix="bundle-") as directory:
            bundle = Path(directory, "bundle")
            yield self.unpack(bundle)
            _run("umoci", "repack", "--image", self._place, str(bundle))

    def add_tar(self, tar: Path) -> None:
        """Add a tar, byte for byte, as the next layer."""
        _run("umoci", "raw", "add-layer", "--image", self._place, str(tar))

    def fork(self, tag: str) -> UmociImage:
        """Return an image that has the same layers so far, under another tag."""
        other = UmociImage(self.layout, tag)
        _run("umoci", "tag", "--image", self._place, tag)
        return other


def make_busybox(layout: Path, tag: str = "busybox") -> UmociImage:
    """Make an image from this machine's busybox: a base, and two small layers that change and delete something."""
    image = UmociImage(layout, tag)
    with image.layer() as tree:
        put_busybox(tree)
    with image.layer() as tree:
        (tree / "etc/motd").write_text("A container that runs from a store of cstore's.\n")
        (tree / "etc/hello").write_text("hello\n")
    with image.layer() as tree:
        (tree / "etc/hello").unlink()
    return image


def put_busybox(tree: Path) -> None:
    """Put busybox with its applets, a few as hard links and all others as symlinks, and what a container needs beside it."""
    program = shutil.which("busybox")
    if program is None:
        raise RuntimeError("expected the program busybox, found none: apt-get install busybox-static")
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var"):
        (tree / name).mkdir(mode=0o755)
    shutil.copyfile(program, tree / "bin/busybox")
    (tree / "bin/busybox").chmod(0o755)
    listed = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
    for applet in sorted(set(listed.stdout.split()) - {"busybox"}):
        if applet in _HARD_LINKS:
            (tree / "bin" / applet).hardlink_to(tree / "bin/busybox")
        else:
            (tree / "bin" / applet).symlink_to("busybox")
    (tree / "etc/passwd").write_text(_PASSWD)
    (tree / "root").chmod(0o700)
    (tree / "tmp").chmod(0o1777)


def make_debian(layout: Path, tag: str = "debian") -> UmociImage:
    """Make an image of one layer from a Debian base system, from the mirror that this machine's apt uses.

    It takes about a minute, and needs root.
    """
    image = UmociImage(layout, tag)
    mirror, suite = _mirror()
    with image.layer() as tree:
        _run("debootstrap", "--variant=minbase", suite, str(tree), mirror)
        for place in _LEFTOVERS:
            for path in (tree / place).iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return image


def _mirror() -> tuple[str, str]:
    """Return the first mirror of apt's configuration that is Debian's own, and the suite."""
    shown = "$(REPO_URI) $(SUITE) $(CODENAME) $(COMPONENT) $(ORIGIN)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", shown, "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    )
    for line in listed.stdout.splitlines():
        fields = line.split()
        if fields[-2:] == ["main", "Debian"] and "-" not in fields[2]:
            return fields[0], fields[2]
    raise RuntimeError("expected a Debian mirror in apt's configuration, found none; does apt-get update help?")


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")


def main() -> None:
    """Run the command line."""
    makers = {"busybox": make_busybox, "debian": make_debian}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", choices=makers)
    parser.add_argument("layout", type=Path, metavar="DIR", help="an OCI layout; it is made where there is none")
    chosen = parser.parse_args()
    try:
        print(makers[chosen.image](chosen.layout.absolute()).source)
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
