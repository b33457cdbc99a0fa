"""How fast cstore merges an image's layers into its flat tree and writes that as a tar stream, beside the stream of the layers themselves.

    bench_flat.py [OCI_LAYOUT:TAG ...] [--files N ...] [--runs N] [--stores DIR] [--json FILE]

The headers of all layers are read from their tar-splits, and merged; then the flat tree is streamed into /dev/null, once from the layers'
blobs and once from the layers as a store has them. Beside it: the stream of the layers' own trees, which `bench_stream.py` compares with
other programs. All are run in turn, each in a process of its own after the layers were verified there, N times; the best time counts.
MB/s and entries a second are those of each stream itself. Ratios are to the stream of the layers: above 1 means slower.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.delta import PutTree
from cstore.hub.flat import flat_step, flat_tree
from cstore.hub.parts import fetched_part, stored_part
from cstore.model.about import About
from cstore.model.platform import Platform
from cstore.publish.batch import publishing
from cstore.publish.tarstream import TarStream
from cstore.source import open_source
from cstore.source.fetch import Fetcher
from cstore.store import Store
from tools.figures import Benchmark, Figure, compared, report
from tools.stores import add_image_options, of_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cstore.layer.merging import Part
    from cstore.source.image import SourceImage

_ABOUT = """\
The layers of one image merged into its flat tree, and that written as the tar stream that CernVM-FS takes, into /dev/null; beside it the
stream of the layers themselves. The images have so many files, of 10 kB each in one layer, gzip, unless the title names another image."""
_LAYERS = "layers streamed"
_HEADERS = "headers merged"
_FLAT = "flat tree streamed"
_STORED = "flat tree streamed from a store"


@frozen(kw_only=True)
class Run:
    """What one process measured."""

    seconds: dict[str, float]
    """By what was timed in it."""
    kilobytes: int
    """Its largest resident size."""
    size: int
    """Bytes of the stream."""
    entries: int
    """Members of the stream."""


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_image_options(parser, sizes=[100, 1000, 10_000], runs=3)
    asked = parser.parse_args()
    figures = compared(of_images(asked, _merged))
    report(Benchmark(name="flat", about=_ABOUT, x="files", figures=figures), json=asked.json)


def _merged(image: str, rounds: int, group: str, files: int) -> list[Figure]:
    """Return what each takes for one image; its size is the number of its files, or of the stream's entries where that is not known."""
    name, _, tag = image.rpartition(":")
    source = f"oci:{Path(name).resolve()}:{tag}"
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as work:
        with publishing(Path(work, "store")) as batch:
            batch.add(source, name="localhost/bench")
        runs = [run for _ in range(rounds) for run in _round(source, f"{work}/store")]
    seconds = {name: min(run.seconds[name] for run in runs if name in run.seconds) for run in runs for name in run.seconds}
    told = {name: next(run for run in runs if name in run.seconds) for name in seconds}
    x = files or told[_LAYERS].entries

    def figure(name: str, unit: str, value: float, peer: str = "") -> Figure:
        return Figure(group=group, name=name, unit=unit, x=x, value=round(value, 4), peer=peer)

    streams = [name for name in seconds if name != _HEADERS]
    return [
        *(figure(name, "s", best, "" if name == _LAYERS else _LAYERS) for name, best in seconds.items()),
        *(figure(name, "MB/s", told[name].size / 1e6 / seconds[name]) for name in streams),
        *(figure(name, "entries/s", told[name].entries / seconds[name]) for name in seconds),
        *(figure(name, "MB", max(run.kilobytes for run in runs if name in run.seconds) / 1000) for name in streams),
        *(figure(name, "entries", told[name].entries) for name in streams),
    ]


def _round(source: str, store: str) -> Iterator[Run]:
    for work, arguments in ((_layers, (source,)), (_flat, (source, "")), (_flat, (source, store))):
        with get_context("spawn").Pool(1) as pool:
            yield pool.apply(work, arguments)


def _layers(source: str) -> Run:
    image, fetcher = _opened(source), Fetcher()
    fetcher.fetch(image, Store.new("/nonexistent", About()))
    steps = [
        PutTree(path=layer.id, tree=layer.tree, files={}, directories=(), entries=layer.scan.entries, size=layer.scan.content)
        for layer in fetcher.layers.values()
    ]
    start = time.perf_counter()
    stream = _streamed(steps)
    seconds = {_LAYERS: time.perf_counter() - start}
    fetcher.close()
    return Run(seconds=seconds, kilobytes=_resident(), size=stream.size, entries=stream.entries)


def _flat(source: str, store: str) -> Run:
    image, fetcher = _opened(source), Fetcher()
    parts: list[Part]
    if store:
        parts = [stored_part(Store.open(store), layer) for layer in image.chain]
    else:
        fetcher.fetch(image, Store.new("/nonexistent", About()))
        parts = [fetched_part(fetcher.layers[layer]) for layer in image.chain]
    start = time.perf_counter()
    tree = flat_tree(parts, image.config_bytes, image.at)
    middle = time.perf_counter()
    stream = _streamed([flat_step("flat", tree)])
    end = time.perf_counter()
    fetcher.close()
    seconds = {_STORED: end - middle} if store else {_HEADERS: middle - start, _FLAT: end - middle}
    return Run(seconds=seconds, kilobytes=_resident(), size=stream.size, entries=stream.entries)


def _streamed(steps: Sequence[PutTree]) -> TarStream:
    sink = os.open(os.devnull, os.O_WRONLY)
    stream = TarStream(lambda data: os.write(sink, data), "")
    for step in steps:
        stream.put(step)
    stream.finish()
    os.close(sink)
    return stream


def _opened(source: str) -> SourceImage:
    return open_source(source, Platform.of_machine(platform.machine()))


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
