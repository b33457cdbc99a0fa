"""How fast cstore reads an image and writes it as the tar stream that CernVM-FS takes, beside what such a stream cannot do without.

    bench_stream.py [OCI_LAYOUT:TAG ...] [--files N ...] [--runs N] [--stores DIR] [--json FILE]

The first reading verifies each layer and makes its tar-split; the second one writes the stream, here into /dev/null. Beside them: the
same blobs unpacked as cstore does, but nothing else; that with the SHA-256 of what goes in and of what comes out; `tar -x` of the blobs to
its output; `tar -c` of the unpacked layers into a pipe. All are run in turn, each in a process of its own, N times; the best time counts,
since other work on the machine only ever adds to it. In Python it is the time of the work, without that of starting.

MB/s are those of cstore's stream for all of them, so that they compare. Ratios are to the second reading: above 1 means slower. A real
`cvmfs_server ingest` took 33 MB/s of a Debian image on 2 cores.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import resource
import subprocess
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.layer.blob import open_tar
from cstore.model.layout import Form
from cstore.model.platform import Platform
from cstore.publish.batch import Batch
from cstore.publish.cvmfs import DEFAULT_PATH
from cstore.publish.tarstream import TarStream
from cstore.source import open_source
from tools.figures import Benchmark, Figure, compared, report
from tools.stores import add_image_options, of_images

if TYPE_CHECKING:
    from collections.abc import Sequence

_ABOUT = """\
One image read, verified, and written as the tar stream that CernVM-FS takes, into /dev/null; beside it what such a stream needs at least.
The images have so many files, of 10 kB each in one layer, gzip, unless the title names another image. MB/s are those of cstore's stream for
all of them. A real `cvmfs_server ingest` took 33 MB/s of a Debian image on 2 cores."""
_CHUNK = 1 << 18
_STREAM = "second reading: stream"


@frozen(kw_only=True)
class Run:
    """What one process measured."""

    seconds: dict[str, float]
    """By what was timed in it."""
    kilobytes: int | None = None
    """Its largest resident size; None where it is not Python's."""
    size: int = 0
    """Bytes of the stream."""
    entries: int = 0
    """Members of the stream."""


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_image_options(parser, sizes=[100, 1000, 10_000], runs=3)
    asked = parser.parse_args()
    figures = compared(of_images(asked, _stream))
    report(Benchmark(name="stream", about=_ABOUT, x="files", figures=figures), json=asked.json)


def _stream(image: str, rounds: int, group: str, files: int) -> list[Figure]:
    """Return what each takes for one image; its size is the number of its files, or of the stream's entries where that is not known."""
    name, _, tag = image.rpartition(":")
    layout = Path(name).resolve()
    source = f"oci:{layout}:{tag}"
    blobs = _blobs(layout, source)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as work:
        for blob in blobs:
            # Who is not root cannot make devices; all else is there then.
            subprocess.run(["tar", "-xf", blob, "-C", work], check=False, stderr=subprocess.DEVNULL)
        runs = [run for _ in range(rounds) for run in _round(source, blobs, work)]
    stream = next(run for run in runs if run.entries)
    seconds = {name: min(run.seconds[name] for run in runs if name in run.seconds) for run in runs for name in run.seconds}
    memory = {name: max(run.kilobytes or 0 for run in runs if name in run.seconds) for name in seconds}

    def figure(name: str, unit: str, value: float, peer: str = "") -> Figure:
        return Figure(group=group, name=name, unit=unit, x=files or stream.entries, value=round(value, 4), peer=peer)

    return [
        *(figure(name, "s", best, "" if name == _STREAM else _STREAM) for name, best in seconds.items()),
        *(figure(name, "MB/s", stream.size / 1e6 / best) for name, best in seconds.items()),
        *(figure(name, "MB", kilobytes / 1000) for name, kilobytes in memory.items() if kilobytes),
        figure("stream", "entries", stream.entries),
        figure("stream", "MB of content and headers", stream.size / 1e6),
    ]


def _round(source: str, blobs: Sequence[str], tree: str) -> list[Run]:
    """Run each once; those in Python in new processes."""
    runs = []
    for work, arguments in ((_cstore, (source, tree)), (_unpack, (blobs, False)), (_unpack, (blobs, True))):
        with get_context("spawn").Pool(1) as pool:
            runs.append(pool.apply(work, arguments))
    runs.append(_program("tar -x", 'for blob; do tar -xOf "$blob" >/dev/null || exit; done', *blobs))
    # Where its output is /dev/null, tar would not even read the files.
    runs.append(_program("tar -c of the tree", 'tar -C "$1" -cf - . | cat >/dev/null', tree))
    return runs


def _cstore(source: str, nowhere: str) -> Run:
    batch = Batch(Path(nowhere, "no-store"), form=Form.SHARDED)
    batch.add(source, name="localhost/bench")
    start = time.perf_counter()
    delta = batch.plan()
    middle = time.perf_counter()
    sink = os.open(os.devnull, os.O_WRONLY)
    stream = TarStream(lambda data: os.write(sink, data), DEFAULT_PATH)
    for step in delta:
        stream.put(step)
    stream.finish()
    end = time.perf_counter()
    os.close(sink)
    batch.close()
    seconds = {"first reading: verify": middle - start, _STREAM: end - middle, "both readings": end - start}
    return Run(seconds=seconds, kilobytes=_resident(), size=stream.size, entries=stream.entries)


def _unpack(blobs: Sequence[str], hashed: bool) -> Run:  # noqa: FBT001 - it is handed to another process
    start = time.perf_counter()
    for blob in blobs:
        packed_hash, unpacked_hash = hashlib.sha256(), hashlib.sha256()
        with Path(blob).open("rb") as file:
            _, unpacked = open_tar(file)
            while data := unpacked.read(_CHUNK):
                if hashed:
                    unpacked_hash.update(data)
            file.seek(0)
            while hashed and (data := file.read(_CHUNK)):
                packed_hash.update(data)
    seconds = time.perf_counter() - start
    return Run(seconds={"unpacking and SHA-256" if hashed else "unpacking alone": seconds}, kilobytes=_resident())


def _program(name: str, script: str, *arguments: str) -> Run:
    start = time.perf_counter()
    subprocess.run(["sh", "-c", script, "sh", *arguments], check=True)
    return Run(seconds={name: time.perf_counter() - start})


def _blobs(layout: Path, source: str) -> list[str]:
    """Return the files that hold the layers of an image."""
    image = open_source(source, Platform.of_machine(platform.machine()))
    image.close()
    return [str(layout / "blobs" / layer.digest.algorithm / layer.digest.hex) for layer in image.manifest.layers]


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
