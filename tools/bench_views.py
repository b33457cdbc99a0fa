"""What podman takes to read a view of ten images, by the size of the store that it is in, beside that store and a store of just as many.

    bench_views.py [--images N ...] [--runs N] [--stores DIR] [--json FILE]

Makes stores of eight layers for each image, and in each a view of nine images and of one that can be run. podman reads each of them
through a mount that cannot be written to, beside an empty store of its own: `podman image exists NAME`, `podman images -q`, and `podman
run` of an image whose program does nothing. All are run in turn. Afterwards the stores have no view, as before. What takes longer than
two minutes is given up, and not tried where a smaller store lets it be expected. Only as root, with podman.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tools.figures import Benchmark, Figure, compared, report
from tools.make_store import name_of
from tools.reader import need_podman, own_mounts, reader
from tools.readings import Kind, readings, version
from tools.stores import INDEXES, RUNNABLE, add_options, place_of, store_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ABOUT = """\
podman {version} reads a view of ten images in a store of so many, that store, and a store of just as many images as the view has, each on
a read-only mount, beside an empty store of its own. All have eight layers for each image. A dash is more than two minutes."""
_VIEW, _STORE, _SMALL = "a view of ten images", "its store", "a store of ten images"
_PEERS = {_STORE: _VIEW, _SMALL: _VIEW, _VIEW: ""}
_NAME = "bench"
_SHOWN = (*map(name_of, range(9)), RUNNABLE)
_TEN = len(_SHOWN) - 1
"""With the one that can be run, which each store has besides."""


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, sizes=[10, 100, 1000, 10_000], runs=3)
    asked = parser.parse_args()
    need_podman("bench_views.py")
    own_mounts()
    figures: list[Figure] = []
    with place_of(asked.stores) as place:
        small = store_of(place, _TEN)
        for images in sorted(asked.images):
            figures += _read(store_of(place, images), small, images, asked.runs, figures)
    report(Benchmark(name="views", about=_ABOUT.format(version=version()), x="images", figures=compared(figures)), json=asked.json)


def _read(store: Path, small: Path, images: int, runs: int, smaller: Sequence[Figure]) -> list[Figure]:
    """Return what podman takes for a store, its view and the small store."""
    with viewed(store) as view, ExitStack() as opened:
        sizes = {_VIEW: _size(view), _STORE: _size(store), _SMALL: _size(small)}
        made = [Figure(group="both indexes", name=kind, unit="MB", x=images, value=size, peer=_PEERS[kind]) for kind, size in sizes.items()]
        podmans = {
            _VIEW: opened.enter_context(reader(store=store, view=str(view.relative_to(store)))),
            _STORE: opened.enter_context(reader(store=store)),
            _SMALL: opened.enter_context(reader(store=small)),
        }
        kinds = {kind: Kind(podman.env, _nothing, _PEERS[kind]) for kind, podman in podmans.items()}
        return made + readings(kinds, images, runs, smaller)


@contextmanager
def viewed(store: Path) -> Iterator[Path]:
    """Make the view in a store, yield it, and leave the store as it was."""
    about, views = store / "cstore.json", store / "views"
    before = about.read_bytes() if about.exists() else None
    try:
        words: list[str | Path] = ["view", "create", store, _NAME, *(word for name in _SHOWN for word in ("--match", name))]
        subprocess.run([sys.executable, "-m", "cstore", *words], check=True, stdout=subprocess.DEVNULL)
        yield views / _NAME
    finally:
        shutil.rmtree(views, ignore_errors=True)
        if before is None:
            about.unlink(missing_ok=True)
        else:
            about.write_bytes(before)


def _size(store: Path) -> float:
    """Return how many MB both indexes have."""
    return round(sum((store / index).stat().st_size for index in INDEXES) / 1e6, 3)


def _nothing() -> None:
    """Do nothing: no run changes anything."""


if __name__ == "__main__":
    main()
