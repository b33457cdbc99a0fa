"""How long `cstore add` takes for one image, beside `umoci unpack`, `skopeo copy` into containers-storage, and gunzip alone.

    bench_add.py [OCI_LAYOUT:TAG ...] [--files N ...] [--runs N] [--stores DIR] [--json FILE]

All are run in turn on the same image in the same run, each N times: images of so many files of 10 kB each, of make_bulk.py, and such
as are named, which make_images.py can make. Ratios are to `cstore add`: above 1 means slower than cstore.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cstore.layer.blob import open_tar
from tools.figures import Benchmark, Figure, compared, report
from tools.measure import Program, best_of, figures_of
from tools.reader import own_mounts
from tools.stores import add_image_options, image_of, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

_ABOUT = """\
One image into a new store, beside `umoci unpack` and `skopeo copy` of the same image, and its blobs unpacked and nothing else. The images
have so many files, of 10 kB each in one layer, gzip, unless the title names another image. cstore reads each layer twice, verifies it
wholly before it writes anything, and waits until all is on the disk."""
_OWN = "cstore add"
_GUNZIP = """
import glob, sys
from isal import igzip
for name in glob.glob(sys.argv[1] + "/blobs/*/*"):
    with open(name, "rb") as file:
        if file.peek(2)[:2] == b"\\x1f\\x8b":
            unpacked = igzip.IGzipFile(fileobj=file, mode="rb")
            while unpacked.read(1 << 20):
                pass
"""


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_image_options(parser, sizes=[100, 1000, 10_000], runs=3)
    asked = parser.parse_args()
    own_mounts()
    figures: list[Figure] = []
    with place_of(asked.stores) as place, tempfile.TemporaryDirectory(dir=place) as work:
        for files in asked.files:
            figures += _add(image_of(place, files), Path(work), asked.runs, "files of 10 kB")
        for image in asked.image:
            figures += _add(image, Path(work), asked.runs, f"image {image.rpartition(':')[2]}")
    report(Benchmark(name="add", about=_ABOUT, x="files", figures=compared(figures)), json=asked.json)


def _add(image: str, work: Path, runs: int, group: str) -> list[Figure]:
    """Return what each program takes for one image."""
    name, _, tag = image.rpartition(":")
    layout = Path(name).resolve()
    programs = _programs(layout, tag, work)
    took = best_of({name: program for name, program in programs.items() if shutil.which(str(program.command[0]))}, runs)
    peers = {name: _OWN for name in took if name != _OWN}
    return figures_of(took, group=group, x=_files(layout), peers=peers)


def _files(layout: Path) -> int:
    """Return how many members that are files the layers of a layout have."""
    count = 0
    for blob in (layout / "blobs/sha256").iterdir():
        with blob.open("rb") as file:
            if file.read(1) == b"{":
                continue
            file.seek(0)
            _, unpacked = open_tar(file)
            with tarfile.open(fileobj=unpacked, mode="r|") as tar:
                count += sum(member.isreg() for member in tar)
    return count


def _programs(layout: Path, tag: str, work: Path) -> dict[str, Program]:
    def gone(*names: str) -> Callable[[], None]:
        def clean() -> None:
            for name in names:
                # skopeo leaves its overlay directory mounted on itself
                subprocess.run(["umount", "--quiet", work / name / "overlay"], check=False, stderr=subprocess.DEVNULL)
                if (work / name).exists():
                    shutil.rmtree(work / name)

        return clean

    def program(*command: str | Path, makes: tuple[str, ...] = ()) -> Program:
        return Program(command=command, before=gone(*makes), after=gone(*makes))

    place = f"containers-storage:[overlay@{work}/graph+{work}/run]localhost/bench:latest"
    return {
        _OWN: program(sys.executable, "-m", "cstore", "add", work / "store", f"oci:{layout}:{tag}", makes=("store",)),
        "umoci unpack": program("umoci", "unpack", "--image", f"{layout}:{tag}", work / "bundle", makes=("bundle",)),
        "skopeo copy": program("skopeo", "copy", "-q", f"oci:{layout}:{tag}", place, makes=("graph", "run")),
        "unpacking the blobs alone": program(sys.executable, "-c", _GUNZIP, layout),
    }


if __name__ == "__main__":
    main()
