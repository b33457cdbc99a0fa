"""How long a quick `cstore verify` takes by the size of a store, and how much memory, beside what the disk and JSON alone take.

    bench_verify.py [--images N ...] [--runs N] [--stores DIR] [--json FILE]

Makes stores of eight layers for each image, and runs on each of them in turn:

    cstore verify            what `cstore.verify` yields, which must be nothing
    find and cat             the same small files, found and read by `find` and `cat`, which do nothing else
    json of both indexes     Python's own `json.loads`
    podman images -q         with the store as an additional one, where podman is there and ends within a minute; only as root
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tools.figures import Benchmark, Figure, compared, report
from tools.measure import Program, best_of, figures_of
from tools.reader import CAN_RUN, own_mounts, reader
from tools.stores import add_options, place_of, store_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ABOUT = """\
A quick `cstore verify` of a store of so many images, with eight layers for each, in which it finds nothing. Beside it: the same small files
found and read by `find` and `cat`; Python's own JSON of both indexes; `podman images -q` with the store as an additional one, where a dash
is more than a minute. Files are in the system's cache."""
_MINUTE = 60
_OWN, _CAT, _JSON, _PODMAN = "cstore verify", "find and cat", "json of both indexes", "podman images -q"
_VERIFY_SCRIPT = """
import sys
from cstore.verification.store import verify
found = sum(1 for _ in verify(sys.argv[1]))
sys.exit(f"expected no problem, found {found}" if found else 0)
"""
_JSON_SCRIPT = """
import json, pathlib, sys
for name in ("layers", "images"):
    json.loads(pathlib.Path(sys.argv[1], f"overlay-{name}/{name}.json").read_bytes())
"""
_CAT_SCRIPT = 'find "$0" -path "*/diff" -prune -o -type f ! -name "*.tar-split.gz" -exec cat {} + >/dev/null'


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, sizes=[100, 1000, 10_000], runs=3)
    asked = parser.parse_args()
    own_mounts()
    figures: list[Figure] = []
    with place_of(asked.stores) as place:
        for images in sorted(asked.images):
            figures += _verify(store_of(place, images), images, asked.runs, figures)
    report(Benchmark(name="verify", about=_ABOUT, x="images", figures=compared(figures)), json=asked.json)


def _verify(store: Path, images: int, runs: int, smaller: Sequence[Figure]) -> list[Figure]:
    """Return what each program takes for a store."""
    programs = {
        _OWN: Program(command=[sys.executable, "-c", _VERIFY_SCRIPT, store]),
        _CAT: Program(command=["sh", "-c", _CAT_SCRIPT, store]),
        _JSON: Program(command=[sys.executable, "-c", _JSON_SCRIPT, store]),
    }
    last = next((figure for figure in reversed(smaller) if (figure.name, figure.unit) == (_PODMAN, "s")), None)
    gave_up = last is not None and (last.value is None or last.value * images / last.x > _MINUTE)
    with ExitStack() as stack:
        if CAN_RUN and not gave_up:
            podman = stack.enter_context(reader(store=store))
            programs[_PODMAN] = Program(command=["podman", "images", "-q"], env=podman.env, limit=_MINUTE, runs=1)
        took = best_of(programs, runs)
    made = figures_of(took, group="quick", x=images, peers={_OWN: _CAT, _PODMAN: _OWN})
    if gave_up:
        made.append(Figure(group="quick", name=_PODMAN, unit="s", x=images, value=None, peer=_OWN))
    each = round(1000 * (took[_OWN].seconds or 0) / images, 3)
    return [*made, Figure(group="quick, for each image", name=_OWN, unit="ms", x=images, value=each)]


if __name__ == "__main__":
    main()
