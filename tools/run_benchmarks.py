"""Runs benchmarks one after the other, and gathers their figures in one JSON file and one page with plots.

    run_benchmarks.py [NAME ...] [--small] [--images N ...] [--image OCI_LAYOUT:TAG ...] [--into DIR] [--page-only]

NAME is that of a program bench_NAME.py; all are run unless some are named, and figures of the others stay as they are. The stores and
images are made once, below TMPDIR: 8 GB and two million files at the full sizes. DIR gets benchmarks.json, README.md and a plot of each
benchmark; the main figures go into README.md of the project where DIR is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cstore
from tools.page import write_page

_TOOLS = Path(__file__).resolve().parent
_OWN = _TOOLS / "benchmarks"
_SMALL = {
    "change": ("--images", "2", "8", "--runs", "1"),
    "readers": ("--images", "2", "8", "--runs", "1"),
    "views": ("--images", "9", "18", "--runs", "1"),
    "verify": ("--images", "2", "8", "--runs", "1"),
    "add": ("--files", "20", "100", "--runs", "1"),
    "stream": ("--files", "20", "100", "--runs", "1"),
    "flat": ("--files", "20", "100", "--runs", "1"),
    "publish": ("--layers", "2", "12", "--images", "2"),
    "sync": ("--images", "1", "3", "--layers", "3", "--files", "10", "--runs", "1"),
}
"""The benchmarks in their order, and what makes each take a few seconds."""
_OF_STORES = ("change", "readers", "views", "verify")
_OF_IMAGES = ("add", "stream", "flat")
_FIGURE = re.compile(r'\{\s*"group":[^{}]*\}')
_VERSIONS = (("podman", "--version"), ("skopeo", "--version"), ("umoci", "--version"))


def main() -> None:
    """Run the benchmarks and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"of {', '.join(_SMALL)}; all unless told")
    parser.add_argument("--small", action="store_true", help="at sizes at which all take a minute together")
    parser.add_argument("--images", nargs="+", default=[], metavar="N", help="sizes of the stores; their own unless told")
    parser.add_argument("--image", nargs="*", default=[], metavar="OCI_LAYOUT:TAG", help="measured too by the benchmarks of images")
    parser.add_argument("--into", type=Path, default=_OWN, metavar="DIR", help="tools/benchmarks/ unless told")
    parser.add_argument("--page-only", action="store_true", help="measures nothing; makes the page of benchmarks.json anew")
    asked = parser.parse_args()
    if unknown := set(asked.name) - set(_SMALL):
        parser.error(f"expected names of {', '.join(_SMALL)}, found {', '.join(sorted(unknown))}")
    asked.into.mkdir(exist_ok=True)
    gathered = asked.into / "benchmarks.json"
    told = json.loads(gathered.read_bytes()) if gathered.exists() else {}
    names = [] if asked.page_only else asked.name or [*_SMALL]
    with tempfile.TemporaryDirectory(prefix="bench-") as stores:
        machine = _machine(stores) if names else ""
        for name in names:
            start = time.monotonic()
            found = _run(name, _options(name, asked, stores), Path(stores))
            told[name] = {"machine": machine, **found}
            print(f"tools/bench: {name} took {time.monotonic() - start:.0f} s", file=sys.stderr)
            told = {name: told[name] for name in _SMALL if name in told}
            _write(gathered, told)
    write_page(told, asked.into, readme=_TOOLS.parent / "README.md" if asked.into.resolve() == _OWN else None)


def _options(name: str, asked: argparse.Namespace, stores: str) -> list[str]:
    options = [*_SMALL[name]] if asked.small else []
    if name in _OF_STORES or name in _OF_IMAGES:
        options += ["--stores", stores]
    if name in _OF_STORES and asked.images:
        options += ["--images", *asked.images]
    # Before all options, the last of which would take them.
    return [*(asked.image if name in _OF_IMAGES else []), *options]


def _run(name: str, options: list[str], stores: Path) -> dict[str, object]:
    """Run one benchmark in a process of its own, and return what it tells in JSON."""
    told = stores / f"{name}.json"
    subprocess.run([sys.executable, _TOOLS / f"bench_{name}.py", *options, "--json", told], check=True)
    found: dict[str, object] = json.loads(told.read_bytes())
    return found


def _machine(directory: str) -> str:
    """Return a sentence on what the benchmarks run on, without the name of the machine or of a place."""
    model = next((line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", directory], check=True, capture_output=True, text=True).stdout.strip()
    programs = [
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0].replace(" version", "")
        for command in _VERSIONS
        if shutil.which(command[0])
    ]
    hardware = f"{len(os.sched_getaffinity(0))} cores, {model or platform.machine()}, {memory:.0f} GB of memory, {system}"
    versions = ", ".join([f"cstore {cstore.__version__}", f"Python {platform.python_version()}", *programs])
    return f"{hardware}; Linux {platform.release().partition('-')[0]}, {versions}"


def _write(path: Path, told: dict[str, dict[str, object]]) -> None:
    """Write all figures, one a line."""
    text = json.dumps(told, indent=1, ensure_ascii=False)
    path.write_text(_FIGURE.sub(lambda found: json.dumps(json.loads(found[0]), separators=(",", ":"), ensure_ascii=False), text) + "\n")


if __name__ == "__main__":
    main()
