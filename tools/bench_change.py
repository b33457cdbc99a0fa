"""What a small change of a large store takes, beside `cp` of both its indexes, and beside podman and skopeo.

    bench_change.py [--images N ...] [--runs N] [--stores DIR] [--json FILE]

Makes stores of eight layers for each image, direct and sharded, and runs on each, as whole processes and in turn:

    cstore add, tag, list, remove    one image whose layers are all there; one more name; all names; that image
    cp of both indexes               into another directory, and nothing else
    cp and sync of both indexes      that, and waiting until they are on the disk, as cstore does
    skopeo copy, podman rmi, tag     the same changes in a copy of the store that is their graph root; only as root

The copy has indexes and images of its own, and the trees of layers of the store itself. Before each change of podman's its indexes are
again as cstore wrote them. After all, the indexes of the store must be as they were, byte for byte. Once, also what starting takes:
`import cstore` and `cstore --version`, beside Python that does nothing.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from attrs import frozen

from tools.figures import Benchmark, Figure, compared, report
from tools.layout import write_layout
from tools.measure import Program, best_of, figures_of
from tools.reader import CAN_RUN, own_mounts, reader
from tools.stores import INDEXES, LOCKS, add_options, layers_of, place_of, store_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tools.reader import Reader

_ABOUT = """\
One small change of a store of so many images, with eight layers for each, as whole processes. `cp` copies images.json and layers.json and
does nothing else. podman and skopeo make the same change in a writable copy of the store that is their graph root. The image that is added
has all its layers in the store. Times are the best of several, those of podman and
skopeo in the largest store of one; MB is the largest resident size."""
_CSTORE = [sys.executable, "-m", "cstore"]
_NEW = "registry.example.org/bench/new:1"
_TAG = "registry.example.org/bench/tag:1"
_CP = "cp of both indexes"
_CP_SYNC = "cp and sync of both indexes"
_PEERS = {
    "add an image whose layers are there": ("cstore add", "skopeo copy"),
    "tag": ("cstore tag", "podman tag"),
    "remove": ("cstore remove", "podman rmi"),
    "list": ("cstore list", None),
}
_LARGE = 3000
_LONGEST = 90
"""Seconds after which podman is not waited for."""


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, sizes=[100, 1000, 10_000], runs=5)
    parser.add_argument("--forms", nargs="+", choices=["direct", "sharded"], default=["direct", "sharded"])
    asked = parser.parse_args()
    own_mounts()
    figures = _starting(asked.runs)
    with place_of(asked.stores) as place:
        for images in sorted(asked.images):
            for form in asked.forms:
                figures += _Change(store_of(place, images, form), images, form).figures(asked.runs)
    report(Benchmark(name="change", about=_ABOUT, x="images", figures=compared(figures)), json=asked.json)


def _starting(runs: int) -> list[Figure]:
    nothing = "python -c pass"
    programs = {
        "import cstore": Program(command=[sys.executable, "-c", "import cstore"]),
        "cstore --version": Program(command=[*_CSTORE, "--version"]),
        nothing: Program(command=[sys.executable, "-c", "pass"]),
    }
    peers = dict.fromkeys(("import cstore", "cstore --version"), nothing)
    return [figure for figure in figures_of(best_of(programs, 2 * runs), group="start", x=0, peers=peers) if figure.unit != "MB"]


@frozen
class _Change:
    """A store, and what is done to it."""

    store: Path
    images: int
    form: str

    def figures(self, runs: int) -> list[Figure]:
        """Measure all, and leave the store as it was."""
        before = self._indexes(self.store)
        work = self.store.with_name(f"{self.store.name}-work")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        source = self._image(work)
        took = best_of(self._programs(source, work), runs)
        if self._indexes(self.store) != before:
            sys.exit(f"{self.store}: expected the indexes as they were before, found others")
        if CAN_RUN:
            with reader(graph=self._copy(work)) as podman:
                # They take half a minute each in a large store.
                took |= best_of(self._rivals(source, podman), min(runs, 1 if self.images > _LARGE else 3))
        shutil.rmtree(work)
        made = []
        for change, (own, rival) in _PEERS.items():
            names = [name for name in (own, _CP, _CP_SYNC, rival) if name in took]
            group = f"{change}, {self.form} store"
            made += figures_of({name: took[name] for name in names}, group=group, x=self.images, peers={own: _CP, rival or "": own})
        size = sum(len(data) for data in before[:2]) / 1e6
        made = [figure for figure in made if figure.name not in (_CP, _CP_SYNC) or figure.unit != "MB"]
        return [*made, Figure(group="both indexes", name=f"{self.form} store", unit="MB", x=self.images, value=round(size, 3))]

    def _image(self, work: Path) -> str:
        """Write an image that has the layers of the first one of the store, and a config of its own."""
        script = "import sys; from tools.make_store import layer_tar; sys.stdout.buffer.write(layer_tar(int(sys.argv[1])))"
        tars = []
        for number in range(min(15, layers_of(self.store))):
            done = subprocess.run([sys.executable, "-c", script, str(number)], check=True, capture_output=True)
            tars.append(done.stdout)
        return write_layout(work / "image", tars, config={"Labels": {"of": _NEW}})

    def _programs(self, source: str, work: Path) -> dict[str, Program]:
        copied = work / "copied"
        indexes = [self.store / index for index in INDEXES]

        def clear() -> None:
            shutil.rmtree(copied, ignore_errors=True)
            copied.mkdir()

        def untag() -> None:
            subprocess.run([*_CSTORE, "remove", self.store, _TAG], check=True, stdout=subprocess.DEVNULL)

        return {
            "cstore add": Program(command=[*_CSTORE, "add", self.store, source, "--name", _NEW]),
            "cstore tag": Program(command=[*_CSTORE, "tag", self.store, _NEW, _TAG], after=untag),
            "cstore list": Program(command=[*_CSTORE, "list", self.store]),
            "cstore remove": Program(command=[*_CSTORE, "remove", self.store, _NEW]),
            _CP: Program(command=["cp", *indexes, copied], before=clear),
            _CP_SYNC: Program(command=["sh", "-c", 'cp "$@" && sync "$3"/*', "sh", *indexes, copied], before=clear),
        }

    def _rivals(self, source: str, podman: Reader) -> dict[str, Program]:
        trees = podman.graph / "overlay"

        def mount() -> None:
            # podman takes this mount for the one that it would make itself, and unmounts it at its end.
            _run("mount", "--bind", self.store / "overlay", trees)

        def restore() -> None:
            mount()
            for name in (*INDEXES, *LOCKS):
                shutil.copyfile(self.store / name, podman.graph / name)

        def unmount() -> None:
            subprocess.run(["umount", "--lazy", "--quiet", trees], check=False, stderr=subprocess.DEVNULL)

        copy = ["skopeo", "copy", "--quiet", source, f"containers-storage:[overlay@{podman.graph}+{podman.graph.with_name('run')}]{_NEW}"]
        tag = ["podman", "tag", "registry.example.org/team-00/image-00000:1", _TAG]
        return {
            "skopeo copy": Program(command=copy, env=podman.env, before=restore, after=unmount, limit=_LONGEST),
            "podman rmi": Program(command=["podman", "rmi", _NEW], env=podman.env, before=mount, after=unmount, limit=_LONGEST),
            "podman tag": Program(command=tag, env=podman.env, before=restore, after=unmount, limit=_LONGEST),
        }

    def _copy(self, work: Path) -> Path:
        """Return a copy of the store that podman may write to, but for the trees of layers."""
        graph = work / "graph"
        (graph / "overlay").mkdir(parents=True)
        _run("cp", "--archive", self.store / "overlay-images", graph)
        _run("cp", "--archive", "--link", self.store / "overlay-layers", graph)
        for name in (INDEXES[1], LOCKS[1]):
            # Written in place by podman: no hard links.
            (graph / name).unlink()
        if (self.store / "pool").exists():
            (graph / "pool").symlink_to(self.store / "pool")
        return graph

    @staticmethod
    def _indexes(store: Path) -> Sequence[bytes]:
        return [(store / name).read_bytes() for name in (*INDEXES, *LOCKS)]


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
