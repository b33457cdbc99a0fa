"""What publishing costs a repository of CernVM-FS and its readers: revisions, entries, bytes, and the catalogs that are stored anew.

    bench_publish.py [--layers N ...] [--images N] [--json FILE]

Publishes through the stand-in for `cvmfs_server` (see cvmfs_standin), which counts what a real server would store. Images are made here,
always the same ones: each layer is a directory with four files of 1 kB and, but for the lowest, a deletion. For each form of a store,
and each number of layers that it holds already, in images of ten layers:

    add 30 images   of 8 to 12 layers each, none shared
    add one image   of ten layers
    add it again
    tag             that image
    remove          one of the 30

CPU seconds are the only numbers here that depend on the machine. With 20,000 layers it takes 10 to 20 minutes and some GB of disk. Only as
root; cstore and this checkout must be importable.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from cstore.model.layout import Form
from cstore.publish.batch import Batch
from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.repository import Repository, Site
from tools.cvmfs_standin.harness import COMMAND, Standin, standin
from tools.figures import Benchmark, Figure, compared, report
from tools.layout import write_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_REPOSITORY = "bench.example.org"
_NAMES = "registry.example.org/bench"
_SIZES = (8, 9, 10, 11, 12)
_IMAGE = 10
_BATCH = 100
_TIME = 1_700_000_000
_OCI = "application/vnd.oci.image"
_ABOUT = """\
Changes of a store in CernVM-FS, by the number of layers that it holds before and by its form, as the stand-in for `cvmfs_server` counts
them: revisions, entries and bytes that are written, catalogs that are stored anew and the entries in them. Bytes are those of the content
of files, not compressed. CPU seconds are those of cstore alone, without the server. Beside it: for one image of ten small layers the
converter in use today, DUCC of CernVM-FS 2.12, made 97 transactions and 10 ingests, and with them 117 revisions, on a real server."""
_COUNTED = {
    "entries_written": "entries",
    "bytes_written": "kB",
    "catalogs_dirtied": "catalogs",
    "catalog_entries": "entries in catalogs",
}
"""What the stand-in counts of a revision, and the unit in which it is told."""


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="+", default=[100, 2000], metavar="N", help="layers of the store; 100 and 2000")
    parser.add_argument("--images", type=int, default=30, metavar="N", help="images of the large add; 30")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there")
    asked = parser.parse_args()
    if asked.images < 1 or min(asked.layers) < 0:
        parser.error("expected at least one image, and no negative number of layers")
    if os.geteuid() != 0:
        sys.exit("bench_publish.py: expected to run as root, since the stand-in mounts and makes devices")
    figures: list[Figure] = []
    for layers in asked.layers:
        for form in Form:
            with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as work, standin(Path(work).resolve() / "site") as machine:
                machine.make(_REPOSITORY)
                for made in Bench(machine, Path(work).resolve(), form, layers).run(asked.images):
                    figures += made
    report(Benchmark(name="publish", about=_ABOUT, x="layers", figures=compared(figures)), json=asked.json)


@frozen
class Bench:
    """A store of one form and size, and what is done to it."""

    machine: Standin
    work: Path
    form: Form
    layers: int

    def run(self, count: int) -> Iterator[list[Figure]]:
        """Make the store and yield what each change of it costs.

        Args:
            count: how many images are added at once.
        """
        self._fill()
        many = {f"many-{number}": _SIZES[number % len(_SIZES)] for number in range(count)}
        yield self._cost(f"add {count} images", lambda: self._add(many))
        one = {"one": _IMAGE}
        yield self._cost("add one image", lambda: self._add(one))
        yield self._cost("add it again", lambda: self._add(one))
        yield self._cost("tag", lambda: self._change(lambda batch: batch.tag(f"{_NAMES}/one", f"{_NAMES}/two")))
        yield self._cost("remove", lambda: self._change(lambda batch: batch.remove(f"{_NAMES}/many-0")))

    def _fill(self) -> None:
        """Bring the store to its size, many images at a time."""
        images = {f"old-{first}": min(_IMAGE, self.layers - first) for first in range(0, self.layers, _IMAGE)}
        names = list(images)
        for first in range(0, len(names), _BATCH):
            self._add({name: images[name] for name in names[first : first + _BATCH]})

    def _cost(self, change: str, run: Callable[[], None]) -> list[Figure]:
        before = len(self.machine.costs(_REPOSITORY))
        start = time.process_time()
        run()
        seconds = time.process_time() - start
        made: Sequence[dict[str, Any]] = self.machine.costs(_REPOSITORY)[before:]

        def figure(value: float, unit: str) -> Figure:
            return Figure(group=f"{self.form.value} store", name=change, unit=unit, x=self.layers, value=value)

        totals = {"revisions": len(made)} | {
            unit: sum(revision[what] for revision in made) / (1000 if unit == "kB" else 1) for what, unit in _COUNTED.items()
        }
        return [*(figure(total, unit) for unit, total in totals.items()), figure(round(seconds, 3), "CPU s")]

    def _add(self, images: dict[str, int]) -> None:
        """Add images, by name with the number of their layers, in one batch."""
        with tempfile.TemporaryDirectory(dir=self.work) as directory:
            sources = {
                name: write_layout(Path(directory, name), [_layer(name, number) for number in range(layers)])
                for name, layers in images.items()
            }

            def add(batch: Batch) -> None:
                for name, source in sources.items():
                    batch.add(source, name=f"{_NAMES}/{name}")

            self._change(add)

    def _change(self, change: Callable[[Batch], object]) -> None:
        # The first batch makes the store, in its form; a later one takes the form that is there.
        batch = Batch(self._place, form=self.form)
        try:
            change(batch)
            batch.publish()
        finally:
            batch.close()

    @property
    def _place(self) -> CvmfsPlace:
        root = self.machine.site.root
        own = {name: value for name, value in self.machine.environment.items() if name.startswith("CVMFS_STANDIN")}
        site = Site(
            command=("env", *(f"{name}={value}" for name, value in own.items()), str(COMMAND)),
            spool=root / "var/spool/cvmfs",
            mount=root / "cvmfs",
            settings=root / "etc/cvmfs/repositories.d",
            locks=self.work,
        )
        return CvmfsPlace(repository=Repository(_REPOSITORY, site))


def _layer(image: str, number: int) -> bytes:
    """Return the tar of one layer of an image; no two are the same."""
    members: list[tuple[str, bytes]] = [(f"app/{number}-{file}", f"{image} {number} {file}\n".encode() * 64) for file in range(4)]
    if number:
        members.append((f"app/.wh.{number - 1}-0", b""))
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        top = tarfile.TarInfo("app")
        top.type, top.mode, top.mtime = tarfile.DIRTYPE, 0o755, _TIME
        tar.addfile(top)
        for path, content in members:
            file = tarfile.TarInfo(path)
            file.size, file.mtime = len(content[:1000]), _TIME
            tar.addfile(file, io.BytesIO(content[:1000]))
    return made.getvalue()


if __name__ == "__main__":
    main()
