"""Rounds in which one request to the registry fails, whichever: all else is published whole, and the next round completes it."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, evolve, field

from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.hub import CvmfsHub, DirectoryHub
from cstore.registry.cache import Cache
from tests.images import digest_of
from tests.publish.cvmfs import publishing_machine
from tests.publish.stores import copy
from tests.sync.faulty import outcomes, through
from tests.sync.hubs import Hubbed, hubbed, image
from tests.sync.judging import Seen, broken, content, left_over
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")

NAMES = ("team/app:1", "team/app:2", "team/app:2 arm64")
"""All that is wished: two tags by a pattern, over two pages of tags, and of the second one, an image index, another platform too."""
PAGED = Fault("GET .*/tags/list", page=1, times=None)


def needed(registry: Registry, name: str) -> set[str]:
    """Return the requests without one of which nobody has an image, by what the registry itself holds."""
    name, _, architecture = name.partition(" ")
    repository, _, tag = name.partition(":")
    data, _ = registry.manifest(repository, tag)
    digests = [digest_of(data)]
    for entry in json.loads(data).get("manifests", ()):
        if entry["platform"]["architecture"] == (architecture or "amd64"):
            digests.append(entry["digest"])
            data, _ = registry.manifest(repository, entry["digest"])
    manifest = json.loads(data)
    return {
        f"HEAD /v2/{repository}/manifests/{tag}",
        *(f"GET /v2/{repository}/manifests/{digest}" for digest in digests),
        *(f"GET /v2/{repository}/blobs/{part['digest']}" for part in (manifest["config"], *manifest["layers"])),
    }


@define
class Ground:
    """Where rounds are carried out, each time as it was before."""

    follows: Hubbed
    proxy: Proxy
    before: Path
    """A hub, of which each round gets a copy."""
    wishes: Path
    needed: Mapping[str, set[str]]
    """What must be asked for each name, but for lists of tags."""
    _made: dict[frozenset[str], dict[str, Any]] = field(factory=dict, init=False)
    _number: int = field(default=0, init=False)

    def hub(self) -> Hubbed:
        """Return a copy of the hub, with an empty cache, and have the registry without faults."""
        self._number += 1
        root = self.follows.place / f"{self.before.name}-{self._number}"
        copy(self.before, root)
        self.spoil()
        return evolve(self.follows, hub=DirectoryHub(root))

    def spoil(self, request: str = "", **kind: Any) -> None:  # noqa: ANN401 - of Fault
        """Have one request fail as often as it is sent, and the cache empty."""
        self.proxy.faults[:] = [Fault(f"^{re.escape(request)}$", times=None, **kind), PAGED]
        shutil.rmtree(self.follows.place / "cache/blobs", ignore_errors=True)

    def requests(self) -> list[str]:
        """Return the requests of an undisturbed round, in order."""
        hub = self.hub()
        del self.proxy.seen[:]
        report = hub.run(self.wishes, prune=True)
        assert (report.is_complete, report.changed) == (True, True)
        return [f"{seen.method} {seen.path}" for seen in self.proxy.seen]

    def failing(self, request: str) -> frozenset[str]:
        """Return the names that nobody can have while a request fails."""
        return frozenset(name for name, those in self.needed.items() if request in those or ("/tags/list" in request and name in NAMES[:2]))

    def expected(self, failing: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return all that is in the hub after an undisturbed round over all names but these."""
        if failing not in self._made:
            hub = self.hub()
            assert hub.run(hub.wish(*(entry(hub, name) for name in NAMES if name not in failing), name="some.yaml")).is_complete
            assert broken(hub.hub.root, [Seen.of(hub.hub.root)]) == []
            self._made[failing] = all_of(hub.hub.root)
        return self._made[failing]

    def wrong(self, request: str, **kind: Any) -> list[str]:  # noqa: ANN401 - of Fault
        """Return what is wrong with a round in which a request fails as often as it is sent, and with the next one."""
        failing = self.failing(request)
        expected, hub = self.expected(failing), self.hub()
        self.spoil(request, **kind)
        report = hub.run(self.wishes, prune=True)
        found = [f"{path} is not as without these names" for path in differing(hub, expected)]
        told = outcomes(report)
        is_listing = "/tags/list" in request
        if {name for name in failing if told.get(name) != "failed"} != (failing if is_listing else set()):
            found.append(f"{sorted(failing)} have not failed: {told}")
        if len(report.problems) != is_listing:
            found.append(f"problems are {report.problems}")
        found += [f"{name} has failed too" for name in told.keys() - failing if told[name] == "failed"]
        found += ["it says to be complete"] if report.is_complete else []
        self.proxy.faults[:] = [PAGED]
        found += [] if hub.run(self.wishes, prune=True).is_complete else ["the next round is not complete"]
        found += [f"after the next round {path} is not as after an undisturbed one" for path in differing(hub, self.expected())]
        found += left_over(hub.hub.root)
        return [f"{request}, {kind}: {problem}" for problem in found]

    def tried(self, *kinds: Mapping[str, Any]) -> list[str]:
        """Have each request fail in turn, in one of several ways; return what is wrong after any of them."""
        requests = self.requests()
        lists = [request for request in requests if "/tags/list" in request]
        # Nothing is asked twice, and nothing that is not looked for.
        assert (len(lists), sorted(set(requests) - set(lists))) == (2, sorted(set[str]().union(*self.needed.values())))
        assert len(requests) == len(set(requests))
        return [problem for number, request in enumerate(requests) for problem in self.wrong(request, **kinds[number % len(kinds)])]


def entry(hub: Hubbed, name: str) -> str:
    """Return an entry of a wishlist for one of the names."""
    name, _, architecture = name.partition(" ")
    return f"{{image: '{hub.registry.address}/{name}', platforms: [linux/{architecture or 'amd64'}]}}"


def all_of(root: Path) -> dict[str, Any]:
    """Return all that is in a hub; where two stores have a layer, its link may lead to either."""
    found = content(root)
    for path in [path for path in found if path.endswith("/layerfs")]:
        assert (root / path).is_dir()
        found[path] = (root / path).readlink().parts[-3:]
    return found


def differing(hub: Hubbed, wanted: Mapping[str, Any]) -> list[str]:
    """Return the paths of a hub at which it is not as it should be."""
    there = all_of(hub.hub.root)
    return sorted(path for path in {*there, *wanted} if there.get(path) != wanted.get(path))


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A hub with nothing in it."""
    with (
        Registry(tmp_path / "registry") as registry,
        Proxy(registry.address, PAGED) as proxy,
        through(proxy, registry, cache=Cache(tmp_path / "cache")) as asked,
    ):
        hub = hubbed(tmp_path, registry, asked)
        hub.push("team/app", {"1": image(1), "2": [image(2), image(102, "arm64")]})
        wishes = hub.wish("team/app:*", entry(hub, NAMES[2]))
        yield Ground(hub, proxy, hub.hub.root, wishes, {name: needed(registry, name) for name in NAMES})


def test_in_a_first_round(ground: Ground) -> None:
    """Spec Z11."""
    assert ground.tried({"drop": True}, {"status": 500}, {"status": 403}) == []


def test_when_a_tag_has_moved(ground: Ground) -> None:
    """Spec Z11: each name keeps what it has. Of an image index one platform has changed, and the other gets another digest only."""
    hub, former = ground.follows, ground.needed
    assert hub.run(ground.wishes).is_complete
    hub.push("team/app", {"2": [image(2), image(112, "arm64")]})
    there = {f"GET /v2/team/app/blobs/{layer['digest']}" for number in (1, 2) for layer in image(number).manifest["layers"]}
    lacking = {name: needed(hub.registry, name) - there for name in NAMES[1:]}
    unchanged = {request for request in former[NAMES[0]] if request.startswith("HEAD ")}
    later = Ground(hub, ground.proxy, hub.hub.root, ground.wishes, {NAMES[0]: unchanged, **lacking})
    assert later.tried({"status": 404}, {"drop": True}, {"status": 503}) == []


def test_in_a_repository(tmp_path: Path, ground: Ground) -> None:
    """Spec Z11: a round in which all that is new fails makes no revision, and others one in which nothing of it is."""
    with publishing_machine(tmp_path / "site") as publisher:
        hub = evolve(ground.follows, hub=CvmfsHub(CvmfsPlace(repository=publisher.repository, path="")))
        wishes = hub.wish("team/app:*")
        assert hub.run(wishes).is_complete
        before, revision = all_of(publisher.newest), publisher.revision
        hub.push("team/app", {"1": image(11)})
        moved = [*sorted(needed(hub.registry, NAMES[0]) - ground.needed[NAMES[0]]), "HEAD /v2/team/app/manifests/1"]
        assert len(moved) == 4
        for request in moved:
            ground.spoil(request, status=500)
            assert outcomes(hub.run(wishes, prune=True)) == {"team/app:1": "failed", "team/app:2": "unchanged"}
        assert (publisher.revision, all_of(publisher.newest)) == (revision, before)
        hub.push("team/app", {"3": image(3)})
        assert outcomes(hub.run(wishes, prune=True)) == {"team/app:1": "failed", "team/app:2": "unchanged", "team/app:3": "added"}
        seen = Seen.of(publisher.newest)
        assert broken(publisher.newest, [seen]) == []
        assert (publisher.newest / f"{hub.registry.address}/team/app:1/data/1").exists()
        ground.spoil()
        assert outcomes(hub.run(wishes, prune=True))["team/app:1"] == "updated"
        assert (publisher.newest / f"{hub.registry.address}/team/app:1/data/11").exists()
        assert (publisher.revision, publisher.check()) == (revision + 2, "")
