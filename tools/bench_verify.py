"""How long a quick `cstore verify` takes by the size of a store, and how much memory, beside what the disk and JSON alone take.

    bench_verify.py [--images N ...] [--runs N]

Makes stores with make_store.py, of eight layers for each image, and runs on each of them in turn:

    cstore verify            what `cstore.verify` yields, which must be nothing
    find and cat             the same small files, found and read by `find` and `cat`, which do nothing else
    json of both indexes     Python's own `json.loads`
    podman images -q         with the store as an additional one, where podman is there and ends within a minute

The best time of each counts, since other work on the machine only ever adds to it; CPU seconds are those of the same run, in user mode
and in the kernel. The memory is the largest resident size. `linear` is the time for each image, as a ratio to that of the smallest store.
10,000 images take about a minute to make, and 3 GB of disk.
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

from attrs import asdict, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAKE = Path(__file__).with_name("make_store.py")
_LAYERS = 8
_MINUTE = 60
_OWN = "cstore verify"
_VERIFY = """
import sys
from cstore.verification.store import verify
found = sum(1 for _ in verify(sys.argv[1]))
sys.exit(f"expected no problem, found {found}" if found else 0)
"""
_JSON = """
import json, pathlib, sys
for name in ("layers", "images"):
    json.loads(pathlib.Path(sys.argv[1], f"overlay-{name}/{name}.json").read_bytes())
"""
_READ = 'find "$0" -path "*/diff" -prune -o -type f ! -name "*.tar-split.gz" -exec cat {} + >/dev/null'
_CONF = """
[storage]
driver = "overlay"
graphroot = "{work}/graph"
runroot = "{work}/run"
[storage.options]
additionalimagestores = ["{store}"]
"""


@frozen(kw_only=True)
class Row:
    """What one program took for one store."""

    images: int
    layers: int
    program: str
    seconds: float
    cpu_seconds: float
    kilobytes: int
    linear: float
    """Seconds for each image, as a ratio to those of the smallest store."""


def main() -> None:
    """Run the benchmark and print its table, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 3000, 10000], metavar="N", help="1000, 3000 and 10000")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="3 unless told")
    asked = parser.parse_args()
    if min(asked.images) < 1 or asked.runs < 1:
        parser.error("expected at least one image, and one run")
    rows: list[Row] = []
    for images in sorted(asked.images):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as work:
            rows += _rows(Path(work).resolve(), images, asked.runs, {row.program: row for row in rows[::-1]})
    print(_table(rows))
    print(json.dumps([asdict(row) for row in rows]))


def _rows(work: Path, images: int, runs: int, smallest: Mapping[str, Row]) -> list[Row]:
    """Make a store and return what each program takes for it."""
    store = work / "store"
    # In a process of its own: the largest size of a program is at least that of the one that starts it.
    subprocess.run([sys.executable, _MAKE, store, "--images", str(images), "--layers", str(_LAYERS)], check=True, env=_environment())
    os.sync()
    best: dict[str, tuple[float, float, int]] = {}
    programs = _programs(store, work)
    for _ in range(runs):
        for name, command in [*programs.items()]:
            took = _measure(command, work)
            # podman leaves its own overlay directory mounted on itself
            subprocess.run(["umount", work / "graph/overlay"], check=False, stderr=subprocess.DEVNULL)
            if took is None:
                del programs[name]
                continue
            memory = max(took[2], best[name][2] if name in best else 0)
            best[name] = (*min(took, best.get(name, took))[:2], memory)
    layers = (store / "overlay-layers/layers.json").read_bytes().count(b'\n{"id":')
    return [
        Row(
            images=images,
            layers=layers,
            program=name,
            seconds=round(seconds, 3),
            cpu_seconds=round(cpu_seconds, 3),
            kilobytes=kilobytes,
            linear=round(seconds / images / (smallest[name].seconds / smallest[name].images), 3) if name in smallest else 1.0,
        )
        for name, (seconds, cpu_seconds, kilobytes) in best.items()
    ]


def _programs(store: Path, work: Path) -> dict[str, Sequence[str]]:
    conf = work / "storage.conf"
    conf.write_text(_CONF.format(work=work, store=store))
    found: dict[str, Sequence[str]] = {
        _OWN: [sys.executable, "-c", _VERIFY, str(store)],
        "find and cat": ["sh", "-c", _READ, str(store)],
        "json of both indexes": [sys.executable, "-c", _JSON, str(store)],
    }
    if shutil.which("podman"):
        found["podman images -q"] = ["env", f"CONTAINERS_STORAGE_CONF={conf}", "timeout", str(_MINUTE), "podman", "images", "-q"]
    return found


def _measure(command: Sequence[str], work: Path) -> tuple[float, float, int] | None:
    """Return the seconds that a command takes, those of the CPU, and its largest resident size in kB; None where it does not end well."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=work, stdout=subprocess.DEVNULL, env=_environment())
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and _VERIFY in command:
        sys.exit(f"bench_verify.py: {_OWN} ended with {process.returncode}")
    return None if process.returncode else (seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def _environment() -> dict[str, str]:
    """Return the environment in which what can be imported here can be imported too."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| images | layers | | seconds | CPU seconds | MB | linear |", "|---:|---:|---|---:|---:|---:|---:|"]
    lines += [
        f"| {row.images:,} | {row.layers:,} | {row.program} | {row.seconds:.2f} | {row.cpu_seconds:.2f} | {row.kilobytes / 1000:.0f} "
        f"| {row.linear:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
