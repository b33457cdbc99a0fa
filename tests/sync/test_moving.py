"""Tags that move while a round looks at them, tags that go, and lists of tags that are lacking or not whole."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, evolve, field

from cstore.publish.hub import DirectoryHub
from tests.images import Image, digest_of, image_index
from tests.publish.stores import copy
from tests.sync.faulty import outcomes, through
from tests.sync.hubs import Hubbed, hubbed, image
from tests.sync.judging import Seen, broken, content
from tools.registries.proxy import Fault, Proxy
from tools.registries.proxy import Seen as Request
from tools.registries.server import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")

UNTOLD = Fault("HEAD ", without=("Docker-Content-Digest",), times=None)
PLATFORMS = ("linux/amd64", "linux/arm64")


class Moving(Proxy):
    """A proxy that does something just before it passes on the first request that a pattern finds, as in `2 GET /v2/`."""

    def __init__(self, upstream: str, before: str, then: Callable[[], object], *faults: Fault) -> None:
        super().__init__(upstream, *faults)
        self._before = before
        self._then = [then]

    def fault_of(self, seen: Request) -> Fault | None:
        with self._lock:
            if self._then and re.search(self._before, f"{len(self.seen) + 1} {seen.method} {seen.path}"):
                self._then.pop()()
        return super().fault_of(seen)


def several(number: int) -> list[Image]:
    """Return an image for two platforms."""
    return [image(number + place, platform.removeprefix("linux/")) for place, platform in enumerate(PLATFORMS)]


@define
class Ground:
    """A registry with a tag that moves, and hubs that follow it."""

    follows: Hubbed
    wishes: Path
    digests: tuple[str, str]
    """Of the image index that a tag had before, and that it has afterwards."""
    before: dict[str, Any] = field(factory=dict, init=False)
    """All that is in a hub with the one, as an undisturbed round leaves it."""
    after: dict[str, Any] = field(factory=dict, init=False)
    """And with the other."""
    _number: int = field(default=0, init=False)

    def hub(self, of: Path | None = None) -> Hubbed:
        """Return another hub: an empty one, or a copy."""
        self._number += 1
        root = self.follows.place / f"hub-{self._number}"
        root.mkdir() if of is None else copy(of, root)
        return evolve(self.follows, hub=DirectoryHub(root))

    def move(self) -> None:
        """Have the tag move."""
        self.follows.push("team/many", {"1": several(11)})


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    place = tmp_path_factory.mktemp("moving")
    with Registry(place / "registry") as registry, registry.registries() as asked:
        hub = hubbed(place, registry, asked)
        wishes = hub.wish(f"{{image: '{registry.address}/team/many:1', platforms: [{', '.join(PLATFORMS)}]}}")
        former, later = (digest_of(image_index(place / "unused", several(number))) for number in (1, 11))
        ground = Ground(hub, wishes, (former, later))
        for found, number in ((ground.before, 1), (ground.after, 11)):
            hub.push("team/many", {"1": several(number)})
            fresh = ground.hub()
            assert fresh.run(wishes).is_complete
            assert broken(fresh.hub.root, [Seen.of(fresh.hub.root)]) == []
            found.update(content(fresh.hub.root))
        yield ground


@pytest.mark.parametrize(
    ("at", "faults", "is_former"),
    [
        pytest.param("^1 HEAD ", (), False, id="before it is looked up"),
        pytest.param("^2 ", (), True, id="between HEAD and GET"),
        pytest.param("^2 ", (UNTOLD,), False, id="between HEAD and GET, and no digest is told"),
        pytest.param("GET .*/manifests/sha256", (UNTOLD,), True, id="between image index and manifests, and no digest is told"),
        pytest.param("GET .*/blobs/", (), True, id="before the blobs"),
    ],
)
def test_a_tag_that_moves_while_a_round_looks(ground: Ground, at: str, faults: tuple[Fault, ...], *, is_former: bool) -> None:
    """Spec Z3, Z6: what is published is one image for all platforms, and its digest is told."""
    ground.follows.push("team/many", {"1": several(1)})
    hub, registry = ground.hub(), ground.follows.registry
    with Moving(registry.address, at, ground.move, *faults) as proxy, through(proxy, registry) as asked:
        report = evolve(hub, asked=asked).run(ground.wishes)
    assert content(hub.hub.root) == (ground.before if is_former else ground.after)
    status = json.loads((hub.hub.root / "status.json").read_bytes())["images"]
    digest = ground.digests[0] if is_former else ground.digests[1]
    told = {digest for found in report.images for digest in (found.registry_digest, found.published_digest)}
    assert (report.is_complete, told, {image["published_digest"] for image in status}) == (True, {digest}, {digest})
    assert set(outcomes(hub.run(ground.wishes)).values()) == {"updated" if is_former else "unchanged"}
    assert Seen.of(hub.hub.root).documents.items() == {
        (path, entry[3]) for path, entry in ground.after.items() if re.fullmatch(r"\.metadata/.*\.json", path) and "cstore" not in path
    }


def test_a_tag_whose_former_image_is_gone(ground: Ground) -> None:
    """Spec Z3: nothing of either is published, and the next round takes the new one."""
    ground.follows.push("team/many", {"1": several(1)})
    hub, registry = ground.hub(), ground.follows.registry
    gone = Fault(f"GET .*/manifests/{ground.digests[0]}", status=404, times=None)
    with Moving(registry.address, "GET .*/manifests/", ground.move, gone) as proxy, through(proxy, registry) as asked:
        assert set(outcomes(evolve(hub, asked=asked).run(ground.wishes)).values()) == {"failed"}
        assert [*hub.hub.root.iterdir()] == []
        assert evolve(hub, asked=asked).run(ground.wishes).is_complete
    assert content(hub.hub.root) == ground.after


@define
class Listed:
    """A hub with names of a pattern, one without, and one that nobody wishes any more; and what an undisturbed round leaves of it."""

    follows: Hubbed
    wishes: Path
    pruned: dict[str, Any]


@pytest.fixture(scope="module")
def listed(ground: Ground) -> Listed:
    hub = ground.hub()
    for repository, tags in {"team/app": "12", "team/one": "1", "team/old": "1"}.items():
        hub.push(repository, {tag: image(int(tag)) for tag in tags})
    assert hub.run(hub.wish("team/app:*", "team/one:1", "team/old:1", name="former.yaml")).is_complete
    wishes = hub.wish("team/app:*", "team/one:1", name="listed.yaml")
    pruned = ground.hub(hub.hub.root)
    assert outcomes(pruned.run(wishes, prune=True)) == {**UNCHANGED, "team/old:1": "removed"}
    assert broken(pruned.hub.root, [Seen.of(pruned.hub.root)]) == []
    return Listed(hub, wishes, content(pruned.hub.root))


UNCHANGED = {"team/app:1": "unchanged", "team/app:2": "unchanged", "team/one:1": "unchanged"}
KEPT = {"team/app:1": "kept", "team/app:2": "kept"}
LIST, HEAD = "GET .*/team/app/tags/list", "HEAD .*/team/app/"
PORTAL = {"status": 200, "headers": {"Content-Type": "text/html"}, "body": b"<html>Who are you?</html>"}
BASIC = {"WWW-Authenticate": 'Basic realm="tests"'}


@pytest.mark.parametrize(
    ("faults", "became", "said"),
    [
        pytest.param([(LIST, {"status": 200, "body": b'{"tags": []}'})], KEPT, "expected a list of tags, found no tags", id="no tags"),
        pytest.param([(LIST, {"status": 200, "body": b'{"tags": null}'})], KEPT, "expected a list of tags, found no tags", id="null"),
        pytest.param(
            [(LIST, {"status": 200, "body": b'{"tags": ["1", 2]}'})], KEPT, "list of tags.tags[1]: expected text, found 2", id="no text"
        ),
        pytest.param([(LIST, {"status": 200, "body": b'{"tags": ["1", ".."]}'})], KEPT, 'found ".." in it', id="no tag"),
        pytest.param([(LIST, {"cut": 20})], KEPT, "found only a part of it", id="cut off"),
        pytest.param([(LIST, {"resize": -3})], KEPT, "list of tags", id="shorter"),
        pytest.param([(LIST, {"page": 1, "without": ("Link",)})], {"team/app:2": "kept"}, "since its registry has it", id="without Link"),
        pytest.param(
            [(LIST, {"status": 200, "body": b'{"tags": ["1"]}'}), (f"{HEAD}manifests/2", {"status": 403})],
            {"team/app:2": "kept"},
            "nothing tells whether there is one",
            id="without Link, and forbidden",
        ),
        pytest.param([(LIST, {"status": 404})], KEPT, "found status 404", id="not found"),
        pytest.param([(LIST, {"status": 403})], KEPT, "found status 403", id="forbidden"),
        pytest.param([("/team/app/", {"status": 401, "headers": BASIC})], KEPT, "found status 401", id="unauthorized"),
        pytest.param(
            [(HEAD, {"status": 401, "headers": BASIC})],
            {**KEPT, **dict.fromkeys(KEPT, "failed")},
            "found status 401",
            id="unauthorized later",
        ),
        pytest.param([("", PORTAL)], {**KEPT, "team/one:1": "failed"}, "expected JSON, found ", id="a page to log in"),
        pytest.param([("HEAD .*/team/one/", {"status": 404})], {"team/one:1": "failed"}, "found status 404", id="a tag that is gone"),
    ],
)
def test_what_cannot_be_read_removes_nothing(
    ground: Ground, listed: Listed, faults: list[tuple[str, dict[str, Any]]], became: dict[str, str], said: str
) -> None:
    """Spec Z5, Z7: but what nobody wishes goes."""
    hub, registry = ground.hub(listed.follows.hub.root), ground.follows.registry
    spoiled = (Fault(pattern, times=None, **kind) for pattern, kind in faults)
    with Proxy(registry.address, *spoiled) as proxy, through(proxy, registry) as asked:
        report = evolve(hub, asked=asked).run(listed.wishes, prune=True)
    assert outcomes(report) == {**UNCHANGED, **became, "team/old:1": "removed"}
    told = [*report.problems, *(found.error for found in report.images if found.error)]
    assert told
    assert all(said in text for text in told), told
    assert not report.is_complete
    assert content(hub.hub.root) == listed.pruned


def test_tags_that_are_deleted(ground: Ground, listed: Listed) -> None:
    """Spec Z5: one that a pattern takes goes if that is asked, one that is wished by its name and the last ones of all stay."""
    hub, registry = ground.hub(listed.follows.hub.root), ground.follows.registry
    try:
        registry.untag("team/app", "2")
        registry.untag("team/one", "1")
        report = hub.run(listed.wishes)
        assert outcomes(report) == {**UNCHANGED, "team/app:2": "kept", "team/one:1": "failed", "team/old:1": "kept"}
        assert not report.changed
        report = hub.run(listed.wishes, prune=True)
        assert outcomes(report) == {**UNCHANGED, "team/app:2": "removed", "team/one:1": "failed", "team/old:1": "removed"}
        registry.untag("team/app", "1")
        report = hub.run(listed.wishes, prune=True)
        assert outcomes(report) == {"team/app:1": "kept", "team/one:1": "failed"}
        assert (len(report.problems), report.is_complete, report.changed) == (1, False, False)
        assert (hub.public("team/app:1") / "data/1").exists()
        assert broken(hub.hub.root, [Seen.of(hub.hub.root)]) == []
    finally:
        hub.push("team/app", {tag: image(int(tag)) for tag in "12"})
        hub.push("team/one", {"1": image(1)})
