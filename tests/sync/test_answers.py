"""Rounds with a registry whose answers are late, cut off, wrong or elsewhere: nothing wrong is ever published, and what is right is."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, evolve

from cstore.publish.hub import DirectoryHub
from cstore.registry.credentials import Credentials, Login
from cstore.registry.patience import Patience
from tests.images import DOCKER, descriptor, digest_of, json_of
from tests.sync.faulty import OTHER, outcomes, through
from tests.sync.hubs import Hubbed, hubbed, image
from tests.sync.judging import Seen, broken, content
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import Registry
from tools.registries.tokens import TokenServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cstore.sync.report import RoundReport

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")

GOOD, BAD = {"team/app:1": "added", "team/app:2": "added"}, {"team/bad:1": "failed"}
THIRD = image(3)
LAYER, CONFIG, MANIFEST = THIRD.manifest["layers"][1]["digest"], THIRD.manifest["config"]["digest"], THIRD.digest
SIZE = THIRD.manifest["layers"][1]["size"]
KINDS = ("GET .*/tags/list", "HEAD ", "GET .*/manifests/", "GET .*/blobs/")


@define
class Ground:
    """A hub to follow, and what it has after an undisturbed round."""

    follows: Hubbed
    wishes: Path
    good: dict[str, Any]
    _number: int = 0

    def round(self, *faults: Fault, wishes: Path | None = None, **options: Any) -> tuple[RoundReport, Path, Proxy]:  # noqa: ANN401
        """Carry out a first round by way of a proxy with faults; return its report, the hub, and the proxy."""
        self._number += 1
        root = self.follows.place / f"hub-{self._number}"
        root.mkdir()
        registry = self.follows.registry
        with Proxy(registry.address, *faults) as proxy, through(proxy, registry, **options) as asked:
            return evolve(self.follows, asked=asked, hub=DirectoryHub(root)).run(wishes or self.wishes), root, proxy


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    place = tmp_path_factory.mktemp("answers")
    with Registry(place / "registry") as registry, registry.registries() as asked:
        hub = hubbed(place, registry, asked)
        hub.push("team/app", {"1": image(1), "2": image(2)})
        hub.push("team/bad", {"1": THIRD})
        wishes = hub.wish("team/app:*")
        assert hub.run(wishes).is_complete
        assert broken(hub.hub.root, [Seen.of(hub.hub.root)]) == []
        yield Ground(hub, wishes, content(hub.hub.root))


@pytest.mark.parametrize(
    ("answers", "pauses", "is_resumed"),
    [
        pytest.param([{"status": 429, "headers": {"Retry-After": "7"}}], [7, 7, 7, 7], False, id="too many requests"),
        pytest.param([{"status": 500, "times": 2}], 8, False, id="status 500 twice"),
        pytest.param([{"status": 503}, {"drop": True}], 8, False, id="status 503, then no answer"),
        pytest.param([{"cut": 20}], 3, True, id="cut off"),
        pytest.param([{"pause": 0.01}], 3, True, id="slow"),
    ],
)
def test_what_passes_by_is_waited_for(
    ground: Ground, answers: Sequence[dict[str, Any]], pauses: list[float] | int, *, is_resumed: bool
) -> None:
    """Spec Q7, Q8, Q10: one request of each kind goes wrong at first."""
    waited: list[float] = []
    faults = [Fault(kind, **answer) for answer in answers for kind in KINDS]
    report, root, proxy = ground.round(*faults, pause=waited.append, patience=Patience(tries=5, window=0.1, least=500))
    assert (outcomes(report), report.is_complete) == (GOOD, True)
    assert content(root) == ground.good
    assert waited == pauses if isinstance(pauses, list) else len(waited) >= pauses
    assert any("Range" in seen.headers for seen in proxy.asked("/blobs/")) == is_resumed


WRONG = [
    ("another layer", LAYER, {"flip": True}, f"blob {LAYER}: expected digest {LAYER}, found sha256:"),
    ("a longer layer", LAYER, {"resize": 3}, f"blob {LAYER}: expected {SIZE} bytes, found {SIZE + 3}"),
    ("a shorter layer", LAYER, {"resize": -3}, f"blob {LAYER}: expected {SIZE} bytes, found {SIZE - 3}"),
    (
        "a layer that goes on",
        LAYER,
        {"resize": 3, "encloses": False, "without": ("Content-Length",)},
        f"blob {LAYER}: expected {SIZE} bytes, found more",
    ),
    ("a layer that is always cut off", LAYER, {"cut": 0}, f"blob {LAYER}: expected {SIZE} bytes from "),
    ("another config", CONFIG, {"flip": True}, f"blob {CONFIG}: expected digest {CONFIG}, found sha256:"),
    ("a longer config", CONFIG, {"resize": 1}, f"blob {CONFIG}: expected "),
    ("another manifest", MANIFEST, {"flip": True}, f"expected digest {MANIFEST}, found sha256:"),
    ("a shorter manifest", MANIFEST, {"resize": -1}, f"expected digest {MANIFEST}, found sha256:"),
    (
        "another image's manifest",
        MANIFEST,
        {"status": 200, "body": json_of(image(1).manifest)},
        f"expected digest {MANIFEST}, found {image(1).digest}",
    ),
    (
        "a manifest of schema 1",
        MANIFEST,
        {"status": 200, "headers": {"Content-Type": f"{DOCKER}.distribution.manifest.v1+json"}},
        "expected a manifest of OCI or of Docker's schema 2, found schema 1, ",
    ),
    ("a digest that nothing has", "manifests/1", {"headers": {"Docker-Content-Digest": f"sha256:{'0' * 64}"}}, "expected a manifest from "),
    ("no digest", "manifests/1", {"headers": {"Docker-Content-Digest": "sha256:12"}}, "Docker-Content-Digest: expected "),
]


@pytest.mark.parametrize(("asked", "kind", "said"), [pytest.param(*case[1:], id=case[0]) for case in WRONG])
def test_nothing_wrong_is_published(ground: Ground, asked: str, kind: dict[str, Any], said: str) -> None:
    """Spec Z3, P7: whatever the registry sends in the place of one thing, for ever."""
    wishes = ground.follows.wish("team/app:*", "team/bad:1", name="bad.yaml")
    report, root, _ = ground.round(Fault(f"/team/bad/.*{asked}", times=None, **kind), wishes=wishes)
    assert (outcomes(report), report.is_complete) == ({**GOOD, **BAD}, False)
    (error,) = [found.error or "" for found in report.images if found.error]
    assert error.startswith(f"docker://{ground.follows.registry.address}/team/bad:1")
    assert f": {said}" in error
    assert content(root) == ground.good


def test_images_that_lie_keep_no_other_from_being_published(ground: Ground) -> None:
    """Spec Z3: all of them come before the good ones, and have a layer that those have too."""
    hub, registry = ground.follows, ground.follows.registry
    hub.push("team/a", {"arm": image(4, "arm64")})
    told, config = image(4).manifest, image(4).config
    base, own = told["layers"]
    diffs = config["rootfs"]["diff_ids"]
    lies = {
        "size": (config, [{**base, "size": base["size"] + 1}, own]),
        "swapped": ({**config, "rootfs": {"type": "layers", "diff_ids": diffs[::-1]}}, [base, own]),
        "fewer": ({**config, "rootfs": {"type": "layers", "diff_ids": diffs[:1]}}, [base, own]),
    }
    for tag, (lie, layers) in lies.items():
        registry.put_blob("team/a", digest_of(json_of(lie)), json_of(lie))
        manifest = {**told, "config": descriptor(json_of(lie), told["config"]["mediaType"]), "layers": layers}
        registry.put_manifest("team/a", tag, json_of(manifest), told["mediaType"])
    report, root, proxy = ground.round(wishes=hub.wish("team/a:*", "team/app:*", name="lies.yaml"))
    assert outcomes(report) == {**{f"team/a:{tag}": "failed" for tag in ("arm", "fewer", "size", "swapped")}, **GOOD}
    assert [(found.error or "").partition(": ")[2] for found in report.images if found.error] == [
        "expected an image for linux/amd64, found one for linux/arm64",
        "expected a layer for each diff ID of the config (1), found 2 layers",
        f"blob {base['digest']}: expected {base['size'] + 1} bytes, found {base['size']}",
        f"expected diff ID {diffs[1]}, found {diffs[0]}",
    ]
    assert content(root) == ground.good
    assert len(proxy.asked(f"/blobs/{base['digest']}")) == 2


def test_while_nothing_answers_each_name_keeps_what_it_has(ground: Ground) -> None:
    """Spec Z11."""
    registry = ground.follows.registry
    with Proxy(registry.address, Fault("", status=503, times=None)) as proxy, through(proxy, registry) as asked:
        report = evolve(ground.follows, asked=asked).run(ground.follows.wish("team/app:*", "team/app:1", name="down.yaml"), prune=True)
    assert outcomes(report) == {"team/app:1": "failed", "team/app:2": "kept"}
    assert (report.is_complete, report.changed, content(ground.follows.hub.root) == ground.good) == (False, False, True)


@contextmanager
def basic(place: Path, registry: Registry) -> Iterator[Registry]:
    with Registry(place / "private", users={"alice": "secret"}, storage=registry.storage) as private:
        yield private


@contextmanager
def bearer(place: Path, registry: Registry) -> Iterator[Registry]:
    with (
        TokenServer(place / "tokens", users={"alice": "secret"}) as tokens,
        Registry(place / "private", tokens=tokens, storage=registry.storage) as private,
    ):
        yield private


@pytest.mark.parametrize("private", [basic, bearer])
def test_blobs_that_are_elsewhere(
    ground: Ground, tmp_path: Path, private: Callable[[Path, Registry], AbstractContextManager[Registry]]
) -> None:
    """Spec Q6: nobody there is told who is asking."""
    hub = ground.follows
    (tmp_path / "hub").mkdir()
    with private(tmp_path, hub.registry) as asking, Proxy(hub.registry.address) as other, Proxy(asking.address) as proxy:
        proxy.faults.append(Fault("GET .*/blobs/", redirect=other.address, times=None))
        login = Credentials({proxy.address: Login("alice", "secret"), other.address: Login("bob", "other")})
        with through(proxy, hub.registry, credentials=login) as asked:
            report = evolve(hub, asked=asked, hub=DirectoryHub(tmp_path / "hub")).run(ground.wishes)
    assert outcomes(report) == GOOD
    assert content(tmp_path / "hub") == ground.good
    assert len(other.seen) == len(proxy.asked("GET .*/blobs/")) == 5
    assert ["Authorization" in seen.headers for seen in other.seen] == [False] * 5
    assert all("Authorization" in seen.headers for seen in proxy.asked("/blobs/"))


@pytest.mark.parametrize(
    ("host", "kind", "outcome", "asked"),
    [
        pytest.param(None, {"status": 404}, "added", 2, id="lacking"),
        pytest.param(None, {"status": 500}, "failed", 3, id="failing"),
        pytest.param(OTHER, {"status": 500}, "added", 4, id="failing, and wished from another registry"),
        pytest.param(OTHER, {"flip": True}, "added", 2, id="wrong, and wished from another registry"),
    ],
)
def test_a_layer_that_one_repository_lacks_comes_from_another(
    ground: Ground, host: str | None, kind: dict[str, Any], outcome: str, asked: int
) -> None:
    """Spec Z3: in the same registry only where the first one says that it has none."""
    hub, base = ground.follows, THIRD.manifest["layers"][0]["digest"]
    wishes = hub.wish("team/app:1", f"{{image: '{host or hub.registry.address}/team/bad:1'}}", name="shared.yaml")
    report, _, proxy = ground.round(Fault(f"GET .*/team/app/blobs/{base}", times=None, **kind), wishes=wishes)
    assert outcomes(report) == {"team/app:1": outcome, "team/bad:1": outcome}
    assert len(proxy.asked(f"/blobs/{base}")) == asked
