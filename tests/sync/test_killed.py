"""Rounds that are killed at any moment: what readers see is whole, and the next round ends as one that nothing disturbed.

A round is a real process that asks a real registry. Moments are spread over its time from the first request to the end, within their
shares by a seeded choice. `CSTORE_MOMENTS=50 python -m pytest -s tests/sync/test_killed.py` tries 50 of each round.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING

import pytest
from attrs import define, evolve, field, frozen

from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.hub import CvmfsHub
from cstore.publish.writer import Writer
from tests.images import Image, directory, file, hardlink, opaque, symlink, tar, whiteout
from tests.publish.cvmfs import NAME, publishing_machine
from tests.publish.ending import packed
from tests.publish.stores import copy
from tests.sync.hubs import NOW, Hubbed, hubbed
from tests.sync.judging import Seen, broken, content, left_over
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.publish.cvmfs import Publisher

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")

ASKED = int(os.environ.get("CSTORE_MOMENTS", "0"))
_PAUSE = 0.002
_LONG = 60

BASE = tar(
    directory("data"),
    *(file(f"data/{number}", b"%d" % number * 500) for number in range(60)),
    file("data/tool", b"t" * 4000, mode=0o755),
    hardlink("data/tool-too", "data/tool"),
)
MIDDLE = tar(whiteout("data/1"), file("lib/one", b"1" * 900), hardlink("lib/uno", "lib/one"), symlink("lib/first", "one"))


def image(number: int, *, deep: bool = False, platform: str = "amd64") -> Image:
    """Return an image that shares layers with the others, and hides some of what they hold."""
    own = tar(
        whiteout("data/2"),
        *((opaque("lib"),) if deep else ()),
        *(file(f"own/{number}-{name}", b"%d" % number * 300) for name in range(30)),
        hardlink(f"own/{number}-again", f"own/{number}-0"),
    )
    return Image(layers=(BASE, MIDDLE, own) if deep else (BASE, own), labels={"number": str(number)}, platform=f"linux/{platform}")


FORMER = {"1": image(1), "2": image(2, deep=True), "3": image(3), "gone": image(4)}
LATER = {"1": image(11, deep=True), "3": image(2, deep=True), "new": image(12), "newer": image(13, deep=True)}
"""Two names move, one of them to an image that is there; two come, and one is wished no more."""


@frozen
class Ground:
    """Where rounds are carried out, each time as it was before."""

    hub: Callable[[str], AbstractContextManager[Hub]]
    """Makes a hub, by a name of its own."""
    before: Seen
    after: Seen
    wanted: dict[str, object]
    """All that is there after a round that nothing disturbed."""
    seconds: float
    """How long that took, from its first request on."""


@define
class Hub:
    """A hub to which one process after the other is a round."""

    registry: Registry
    place: Path
    root: Path
    command: tuple[str, ...]
    environment: Mapping[str, str]
    publisher: Publisher | None = None
    told: bytes = field(default=b"", init=False)

    def round(self, killed_after: float | None = None) -> tuple[int, float]:
        """Carry out a round; return its exit code, and how many seconds after its first request it ended."""
        logged = len(self.registry.log)
        with (self.place / "told").open("w+b") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "cstore", *self.command], env=self.environment, stdout=told, stderr=told, start_new_session=True
            )
            while process.poll() is None and len(self.registry.log) == logged:
                time.sleep(_PAUSE)
            start = time.monotonic()
            try:
                process.wait(_LONG if killed_after is None else killed_after)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            end = time.monotonic()
            told.seek(0)
            self.told = told.read()
        return process.returncode, end - start

    def wrong(self, ground: Ground) -> list[str]:
        """Return what is wrong after a round that was killed, and after the next one."""
        found = broken(self.root, [ground.before, ground.after])
        code, _ = self.round()
        if code:
            found.append(f"the next round ends with {code}: {self.told.decode()}")
        there = content(self.root)
        differing = sorted(path for path in {*there, *ground.wanted} if there.get(path) != ground.wanted.get(path))
        found += [f"after the next round {path} is not as an undisturbed round leaves it" for path in differing]
        found += left_over(self.root)
        if self.publisher is not None:
            found += ["a transaction is open"] if self.publisher.is_open else []
            found += filter(None, [self.publisher.check()])
        return found

    def wait_for_others(self) -> None:
        """Wait until what a killed process had started has ended too: it is in sessions of its own, and ends by itself."""
        end = time.monotonic() + _LONG
        while self.publisher is not None and self.publisher.is_open and time.monotonic() < end:
            time.sleep(_PAUSE)


@contextmanager
def following(place: Path, publisher: Publisher | None = None) -> Iterator[Hubbed]:
    """Give a hub with what was wished formerly, and a registry that has what is wished now."""
    with Registry(place / "registry") as registry, registry.registries() as asked:
        hub = hubbed(place, registry, asked)
        if publisher is not None:
            hub.hub = CvmfsHub(CvmfsPlace(repository=publisher.repository, path=""))
        hub.days = (dt.datetime.now(tz=dt.UTC) - NOW).days - 30
        hub.push("team/app", {**FORMER, "arm": image(5, platform="arm64")})
        arm = f"{{image: '{registry.address}/team/app:arm', platforms: [linux/arm64]}}"
        assert hub.run(hub.wish("team/app:1", "team/app:2", "team/app:3", "team/app:gone", arm)).is_complete
        hub.push("team/app", {**LATER, "arm": image(15, deep=True, platform="arm64")})
        hub.wish("team/app:1", "team/app:2", "team/app:3", "team/app:new*", arm)
        yield hub


def the_hub(follows: Hubbed, place: Path, root: Path, to: str, publisher: Publisher | None = None) -> Hub:
    """Return a hub with a cache of its own."""
    command = ("sync", str(follows.place / "wishes.yaml"), "--to", to, "--prune")
    environment = {**os.environ, **follows.registry.environment(place), **(publisher.environment if publisher else {})}
    return Hub(follows.registry, place, root, command, environment, publisher)


@contextmanager
def copied(place: Path, follows: Hubbed, name: str) -> Iterator[Hub]:
    """Give a copy of a hub in a directory, which goes with the body."""
    own = place / name
    own.mkdir()
    copy(follows.hub.root, own / "hub")
    yield the_hub(follows, own, own / "hub", str(own / "hub"))
    shutil.rmtree(own)


def ground(make: Callable[[str], AbstractContextManager[Hub]]) -> Ground:
    """Return a ground with what a round does there that nothing disturbs."""
    with make("undisturbed") as hub:
        before = Seen.of(hub.root)
        code, seconds = hub.round()
        assert code == 0, hub.told
        return Ground(make, before, Seen.of(hub.root), content(hub.root), seconds)


@pytest.fixture(scope="module")
def in_a_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    place = tmp_path_factory.mktemp("directory")
    with following(place) as follows:
        yield ground(partial(copied, place, follows))


@pytest.fixture(scope="module")
def in_a_directory_later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The same hub when nothing changes but that what is retired goes."""
    place = tmp_path_factory.mktemp("later")
    with following(place) as follows:
        assert follows.run(follows.place / "wishes.yaml", prune=True).changed
        yield ground(partial(copied, place, follows))


@pytest.fixture(scope="module")
def in_a_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    place = tmp_path_factory.mktemp("repository")

    @contextmanager
    def make(follows: Hubbed, before: bytes, name: str) -> Iterator[Hub]:
        own = place / name
        own.mkdir()
        with publishing_machine(own / "site") as publisher:
            code, told = publisher.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=before)
            assert code == 0, told
            yield the_hub(follows, own, publisher.newest, f"cvmfs://{NAME}", publisher)
        shutil.rmtree(own)

    with publishing_machine(place / "site") as publisher, following(place, publisher) as follows:
        yield ground(partial(make, follows, packed(publisher.newest)))


def tried(ground: Ground, moments: int) -> list[str]:
    """Kill a round at so many moments; return what is wrong after any of them, and say how many there were."""
    chance = random.Random(moments)  # noqa: S311 - moments, no secrets
    found, killed, moments = [], 0, ASKED or moments
    for number in range(moments):
        moment = ground.seconds * (number + chance.random()) / moments
        with ground.hub(f"moment-{number}") as hub:
            code, _ = hub.round(killed_after=moment)
            assert code in (0, -signal.SIGKILL), hub.told
            killed += code != 0
            hub.wait_for_others()
            found += [f"{moment:.3f} s of {ground.seconds:.3f} s: {problem}" for problem in hub.wrong(ground)]
    print(f"killed at {killed} of {moments} moments of {ground.seconds:.2f} s; wrong: {len(found)}")  # noqa: T201 - how many moments were tried
    return found


def test_in_a_directory(in_a_directory: Ground) -> None:
    """Spec Z11."""
    assert tried(in_a_directory, 4) == []


def test_in_a_directory_while_what_is_retired_goes(in_a_directory_later: Ground) -> None:
    """Spec Z11."""
    assert tried(in_a_directory_later, 2) == []


def test_in_a_repository(in_a_repository: Ground) -> None:
    """Spec Z11."""
    assert tried(in_a_repository, 3) == []


def killed_at(hub: Hubbed, wishes: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Carry out a round in a forked process that is killed as it is about to put a file."""
    child = os.fork()
    if child == 0:
        try:
            put = Writer.put_file

            def killing(writer: Writer, there: str, file: IO[bytes]) -> None:
                if there == path:
                    os.kill(os.getpid(), signal.SIGKILL)
                put(writer, there, file)

            monkeypatch.setattr(Writer, "put_file", killing)
            with hub.registry.registries() as asked:
                evolve(hub, asked=asked).run(wishes)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("path", [".metadata/cstore.json", ".metadata/{}/team/app:2/manifest.json"], ids=["last", "between"])
def test_what_a_killed_round_began_is_undone_before_the_next_one_looks(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry(tmp_path / "registry") as registry, registry.registries() as asked:
        hub = hubbed(tmp_path, registry, asked)
        wishes = hub.wish("team/app:1", "team/app:2")
        hub.push("team/app", {"1": image(1), "2": image(2)})
        hub.run(wishes)
        hub.push("team/app", {"1": image(11), "2": image(12)})
        killed_at(hub, wishes, path.format(registry.address), monkeypatch)
        report = hub.run(wishes)
        assert (report.is_complete, report.changed) == (True, True)
        assert [(hub.public(f"team/app:{tag}") / f"own/1{tag}-0").exists() for tag in (1, 2)] == [True, True]
        assert not hub.run(wishes).changed
        assert left_over(hub.hub.root) == []
