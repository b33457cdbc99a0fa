"""Tries many at once on one store: writers that change it, podmans that read it and a `cstore verify`, each in a loop of its own.

    try_many.py [--writers 4] [--changes 50] [--readers 4] [--verifiers 1] [--kills 0] [--layout direct|sharded] [--cvmfs] [--seed 1]

Each writer makes so many changes, one `cstore` after another: it adds images under names of its own, moves these, removes them, and prunes
without any grace. All writers take the same few images, so that what one removes another one adds. Of every hundred calls `--kills` are
killed by SIGKILL somewhere, and made again. What the store must hold in the end is known, and compared.

Readers run `podman image exists`, `podman images` and `podman run` in turn on a read-only mount, as long as there are writers. `podman
images` asks for one image after the other, and gives up where one went since it began, whoever removed it: then it is called again, and
counted. The verifier runs `cstore verify`, which must find nothing but retired layers, and
with `--kills` what lies about until the next change. With `--cvmfs` the store is in a repository of the
stand-in for `cvmfs_server`: then writers wait for each other's transactions, and each reader mounts the newest revision for each of its
rounds.

Prints what was done, as text and, in the last line, as JSON; the exit code is 1 if anything failed. Only as root, with podman, runc and
busybox. cstore and this checkout must be importable, with what the tests need.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from tests.compat.mounts import private_mounts, read_only, unmount_below
from tests.compat.podman import Podman
from tests.compat.programs import LINES, attempt
from tests.compat.victims import programs
from tests.images import Image, file, tar, whiteout, write_layout
from tests.publish.cvmfs import NAME, STORE, publishing_machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.publish.cvmfs import Publisher

_CSTORE = (sys.executable, "-m", "cstore")
_STEADY = "registry.example.org/many/steady:1"
_IMAGES = 6
_WAIT = 600
_RETIRED = frozenset(["V86"])
_LEFT = frozenset(["V81", "V82", "V83", "V84", "V85", "V87"])
"""What a writer that was killed leaves, until the next one comes."""
_OVERTAKEN = ("image not known", "layer not known")
_COMMANDS = (
    (("image", "exists", _STEADY), ""),
    (("images", "--format", "{{.Repository}}"), "registry.example.org/many/steady"),
    (("run", "--rm", "--pull=never", _STEADY, "cat", "/own"), "steady\n"),
)
"""What readers do, and what they must be told then."""
_LONGEST = 300


@define
class Tally:
    """What was done by one kind of program, and how long it took."""

    seconds: list[float] = field(factory=list)
    failures: list[str] = field(factory=list)
    overtaken: int = 0
    """How often a command was called again, since an image went while it ran."""

    @classmethod
    def of(cls, tallies: Sequence[Tally]) -> Tally:
        """Return the sum of several."""
        return cls(
            [seconds for tally in tallies for seconds in tally.seconds],
            [failure for tally in tallies for failure in tally.failures],
            sum(tally.overtaken for tally in tallies),
        )

    def to_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        ordered = sorted(self.seconds) or [0.0]
        return {
            "runs": len(self.seconds),
            "failures": self.failures,
            "overtaken": self.overtaken,
            "median": round(ordered[len(ordered) // 2], 3),
            "longest": round(ordered[-1], 3),
        }


@frozen
class Store:
    """The store, as programs on this machine call it."""

    location: str
    layout: str
    sources: dict[str, str]
    """By tag."""
    ids: dict[str, str]
    publisher: Publisher | None
    place: Path
    _lock: Lock = field(factory=Lock)

    @property
    def environment(self) -> dict[str, str]:
        """What `cstore` takes from the environment."""
        return {**LINES, **(self.publisher.environment if self.publisher else {})}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a `cstore`."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*_CSTORE, *arguments], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, env=self.environment, cwd=self.place
        )

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run a `cstore` to its end; return its exit code and what it says."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=_LONGEST)
            return process.returncode, out, err

    def writing(self, verb: str, *arguments: str) -> list[str]:
        """Return the arguments of a verb that changes the store."""
        layout = ["--layout", self.layout] if verb == "add" else []
        wait = ["--wait", str(_WAIT)] if self.publisher else []
        return [verb, self.location, *arguments, *layout, *wait]

    @contextmanager
    def mounted(self, at: Path) -> Iterator[Path]:
        """Show the store as it is now, to one reader that cannot write to it."""
        if self.publisher is None:
            with read_only(Path(self.location), at):
                yield at
            return
        with self._lock:
            code, said = self.publisher.machine.run("client", NAME, str(at))
        if code:
            raise RuntimeError(said)
        try:
            yield at / STORE
        finally:
            unmount_below(at)
            shutil.rmtree(at)


class Writer:
    """Makes changes, and knows what must have become of its own names."""

    def __init__(self, store: Store, number: int, seed: int, kills: int) -> None:
        self._store = store
        self._names = [f"registry.example.org/many/writer-{number}:{name}" for name in range(5)]
        self._random = random.Random(f"{seed} {number}")  # noqa: S311 - the same changes each time
        self._kills = kills
        self.held: dict[str, str] = {}
        """The ID of the image behind each of its names."""
        self.tally = Tally()
        self.killed = 0

    def run(self, changes: int) -> None:
        """Make changes."""
        for _ in range(changes):
            self._change()

    def _change(self) -> None:
        name, other = self._random.sample(self._names, 2)
        kind = self._random.choice(["add", "add", "add", "tag", "tag", "remove", "remove", "prune"])
        if name not in self.held and kind in ("tag", "remove"):
            kind = "add"
        if kind == "add":
            tag = str(self._random.randrange(_IMAGES))
            self._call("add", self._store.sources[tag], "--name", name)
            self.held[name] = self._store.ids[tag]
        elif kind == "tag":
            self._call("tag", name, other)
            self.held[other] = self.held[name]
        elif kind == "remove":
            self._call("remove", name)
            del self.held[name]
        else:
            self._call("prune", "--grace", "0d")

    def _call(self, verb: str, *arguments: str) -> None:
        call = self._store.writing(verb, *arguments)
        was_killed = self._random.randrange(100) < self._kills and self._kill(call)
        start = time.monotonic()
        code, _, said = self._store.call(*call)
        self.tally.seconds.append(time.monotonic() - start)
        # Whoever was killed may have done it before.
        if code and not (was_killed and verb == "remove" and "found none" in said):
            self.tally.failures.append(f"cstore {' '.join(call)}: exit {code}: {said.strip()}")

    def _kill(self, call: Sequence[str]) -> bool:
        """Start a call and kill it, early or late; return whether that came before its end."""
        with self._store.start(*call) as process:
            try:
                process.communicate(timeout=self._random.uniform(0.1, 0.6))
            except subprocess.TimeoutExpired:
                process.kill()
                self.killed += 1
                return True
        return True


class Reader:
    """A podman that reads the store."""

    def __init__(self, store: Store, number: int) -> None:
        self._store = store
        self._at = store.place / f"reader-{number}"
        self.tally = Tally()

    def run(self, end: Event) -> None:
        """Read until there are no writers any more, but once at least."""
        if self._store.publisher is None:
            with self._store.mounted(self._at) as mounted, Podman(mounted) as podman:
                self._read(podman)
                while not end.is_set():
                    self._read(podman)
            return
        rounds = 0
        while not rounds or not end.is_set():
            rounds += 1
            with self._store.mounted(self._at / str(rounds)) as mounted, Podman(mounted) as podman:
                self._read(podman)

    def _read(self, podman: Podman) -> None:
        for command, wanted in _COMMANDS:
            start = time.monotonic()
            done = attempt("podman", *command, env=podman.env, cwd=podman.place)
            while command[0] == "images" and any(words in done.stderr for words in _OVERTAKEN):
                self.tally.overtaken += 1
                done = attempt("podman", *command, env=podman.env, cwd=podman.place)
            self.tally.seconds.append(time.monotonic() - start)
            if done.returncode or wanted not in done.stdout:
                self.tally.failures.append(f"podman {' '.join(command)}: exit {done.returncode}: {done.stdout}{done.stderr}".strip())


class Verifier:
    """Verifies the store again and again."""

    def __init__(self, store: Store, kills: int) -> None:
        self._store = store
        self._fine = _RETIRED | _LEFT if kills else _RETIRED
        self.tally = Tally()

    def run(self, end: Event) -> None:
        """Verify until there are no writers any more, and once after that."""
        is_last = False
        while not is_last:
            is_last = end.is_set()
            start = time.monotonic()
            code, out, err = self._store.call("verify", self._store.location, "--json")
            self.tally.seconds.append(time.monotonic() - start)
            found = [line for line in out.splitlines() if json.loads(line)["code"] not in self._fine]
            if code or found:
                self.tally.failures.append(f"cstore verify: exit {code}: {' '.join(found)} {err}".strip())


def try_many(store: Store, asked: argparse.Namespace) -> dict[str, Any]:
    """Let all of them run, and return what they did."""
    code, _, said = store.call(*store.writing("add", store.sources["steady"], "--name", _STEADY))
    if code:
        raise RuntimeError(said)
    writers = [Writer(store, number, asked.seed, asked.kills) for number in range(asked.writers)]
    readers = [Reader(store, number) for number in range(asked.readers)]
    verifiers = [Verifier(store, asked.kills) for _ in range(asked.verifiers)]
    start, end = time.monotonic(), Event()
    with ThreadPoolExecutor(len(writers) + len(readers) + len(verifiers)) as pool:
        changing = [pool.submit(writer.run, asked.changes) for writer in writers]
        looking = [pool.submit(run, end) for run in [*(one.run for one in readers), *(one.run for one in verifiers)]]
        try:
            for work in changing:
                work.result()
        finally:
            seconds = time.monotonic() - start
            end.set()
        for work in looking:
            work.result()
    told = {
        "layout": store.layout,
        "cvmfs": store.publisher is not None,
        "seconds": round(seconds, 1),
        "killed": sum(writer.killed for writer in writers),
        "writers": Tally.of([writer.tally for writer in writers]).to_dict(),
        "readers": Tally.of([reader.tally for reader in readers]).to_dict(),
        "verifiers": Tally.of([verifier.tally for verifier in verifiers]).to_dict(),
    }
    wanted = {_STEADY: store.ids["steady"]}
    for writer in writers:
        wanted |= writer.held
    return {**told, "end": _end(store, wanted)}


def _end(store: Store, wanted: dict[str, str]) -> list[str]:
    """Return what is wrong with the store after all changes, and a last pruning."""
    wrong: list[str] = []
    code, _, said = store.call(*store.writing("prune", "--grace", "0d"))
    wrong += [said] if code else []
    code, out, said = store.call("list", store.location, "--json")
    held = {name: image["id"] for image in json.loads(out)["images"] for name in image["names"]} if not code else {}
    wrong += [said] if code else []
    wrong += [
        f"{name}: expected {wanted.get(name)}, found {held.get(name)}" for name in {*wanted, *held} if wanted.get(name) != held.get(name)
    ]
    code, out, said = store.call("verify", store.location, "--deep", "--fail-on", "note")
    return [*wrong, *([out + said] if code else [])]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("writers", 4), ("changes", 50), ("readers", 4), ("verifiers", 1), ("kills", 0), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    parser.add_argument("--layout", choices=["direct", "sharded"], default="direct")
    parser.add_argument("--cvmfs", action="store_true", help="in a repository of the stand-in")
    asked = parser.parse_args()
    if asked.writers < 1 or asked.changes < 1:
        parser.error("expected at least one writer and one change")
    if os.geteuid() != 0:
        sys.exit("try_many.py: expected to run as root, since readers are given mounts")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as work, private_mounts():
        place = Path(work).resolve()
        told = _tried(place, asked)
    print(_text(told))
    print(json.dumps(told))
    sys.exit(int(any(told[kind]["failures"] for kind in ("writers", "readers", "verifiers")) or bool(told["end"])))


def _tried(place: Path, asked: argparse.Namespace) -> dict[str, Any]:
    images = _images()
    layout = write_layout(place / "images", images)
    sources, ids = {tag: f"{layout}:{tag}" for tag in images}, {tag: image.id for tag, image in images.items()}
    if not asked.cvmfs:
        return try_many(Store(str(place / "store"), asked.layout, sources, ids, None, place), asked)
    with publishing_machine(place / "site") as publisher:
        return try_many(Store(publisher.location, asked.layout, sources, ids, publisher, place), asked)


def _images() -> dict[str, Image]:
    """Return an image that stays and some that come and go, of layers that they share."""
    base = tar(*programs())
    middle = [tar(file("middle", f"{number}\n".encode()), file("gone")) for number in range(2)]
    made: dict[str, tuple[bytes, ...]] = {"steady": (base, tar(file("own", b"steady\n")))}
    for number in range(_IMAGES):
        made[str(number)] = (base, middle[number % 2], tar(file("own", f"{number}\n".encode()), whiteout("gone")))
    return {tag: Image(layers=layers, history=[{"created_by": "try_many.py"}] * len(layers)) for tag, layers in made.items()}


def _text(told: dict[str, Any]) -> str:
    where = "CernVM-FS (stand-in)" if told["cvmfs"] else "a directory"
    lines = [f"{where}, {told['layout']}: {told['seconds']} s, {told['killed']} killed"]
    for kind, what in (("writers", "changes"), ("readers", "commands of podman"), ("verifiers", "runs of verify")):
        each = told[kind]
        ends = f"{len(each['failures'])} failed, {each['overtaken']} overtaken"
        lines.append(f"{each['runs']} {what}, {ends}; {each['median']} s, the longest {each['longest']} s")
        lines += [f"  {failure}" for failure in each["failures"]]
    return "\n".join([*lines, *(f"in the end: {wrong}" for wrong in told["end"])])


if __name__ == "__main__":
    main()
