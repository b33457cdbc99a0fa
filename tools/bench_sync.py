"""What it takes to follow a registry: rounds of `cstore sync` over many images, into a directory and into the stand-in for CernVM-FS.

    bench_sync.py [--images N ...] [--layers N] [--files N] [--runs N] [--json FILE]

Images are made here, always the same ones (see make_collection.py), and put into a docker-registry on the loopback. For each number of
images, and each kind of hub, three rounds follow one another, in a new process and with an empty cache each:

    first round    into an empty hub
    nothing new    the same again
    a moved tag    one image has another last layer

Seconds, CPU seconds and memory are those of the whole process; parts are what it tells of itself. The stand-in tells how long it took the
stream, within the time to publish, and how much of that it waited for more of it. Beside it, from the same registry:
`skopeo copy` of the same images into an OCI layout, which is what fetching alone takes, and `umoci unpack` of each of them from there.
Where nothing is new, `skopeo inspect` of each. The full sizes take some minutes and 10 GB of disk. Only as root; with docker-registry,
skopeo and umoci.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attrs import define, field, frozen

from tools.cvmfs_standin.harness import COMMAND, Standin, standin
from tools.cvmfs_standin.site import Site
from tools.figures import Benchmark, Figure, compared, report
from tools.make_collection import BASE, MOVED, collection
from tools.measure import Program, Took, best_of, figures_of
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_REPOSITORY = "bench.example.org"
_TOOLS = Path(__file__).parent
_ABOUT = """\
Rounds of `cstore sync` over images of a registry on the loopback, all forms of each, into a plain directory and through the stand-in for
`cvmfs_server`, whose own work counts too: a first round, one in which nothing is new, and one in which a single tag has moved. Layers have
hundreds of files of 0.1 kB to 4 MB; ten images share a base. Beside it, one after the other: `skopeo copy` of all images into an OCI
layout, and `umoci unpack` of each from there; for the other rounds, of the moved image alone, and `skopeo inspect` of each image. A flat
tree of an image is written beside its layers, so that a first round writes most files twice. Among the parts, the stream is
the tar from where the stand-in begins to read it to its end; what the stand-in does not wait for it, cstore waits for the stand-in. For
comparison: of one image of ten small layers the converter in use today, DUCC of CernVM-FS 2.12, makes 117 revisions, on a real server."""
_OWN = "cstore sync"
_COPY, _UNPACK, _BOTH, _INSPECT = "skopeo copy", "umoci unpack", "skopeo copy and umoci unpack", "skopeo inspect"
_FIRST, _NOTHING, _MOVED = "first round", "nothing new", "a moved tag"
_PARTS = ("expand", "look", "fetch", "verify", "publish")
_STREAM = {"stream": "the stream, within publish", "stream_waited": "waiting for the stream, within that"}
"""What the stand-in tells of the parts of a publish."""
_COUNTS = {"requests": 1, "bytes_fetched": 1e6, "bytes_streamed": 1e6, "layers": 1}
_UNITS = {"bytes_fetched": "MB fetched", "bytes_streamed": "MB streamed", "layers": "new layers"}


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1, 10, 60], metavar="N", help="1, 10 and 60 unless told")
    parser.add_argument("--layers", type=int, default=5, metavar="N", help="in all, for each image; 5 unless told")
    parser.add_argument("--files", type=int, default=200, metavar="N", help="in each layer; 200 unless told")
    parser.add_argument("--runs", type=int, default=2, metavar="N", help="of each round; 2 unless told")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there")
    asked = parser.parse_args()
    if min(*asked.images, asked.runs, asked.files) < 1 or asked.layers <= BASE:
        parser.error(f"expected at least one image and one run, files, and more than {BASE} layers, found fewer")
    if os.geteuid() != 0:
        sys.exit("bench_sync.py: expected to run as root, since the stand-in mounts and makes devices")
    figures: list[Figure] = []
    for images in asked.images:
        with (
            tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as work,
            Registry(Path(work).resolve() / "registry") as registry,
        ):
            names = _fill(registry, Path(work), ("--images", str(images), "--layers", str(asked.layers), "--files", str(asked.files)))
            figures += Bench(Path(work).resolve(), registry, names).run(asked.runs)
    report(Benchmark(name="sync", about=_ABOUT, x="images", figures=compared(figures)), json=asked.json)


def _fill(registry: Registry, work: Path, options: Sequence[str]) -> tuple[str, ...]:
    """Make the images in a process of its own, put them into a registry, and return their names there."""
    layouts = work / "layouts"
    subprocess.run([sys.executable, _TOOLS / "make_collection.py", layouts, *options], check=True)
    for layout in layouts.iterdir():
        registry.put(layout.name, layout)
    shutil.rmtree(layouts)
    registry.tag("app-0", "v0", "v0-again")
    return tuple(f"{image.repository}:{image.tag}" for image in collection(int(options[1]), int(options[3])))


class _Hub(Protocol):
    """Where rounds publish."""

    name: str

    @property
    def location(self) -> str:
        """What `--to` calls it."""
        ...

    def renew(self) -> None:
        """Make it empty."""
        ...

    def environment(self) -> dict[str, str]:
        """Return what the program needs to publish there."""
        ...

    def costs(self) -> list[dict[str, Any]]:
        """Return what each of its revisions has cost."""
        ...


@define
class _Directory:
    """A plain directory."""

    place: Path
    name: str = "a directory"

    @property
    def location(self) -> str:
        return str(self.place)

    def renew(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()

    def environment(self) -> dict[str, str]:
        return {}

    def costs(self) -> list[dict[str, Any]]:
        return []


@define
class _Repository:
    """A repository of the stand-in."""

    place: Path
    name: str = "CernVM-FS"
    opened: ExitStack = field(factory=ExitStack)

    @property
    def location(self) -> str:
        return f"cvmfs://{_REPOSITORY}"

    @property
    def _machine(self) -> Standin:
        return Standin(Site(self.place))

    def renew(self) -> None:
        self.opened.close()
        shutil.rmtree(self.place, ignore_errors=True)
        self.opened.enter_context(standin(self.place)).make(_REPOSITORY)

    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in self._machine.environment.items() if name.startswith("CVMFS_STANDIN")}
        return {
            "CSTORE_CVMFS_SERVER": shlex.join(["env", *(f"{name}={value}" for name, value in own.items()), str(COMMAND)]),
            "CSTORE_CVMFS_SPOOL": str(self.place / "var/spool/cvmfs"),
            "CSTORE_CVMFS_MOUNT": str(self.place / "cvmfs"),
            "CSTORE_CVMFS_SETTINGS": str(self.place / "etc/cvmfs/repositories.d"),
            "CSTORE_CVMFS_LOCKS": str(self.place),
        }

    def costs(self) -> list[dict[str, Any]]:
        return self._machine.costs(_REPOSITORY)


@frozen
class Bench:
    """A registry with images, and what is done with them."""

    work: Path
    registry: Registry
    names: tuple[str, ...]
    """`REPOSITORY:TAG` of each image."""

    def run(self, runs: int) -> list[Figure]:
        """Run all rounds, and their peers, in turn; return what they took.

        Args:
            runs: how often each.
        """
        wishlist = self.work / "wishes.yaml"
        lines = "".join(f"  - '{self.registry.address}/{name}'\n" for name in self.names)
        wishlist.write_text(f"version: 1\nuser: bench\ncvmfs_repo: '{_REPOSITORY}'\noutput_format: ''\ninput:\n{lines}")
        peers = best_of(self._peers(), runs)
        made: list[Figure] = []
        with ExitStack() as opened:
            repository = _Repository(self.work / "site")
            opened.callback(repository.opened.close)
            hubs: tuple[_Hub, ...] = (_Directory(self.work / "hub"), repository)
            for hub in hubs:
                told: dict[str, list[dict[str, Any]]] = {}
                took = best_of(self._rounds(hub, wishlist, told), runs)
                for name, reports in told.items():
                    made += self._figures(f"{name}, {hub.name}", took[name], reports, peers_of(peers, name))
                    made += self._parts(f"{name}, {hub.name}: parts of it", reports, peers)
        return made

    def _rounds(self, hub: _Hub, wishlist: Path, told: dict[str, list[dict[str, Any]]]) -> dict[str, Program]:
        """Return the rounds, which follow one another; what each tells of itself is gathered by name."""
        out, cache = self.work / "told.json", self.work / "cache"
        environment = {**self.registry.environment(self.work), **hub.environment(), "XDG_CACHE_HOME": str(cache)}
        sync: list[str | Path] = [sys.executable, "-m", "cstore", "sync", wishlist, "--to", hub.location, "--json"]
        before: dict[str, Callable[[], None]] = {_FIRST: self._renewed(hub, cache), _MOVED: lambda: self.registry.tag("app-0", MOVED, "v0")}
        after: dict[str, Callable[[], None]] = {_MOVED: lambda: self.registry.tag("app-0", "v0-again", "v0")}

        def program(name: str) -> Program:
            revisions = 0

            def begin() -> None:
                nonlocal revisions
                before.get(name, _nothing)()
                revisions = len(hub.costs())

            def end() -> None:
                after.get(name, _nothing)()
                if data := out.read_bytes():
                    report, new = json.loads(data), hub.costs()[revisions:]
                    for part in _STREAM if new else ():
                        report["seconds"][_STREAM[part]] = sum(cost["seconds"].get(part, 0) for cost in new)
                    told.setdefault(name, []).append({**report, "revisions": len(new)})

            command: list[str | Path] = ["sh", "-c", 'exec "$@" >"$0"', out, *sync]
            return Program(command=command, env=environment, before=begin, after=end)

        return {name: program(name) for name in (_FIRST, _NOTHING, _MOVED)}

    def _renewed(self, hub: _Hub, cache: Path) -> Callable[[], None]:
        def renew() -> None:
            hub.renew()
            shutil.rmtree(cache, ignore_errors=True)

        return renew

    def _peers(self) -> dict[str, Program]:
        layout, bundles = self.work / "copied", self.work / "bundles"

        def copy(name: str) -> list[str | Path]:
            return ["skopeo", "copy", "-q", "--src-tls-verify=false", self._at(name), f"oci:{layout}:{_tag(name)}"]

        def unpack(name: str) -> list[str | Path]:
            return ["umoci", "unpack", "--image", f"{layout}:{_tag(name)}", bundles / _tag(name)]

        def empty(place: Path) -> Callable[[], None]:
            return lambda: shutil.rmtree(place, ignore_errors=True)

        def renew() -> None:
            shutil.rmtree(bundles, ignore_errors=True)
            bundles.mkdir()

        moved = f"app-0:{MOVED}"
        inspect: list[list[str | Path]] = [["skopeo", "inspect", "--raw", "--tls-verify=false", self._at(name)] for name in self.names]
        return {
            _COPY: Program(command=_script(map(copy, self.names)), before=empty(layout)),
            _UNPACK: Program(command=_script(map(unpack, self.names)), before=renew, after=empty(bundles)),
            _INSPECT: Program(command=_script(inspect)),
            f"{_COPY} {_MOVED}": Program(command=_script([copy(moved)])),
            f"{_UNPACK} {_MOVED}": Program(command=_script([unpack(moved)]), before=renew, after=empty(bundles)),
        }

    def _at(self, name: str) -> str:
        return f"docker://{self.registry.address}/{name}"

    def _figures(self, group: str, took: Took, reports: Sequence[Mapping[str, Any]], peers: Mapping[str, Took]) -> list[Figure]:
        """Return what the rounds of one kind took beside their peers, and what the last of them counted."""
        *_, whole = peers
        told = {_UNITS.get(what, what): reports[-1][what] / unit for what, unit in _COUNTS.items()}
        told |= {"requests a wish": reports[-1]["requests"] / len(self.names)}
        if any(report["revision"] is not None for report in reports) or "CernVM-FS" in group:
            told["revisions"] = max(report["revisions"] for report in reports)
        return [
            *figures_of({_OWN: took, **peers}, group=group, x=len(self.names), peers={_OWN: whole}),
            *(Figure(group=group, name=_OWN, unit=unit, x=len(self.names), value=round(value, 3)) for unit, value in told.items()),
        ]

    def _parts(self, group: str, reports: Sequence[Mapping[str, Any]], peers: Mapping[str, Took]) -> list[Figure]:
        """Return how long the parts of a round took at best, by what it tells itself."""

        def figure(name: str, value: float | None, peer: str = "") -> Figure:
            return Figure(group=group, name=name, unit="s", x=len(self.names), value=value, peer=peer)

        parts = [*_PARTS, *(part for part in _STREAM.values() if part in reports[-1]["seconds"])]
        best = {part: min(report["seconds"][part] for report in reports) for part in parts}
        if not group.startswith(_FIRST):
            return [figure(part, seconds) for part, seconds in best.items()]
        return [figure(_COPY, peers[_COPY].seconds), *(figure(part, best[part], _COPY if part == "fetch" else "") for part in parts)]


def peers_of(peers: Mapping[str, Took], name: str) -> dict[str, Took]:
    """Return what stands beside a kind of round; what is compared with it is last."""
    if name == _NOTHING:
        return {_INSPECT: peers[_INSPECT]}
    word = f" {_MOVED}" if name == _MOVED else ""
    copy, unpack = peers[f"{_COPY}{word}"], peers[f"{_UNPACK}{word}"]
    both = Took(
        seconds=(copy.seconds or 0) + (unpack.seconds or 0),
        cpu_seconds=copy.cpu_seconds + unpack.cpu_seconds,
        kilobytes=max(copy.kilobytes, unpack.kilobytes),
    )
    return {_COPY: copy, _UNPACK: unpack, _BOTH: both}


def _tag(name: str) -> str:
    """Return the tag of a layout, which has no colons."""
    return name.replace(":", ".")


def _script(commands: Iterable[Sequence[str | Path]]) -> list[str]:
    """Return what runs commands one after the other."""
    return ["sh", "-ec", "\n".join(shlex.join(map(str, command)) for command in commands)]


def _nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    main()
