"""How long `cstore add` takes for one image, beside `umoci unpack`, `skopeo copy` into containers-storage, and gunzip alone.

    bench_add.py OCI_LAYOUT:TAG [--runs N]

All are run in turn on the same image in the same run, each N times; the best time of each counts, since other work on the machine
only ever adds to it. Ratios are to `cstore add`: above 1 means slower than cstore. The memory is the largest resident size.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    """Run the benchmark and print its table, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", help="OCI_LAYOUT:TAG, such as tools/make_images.py makes")
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    layout, _, tag = asked.image.partition(":")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as work:
        rivals = _rivals(Path(layout).resolve(), tag, Path(work))
        best: dict[str, float] = dict.fromkeys(rivals, float("inf"))
        memory: dict[str, int] = {}
        for _ in range(asked.runs):
            for name, (command, clean) in rivals.items():
                clean()
                seconds, kilobytes = _measure(command, Path(work))
                best[name] = min(best[name], seconds)
                memory[name] = max(memory.get(name, 0), kilobytes)
                clean()
    own = best["cstore add"]
    print(f"{'':32}{'seconds':>9}{'ratio':>8}{'MB':>8}")
    for name, seconds in best.items():
        print(f"{name:32}{seconds:9.2f}{seconds / own:8.2f}{memory[name] / 1000:8.0f}")
    print(json.dumps({name: {"seconds": round(best[name], 3), "kilobytes": memory[name]} for name in best}))


def _rivals(layout: Path, tag: str, work: Path) -> dict[str, tuple[Sequence[str], Callable[[], None]]]:
    def gone(*names: str) -> Callable[[], None]:
        def clean() -> None:
            for name in names:
                # skopeo leaves its overlay directory mounted on itself
                subprocess.run(["umount", work / name / "overlay"], check=False, stderr=subprocess.DEVNULL)
                if (work / name).exists():
                    shutil.rmtree(work / name)

        return clean

    place = f"containers-storage:[overlay@{work}/graph+{work}/run]localhost/bench:latest"
    found: dict[str, tuple[Sequence[str], Callable[[], None]]] = {
        "cstore add": ([sys.executable, "-m", "cstore", "add", "store", f"oci:{layout}:{tag}"], gone("store")),
        "umoci unpack": (["umoci", "unpack", "--image", f"{layout}:{tag}", "bundle"], gone("bundle")),
        "skopeo copy": (["skopeo", "copy", "-q", f"oci:{layout}:{tag}", place], gone("graph", "run")),
        "gunzip alone (isal)": ([sys.executable, "-c", _GUNZIP, str(layout)], gone()),
    }
    return {name: rival for name, rival in found.items() if shutil.which(rival[0][0])}


def _measure(command: Sequence[str], work: Path) -> tuple[float, int]:
    """Return the seconds that a command takes, and its largest resident size in kB."""
    os.sync()
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench_add.py: {' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss


if __name__ == "__main__":
    main()
