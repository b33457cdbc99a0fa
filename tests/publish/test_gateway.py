"""Publishing through a gateway, with several hosts."""

from __future__ import annotations

import datetime as dt
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from socketserver import BaseRequestHandler, TCPServer
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError, PublishError, StoreError
from cstore.publish.gateway import parse_published
from cstore.publish.prune import prune
from cstore.publish.repository import Moment
from tests.images import Image, directory, file, symlink, tar, write_layout
from tests.publish.cvmfs import NAME, STORE, Publisher, markers, publishing_machine, when_streaming
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import DAY, IMAGES, NEW, OLD, TOOL, listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INGEST = ["ingest", "-k", "-t", "-", "-b", STORE, NAME]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Publisher]:
    """Yield the first of the machines that publish through a gateway."""
    with publishing_machine(tmp_path / "site", upstream="gw") as machine:
        yield machine.on("one")


def sound(publisher: Publisher, path: str = STORE) -> bool:
    """Whether a store is whole, its catalogs are fine, and no transaction is open."""
    store = publisher.newest / path
    left_over = [problem for problem in unfinished(store) if problem != "./.cvmfscatalog is left over"]
    found = [*problems(store), *left_over, *filter(None, [publisher.check()])]
    assert found == []
    return not publisher.is_open


def layer_of(tag: str, store: Path) -> str:
    """Return the directory of the top layer of one of the images, in its store."""
    (layer,) = [path.name for path in (store / "overlay").iterdir() if is_top(path, tag)]
    return f"pool/{layer[:2]}/{layer}"


def is_top(layer: Path, tag: str) -> bool:
    return (layer / "diff" / {"new": "usr/lib/three", "old": "opt/other"}[tag]).is_file()


def test_the_base_is_made_once_with_its_catalog(gateway: Publisher, made: dict[str, str]) -> None:
    receipt = gateway.add({OLD: made["old"]})
    base = ["ingest", "-t", "-", "-b", STORE, NAME]
    look = [["transaction", f"{NAME}/{STORE}"], ["abort", "-f", NAME]]
    calls = gateway.machine.calls()
    assert [calls[0], calls[2], *calls[3:]] == [base, look[1], INGEST, *look]
    assert (receipt.revision, receipt.root_hash, gateway.revision) == (3, gateway.root_hash, 3)
    assert (gateway.store.stat().st_uid, "." in markers(gateway.store)) == (0, True)
    gateway.add({NEW: made["new"]})
    assert gateway.machine.calls()[6:] == [INGEST, *look]
    assert gateway.add({NEW: made["new"]}).revision is None
    assert (len(gateway.machine.calls()), gateway.revision) == (9, 4)
    assert names(gateway.store) == {OLD: IMAGES["old"].id, NEW: IMAGES["new"].id}
    assert sound(gateway)


def test_whiteouts_and_devices_arrive(gateway: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    gateway.add({OLD: made["old"], NEW: made["new"]})
    with publishing_machine(tmp_path / "other") as local:
        local.add({OLD: made["old"], NEW: made["new"]})
        expected = listing(local.store)
    found = listing(gateway.store)
    own = [f"{layer_of(tag, gateway.store)}/.cvmfscatalog" for tag in ("old", "new")]
    assert sorted(found.keys() - expected.keys()) == sorted([".cvmfscatalog", *own])
    assert {path: found[path] for path in expected} == expected
    assert sound(gateway)


def test_what_is_removed_goes_after_what_is_put_one_path_a_call(gateway: Publisher, made: dict[str, str]) -> None:
    gateway.add({OLD: made["old"], NEW: made["new"]})
    tree = layer_of("new", gateway.store)
    before = len(gateway.machine.calls())
    gateway.change(("remove", NEW))
    image = f"{STORE}/overlay-images/{IMAGES['new'].id}"
    calls = [call for call in gateway.machine.calls()[before:] if call[0] == "ingest"]
    assert calls == [INGEST, ["ingest", "-d", image, NAME]]
    assert sound(gateway)
    before = len(gateway.machine.calls())
    prune(gateway.place(), dt.timedelta(0), DAY)
    calls = [call for call in gateway.machine.calls()[before:] if call[0] == "ingest"]
    assert calls[0] == INGEST
    assert [call[:2] for call in calls[1:]] == [["ingest", "-d"]] * 4
    assert calls[-1] == ["ingest", "-d", f"{STORE}/{tree.rpartition('/')[0]}", NAME]
    assert problems(gateway.store) == []


def test_two_hosts_publish_two_stores_at_the_same_time(gateway: Publisher, made: dict[str, str]) -> None:
    two = gateway.on("two")
    meeting = threading.Barrier(2, timeout=30)
    gateway.add({TOOL: made["tool"]}, path="one")
    two.add({TOOL: made["tool"]}, path="two")
    before = gateway.revision
    with ThreadPoolExecutor(2) as pool:
        works = [
            pool.submit(publisher.add, {name: made[tag]}, when_streaming(meeting.wait), path)
            for publisher, name, tag, path in ((gateway, OLD, "old", "one"), (two, NEW, "new", "two"))
        ]
        for work in works:
            work.result()
    assert gateway.revision == before + 2
    assert set(names(gateway.newest / "one")) == {OLD, TOOL}
    assert set(names(gateway.newest / "two")) == {NEW, TOOL}
    assert sound(gateway, "one")
    assert sound(two, "two")


def test_a_busy_lease_is_waited_for_and_planned_anew(gateway: Publisher, made: dict[str, str]) -> None:
    two = gateway.on("two")
    gateway.add({OLD: made["old"]})
    assert two.machine.run("transaction", f"{NAME}/{STORE}")[0] == 0
    (two.machine.repository(NAME).union / STORE / "theirs").touch()
    timer = threading.Timer(1, lambda: two.machine.start("publish", NAME).communicate())
    start = time.monotonic()
    timer.start()
    receipt = gateway.add({NEW: made["new"]})
    assert time.monotonic() - start >= 3
    timer.join()
    assert (receipt.revision, gateway.revision) == (5, 5)
    assert (gateway.store / "theirs").exists()
    assert set(names(gateway.store)) == {OLD, NEW}
    assert problems(gateway.store) == []
    assert (gateway.is_open, two.is_open) == (False, False)


def test_another_host_may_write_the_store_later(gateway: Publisher, made: dict[str, str]) -> None:
    """What is mounted is as old as the host's own last transaction; it is brought up to date before it is planned from."""
    two = gateway.on("two")
    gateway.add({OLD: made["old"]})
    two.add({NEW: made["new"]})
    gateway.add({TOOL: made["tool"]})
    two.change(("remove", OLD))
    assert set(names(gateway.store)) == {NEW, TOOL}
    assert sound(gateway)


def test_updates_of_one_host_are_not_lost(tmp_path: Path, made: dict[str, str]) -> None:
    with publishing_machine(tmp_path / "site", "STANDIN_LOST_UPDATES=true", upstream="gw") as machine:
        gateway = machine.on("one")
        for tag, name in (("old", OLD), ("new", NEW), ("tool", TOOL)):
            gateway.add({name: made[tag]})
        assert set(names(gateway.store)) == {OLD, NEW, TOOL}
        assert sound(gateway)


def test_whiteouts_that_are_dropped_are_noticed(gateway: Publisher, made: dict[str, str]) -> None:
    lost = gateway.through(f'"$@"; code=$?; find "{gateway.newest}/" -type c -delete; exit $code')
    with pytest.raises(PublishError, match=r": expected the whiteouts of a layer, found that the gateway dropped them$"):
        lost.add({NEW: made["new"]})


@pytest.mark.parametrize(
    ("number", "point"), [(1, "before"), (1, "after"), (2, "before"), (3, "after"), (4, "before"), (4, "after"), (5, "before")]
)
def test_a_call_that_fails_needs_no_person(gateway: Publisher, made: dict[str, str], number: int, point: str) -> None:
    with pytest.raises(PublishError, match=f": made to fail: {point}$"):
        gateway.failing(f"*:{number}:{point}").add({NEW: made["new"]})
    assert not gateway.is_open
    gateway.add({NEW: made["new"]})
    assert names(gateway.store) == {NEW: IMAGES["new"].id}
    assert sound(gateway)


def test_a_source_that_fails_publishes_nothing(gateway: Publisher, tmp_path: Path) -> None:
    gateway.add({OLD: write_layout(tmp_path / "old", Image(layers=(tar(file("x")),)))})
    noise = random.Random(5).randbytes(3 << 20)  # noqa: S311 - no secret
    image = Image(layers=(tar(file("large", noise)),), compression="none")
    source = write_layout(tmp_path / "image", image)
    blob_digest = image.diff_ids[0]
    blob = tmp_path / "image/blobs/sha256" / blob_digest.removeprefix("sha256:")
    before = gateway.revision
    with pytest.raises(ContentError, match=rf"^blob {blob_digest}: expected digest {blob_digest}, found sha256:"):
        gateway.add({NEW: source}, when_streaming(lambda: blob.write_bytes(blob.read_bytes().replace(noise[:99], b"x" * 99))))
    assert (gateway.revision, set(names(gateway.store))) == (before, {OLD})
    assert sound(gateway)


def test_the_manifest_tells_the_moment() -> None:
    assert parse_published(b"Cabc\nB1\nS17\nNr\n--\nS99", "here") == Moment(17, "abc")
    for data in (b"", b"Cabc\n--\nS17", b"S17", b"Cabc\nSx"):
        with pytest.raises(PublishError) as raised:
            parse_published(data, "here")
        assert str(raised.value) == "here: expected the root hash and the revision of a repository, found neither"


def test_a_manifest_that_cannot_be_read(gateway: Publisher, made: dict[str, str]) -> None:
    (gateway.machine.repository(NAME).storage / ".cvmfspublished").unlink()
    place = f"file://{gateway.machine.repository(NAME).storage}/.cvmfspublished"
    with pytest.raises(PublishError, match=rf"^{place}: expected the manifest of the repository, found: .*No such file"):
        gateway.add({OLD: made["old"]})
    assert gateway.machine.calls() == []


class Garbage(BaseRequestHandler):
    """Answers what is no HTTP."""

    def handle(self) -> None:
        self.request.recv(1000)
        self.request.sendall(b"garbage\r\n\r\n")


def test_a_manifest_from_a_server_that_talks_garbage(gateway: Publisher, made: dict[str, str]) -> None:
    config = gateway.site.settings / NAME / "server.conf"
    with TCPServer(("127.0.0.1", 0), Garbage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/x"
        with config.open("a") as settings:
            settings.write(f"\nCVMFS_STRATUM0={url}\n")
        with pytest.raises(PublishError) as raised:
            gateway.add({OLD: made["old"]})
        server.shutdown()
    assert str(raised.value) == f"{url}/.cvmfspublished: expected the manifest of the repository, found: garbage\r\n"
    assert gateway.machine.calls() == []


def test_settings_that_are_missing_publish_nothing(gateway: Publisher, made: dict[str, str]) -> None:
    config = gateway.site.settings / NAME / "server.conf"
    config.rename(config.with_name("elsewhere"))
    with pytest.raises(PublishError) as raised:
        gateway.add({NEW: made["new"]})
    config.with_name("elsewhere").rename(config)
    assert str(raised.value) == f"{config}: expected the settings of the repository, found: No such file or directory"
    assert (gateway.machine.calls(), gateway.revision) == ([], 1)


def test_a_store_without_a_directory_above_it_is_refused(gateway: Publisher, made: dict[str, str]) -> None:
    with pytest.raises(StoreError) as raised:
        gateway.add({OLD: made["old"]}, path="a/b/store")
    assert str(raised.value) == (
        f"{gateway.repository.published}/a: expected a directory, in which a gateway lets a store be made, found nothing"
    )
    assert (gateway.machine.calls(), gateway.revision) == ([], 1)


def test_a_symlink_on_the_way_to_a_store_is_not_followed(gateway: Publisher, made: dict[str, str]) -> None:
    other = tar(directory("v1"), symlink("latest", "v1"))
    assert gateway.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=other)[0] == 0
    gateway.repository.look()
    with pytest.raises(StoreError, match=r"/latest: expected a directory on the way to the store, or nothing, found a symlink$"):
        gateway.add({OLD: made["old"]}, path="latest/store")
    assert (gateway.revision, gateway.check(), list((gateway.newest / "v1").iterdir())) == (2, "", [])


def test_attributes_need_no_other_lease(tmp_path: Path) -> None:
    image = Image(layers=(tar(file("x", xattrs={"user.note": b"1"})),))
    with publishing_machine(tmp_path / "site", "CVMFS_INCLUDE_XATTRS=true", upstream="gw") as machine:
        one, two = machine.on("one"), machine.on("two")
        assert two.machine.run("ingest", "-t", "-", "-b", "/", NAME, data=tar(directory("elsewhere")))[0] == 0
        assert two.machine.run("transaction", f"{NAME}/elsewhere")[0] == 0
        one.add({NEW: write_layout(tmp_path / "image", image)}, keeps_xattrs=True)
        assert ["transaction", f"{NAME}/{STORE}"] in one.machine.calls()
        (place,) = one.store.glob("pool/*/*/diff/x")
        assert os.getxattr(place, "user.note") == b"1"
        assert sound(one)


def test_a_removal_that_is_killed_needs_no_person(gateway: Publisher, made: dict[str, str]) -> None:
    gateway.add({NEW: made["new"]})
    gateway.change(("remove", NEW))
    calls = gateway.verbs.count("ingest")
    with pytest.raises(PublishError, match="found exit code -9"):
        prune(gateway.failing(f"ingest:{calls + 2}:kill").place(), dt.timedelta(0), DAY)
    assert not gateway.is_open
    assert gateway.verbs[-1] == "abort"
    prune(gateway.place(), dt.timedelta(0), DAY)
    assert problems(gateway.store) == []


@pytest.mark.parametrize("verb", ["ingest", "transaction"])
def test_somebody_elses_transaction_stays_when_the_program_is_killed(gateway: Publisher, made: dict[str, str], verb: str) -> None:
    gateway.add({NEW: made["new"]})
    gateway.change(("remove", NEW))
    assert gateway.machine.run("transaction", f"{NAME}/{STORE}")[0] == 0
    if verb == "transaction":
        # What is mounted is not what is published, so that cstore has to look.
        assert gateway.on("two").machine.run("ingest", "-t", "-", "-b", "other", NAME, data=tar(file("x")))[0] == 0
    before = gateway.verbs
    killed = gateway.through(f'case "$*" in *" {verb} "*) kill -9 $$;; esac; exec "$@"')
    with pytest.raises(PublishError, match=r"found exit code -?[0-9]+: "):
        prune(killed.place(), dt.timedelta(0), DAY)
    with pytest.raises(PublishError, match=r"found exit code -?[0-9]+: "):
        killed.repository.look() if verb == "transaction" else killed.repository.remove(f"{STORE}/pool")
    assert (gateway.is_open, gateway.verbs) == (True, before)


def test_waiting_is_told(gateway: Publisher, made: dict[str, str]) -> None:
    told: list[tuple[str, str, int]] = []

    def progress(work: str, subject: str, total: int) -> Callable[[int], object]:
        told.append((work, subject, total))
        if work == "waiting for":
            assert two.machine.run("abort", "-f", NAME)[0] == 0
        return lambda _size: None

    gateway.add({OLD: made["old"]})
    two = gateway.on("two")
    assert two.machine.run("transaction", f"{NAME}/{STORE}")[0] == 0
    gateway.add({NEW: made["new"]}, progress)
    assert told.count(("waiting for", f"whoever is publishing to {NAME}", 0)) == 1
