"""How one delta gets into a repository: in which calls, and what is seen between them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from cstore.delta import Delta, PutSymlink, PutTree, Remove, ReplaceIndex, file_of
from cstore.errors import ContentError, PublishError, SourceError
from cstore.layer.entry import Entry, Kind
from cstore.progress import silent
from cstore.publish.batch import Batch
from cstore.publish.carrier import Carrier, MovedOnError, Target
from tests.images import Image, directory, file, hardlink, symlink, tar, write_layout
from tests.publish.cvmfs import NAME, STORE, Publisher, publishing_machine, when_streaming
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import DAY, IMAGES, NEW, OLD, copy
from tests.publish.trees import Given

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

XATTRS = Image(
    layers=(
        tar(
            directory("bin", xattrs={"user.d": b"1"}),
            file("bin/ping", b"ping", xattrs={"security.capability": b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12)}),
            symlink("bin/link", "ping"),
        ),
        tar(file("plain")),
        tar(file("bin/other", xattrs={"user.note": b"x" * 255, "user.more": b"2"})),
    )
)


def carrier(publisher: Publisher) -> Carrier:
    return Carrier(Target(publisher.repository, STORE, silent, leaves_out=False, sets_xattrs=False))


@pytest.fixture
def including(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a machine whose repository includes extended attributes."""
    with publishing_machine(tmp_path / "including", "CVMFS_INCLUDE_XATTRS=true") as machine:
        yield machine


def seen(publisher: Publisher, to: Path) -> Publisher:
    """Return the machine, with a copy of the store for each call."""
    to.mkdir()
    script = (
        f'"$@"; code=$?; number=$(ls "{to}" | wc -l); [ ! -d "{publisher.store}" ] || cp -a "{publisher.store}" "{to}/$number"; exit $code'
    )
    return publisher.through(script)


def test_more_catalogs_than_one_call_may_bring_are_brought_by_several(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    batch = Batch(publisher.place(), today=DAY)
    try:
        batch.add(made["new"], name=NEW)
        steps = batch.plan().steps
        more = [file_of(f"overlay/.extra/{number}/.cvmfscatalog", b"") for number in range(1850)]
        first_link = next(number for number, step in enumerate(steps) if isinstance(step, PutSymlink) and "/l/" in step.path)
        delta = Delta((*steps[:first_link], *more, *steps[first_link:]))
        watched = seen(publisher, tmp_path / "seen")
        streamed = carrier(watched).carry(delta, publisher.repository.moment()).streamed
    finally:
        batch.close()
    assert publisher.verbs == ["ingest"] * 3
    assert publisher.revision == 4
    assert streamed > 1850 * 512
    between = sorted((tmp_path / "seen").iterdir())
    assert [problems(store) for store in between] == [[]] * 3
    assert [set(names(store)) for store in between] == [set(), set(), {NEW}]
    counts = [len(list((store / "overlay/.extra").glob("*/.cvmfscatalog"))) for store in between]
    assert counts[0] < 900 < counts[1] <= 1800 < counts[2] == 1850
    assert publisher.check() == ""


def test_a_moment_that_has_passed(publisher: Publisher) -> None:
    moment = publisher.repository.moment()
    publisher.publish_something()
    delta = Delta((file_of("a", b"1"),))
    with pytest.raises(MovedOnError):
        carrier(publisher).carry(delta, moment)
    assert (publisher.revision, publisher.is_open, publisher.store.exists()) == (2, False, False)
    carried = carrier(publisher).carry(delta, publisher.repository.moment())
    assert (carried.moment, carried.streamed > 0) == (publisher.repository.moment(), True)
    assert (publisher.store / "a").read_bytes() == b"1"


def test_only_what_is_there_is_removed(publisher: Publisher) -> None:
    publisher.publish_something(f"{STORE}/a/b")
    delta = Delta((file_of("c", b""), Remove(path="a"), Remove(path="d")))
    carrier(publisher).carry(delta, publisher.repository.moment())
    assert publisher.machine.calls()[-1] == ["ingest", "-k", "-t", "-", "-b", "/", "-d", f"{STORE}/a", NAME]
    assert [path.name for path in publisher.store.iterdir()] == ["c"]


@pytest.mark.parametrize(
    "script",
    [
        'rm -r "{store}/a"',
        'echo more > "{store}/a"',
        'rm "{store}/l"; ln -s other "{store}/l"',
        'touch "{store}/gone"',
        'echo more > "{store}/i.json"',
        'echo more > "{store}/i.lock"',
    ],
)
def test_what_did_not_arrive_is_noticed(publisher: Publisher, script: str) -> None:
    publisher.publish_something(f"{STORE}/gone")
    lossy = publisher.through(f'"$@"; code=$?; {script.format(store=publisher.store)}; exit $code')
    index = ReplaceIndex(path="i.json", lock_path="i.lock", data=b"[]", lock=bytes(64))
    delta = Delta((file_of("a", b"1"), PutSymlink(path="l", target="a"), index, Remove(path="gone")))
    with pytest.raises(
        PublishError, match=r"/rdonly/podmanStore/(a|l|gone|i.json): expected what was just published, found something else$"
    ):
        carrier(lossy).carry(delta, publisher.repository.moment())


def test_a_blob_that_changes_while_it_is_streamed_publishes_nothing(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    publisher.add({OLD: made["old"]})
    noise = os.urandom(3 << 20)
    image = Image(layers=(tar(file("large", noise)),), compression="none")
    digest = image.diff_ids[0]
    blob = tmp_path / "image/blobs/sha256" / digest.removeprefix("sha256:")
    source = write_layout(tmp_path / "image", image)
    change = when_streaming(lambda: blob.write_bytes(blob.read_bytes().replace(noise[-99:], b"x" * 99)))
    with pytest.raises(ContentError, match=f"^blob {digest}: expected digest {digest}, found sha256:"):
        publisher.add({NEW: source}, change)
    assert (publisher.verbs, publisher.revision, publisher.is_open) == (["ingest"] * 2, 2, False)
    assert names(publisher.store) == {OLD: IMAGES["old"].id}
    assert problems(publisher.store) == unfinished(publisher.store) == []


def test_a_blob_that_goes_while_it_is_streamed_publishes_nothing(publisher: Publisher, tmp_path: Path) -> None:
    image = Image(layers=(tar(file("a", b"1")), tar(file("b", b"2"))), compression="none")
    source = write_layout(tmp_path / "image", image)
    blobs = [tmp_path / "image/blobs/sha256" / digest.removeprefix("sha256:") for digest in image.diff_ids]

    def lose() -> None:
        for blob in blobs:
            blob.unlink()

    with pytest.raises(SourceError, match=r"blob"):
        publisher.add({NEW: source}, when_streaming(lose))
    assert (publisher.revision, publisher.is_open) == (1, False)


def test_attributes_are_left_out_and_counted(including: Publisher, tmp_path: Path) -> None:
    receipt = including.add({NEW: write_layout(tmp_path / "image", XATTRS)})
    assert (receipt.xattrs_left_out, including.verbs) == (4, ["ingest"])


def test_attributes_are_set_in_a_transaction_before_an_index_names_their_layers(including: Publisher, tmp_path: Path) -> None:
    watched = seen(including, tmp_path / "seen")
    receipt = watched.add({NEW: write_layout(tmp_path / "image", XATTRS)}, keeps_xattrs=True)
    assert including.verbs == ["ingest", "transaction", "publish", "ingest"]
    assert (receipt.xattrs_left_out, receipt.revision, including.revision) == (0, 4, 4)
    copies = sorted((tmp_path / "seen").iterdir())
    assert [problems(store) for store in copies] == [[]] * 4
    assert [set(names(store)) for store in copies] == [set()] * 3 + [{NEW}]
    base, _, top = (path for path in sorted(layers(including.store), key=lambda path: len(lower(path))))
    found = {
        path.name: {name: os.getxattr(path, name) for name in os.listxattr(path)} for path in (base / "diff/bin", base / "diff/bin/ping")
    }
    assert found["bin"] == {"user.d": b"1"}
    assert found["ping"].keys() == {"security.capability"}
    assert os.getxattr(top / "diff/bin/other", "user.note") == b"x" * 255
    assert problems(including.store) == unfinished(including.store) == []
    assert including.add({NEW: write_layout(tmp_path / "again", XATTRS)}, keeps_xattrs=True).revision is None


def test_hard_links_get_the_attributes_of_their_file_and_left_out_files_none(including: Publisher, tmp_path: Path) -> None:
    """CernVM-FS breaks hard links up; spec C6."""
    image = Image(
        layers=(
            tar(
                file("a", b"1", xattrs={"user.y": b"2"}),
                hardlink("b", "a"),
                hardlink("c", "b"),
                file(".cvmfscatalog", xattrs={"user.y": b"3"}),
                file("d", xattrs={"user.z": b"4"}),
            ),
        )
    )
    including.add({NEW: write_layout(tmp_path / "image", image)}, keeps_xattrs=True, skips_reserved=True)
    (layer,) = layers(including.store)
    found = {path.name: {name: os.getxattr(path, name) for name in os.listxattr(path)} for path in (layer / "diff").iterdir()}
    assert found == {"a": {"user.y": b"2"}, "b": {"user.y": b"2"}, "c": {"user.y": b"2"}, "d": {"user.z": b"4"}}


def test_a_removal_of_remains_that_is_killed_needs_no_person(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    publisher.add({OLD: write_layout(tmp_path / "other", Image(layers=(tar(file("t")),)))})
    base = IMAGES["new"].diff_ids[0].removeprefix("sha256:")
    publisher.publish_something(f"{STORE}/pool/{base[:2]}/{base}/diff/etc/motd/nonsense")
    with pytest.raises(PublishError, match="found exit code -9"):
        publisher.failing("ingest:3:kill").add({NEW: made["new"]})
    assert (publisher.revision, publisher.is_open, publisher.verbs[-1]) == (3, False, "abort")
    publisher.add({NEW: made["new"]})
    assert problems(publisher.store) == unfinished(publisher.store) == []


def test_an_error_before_anything_is_streamed_calls_nothing(publisher: Publisher, tmp_path: Path) -> None:
    image = Image(layers=(tar(file("a", b"1")),), compression="none")
    source = write_layout(tmp_path / "image", image)
    blob = tmp_path / "image/blobs/sha256" / image.diff_ids[0].removeprefix("sha256:")
    with pytest.raises(ContentError, match=r"layers\[0\]: expected "):
        publisher.add({NEW: source}, when_streaming(lambda: blob.write_bytes(bytes(1000))))
    assert (publisher.machine.calls(), publisher.revision) == ([], 1)


def test_attributes_that_would_not_be_kept_are_refused_before_anything_is_published(
    publisher: Publisher, including: Publisher, tmp_path: Path
) -> None:
    source = write_layout(tmp_path / "image", XATTRS)
    with pytest.raises(PublishError) as raised:
        publisher.add({NEW: source}, keeps_xattrs=True)
    assert str(raised.value) == f"{NAME}: expected a repository with CVMFS_INCLUDE_XATTRS=true, found one without"
    image = Image(layers=(tar(file("x", xattrs={"user.long": b"x" * 256})),))
    with pytest.raises(PublishError) as raised:
        including.add({NEW: write_layout(tmp_path / "long", image)}, keeps_xattrs=True)
    layer = image.diff_ids[0].removeprefix("sha256:")
    assert str(raised.value) == (
        f"pool/{layer[:2]}/{layer}: expected extended attributes of up to 255 bytes, found one of 256, which CernVM-FS would not keep"
    )
    assert (publisher.machine.calls(), including.machine.calls()) == ([], [])


def test_trees_appear_only_with_what_they_need(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    """Each prefix of a delta, carried alone, leaves a valid store."""
    batch = Batch(publisher.place(), today=DAY)
    try:
        batch.add(made["new"], name=NEW)
        steps = batch.plan().steps
        trees = [number for number, step in enumerate(steps) if isinstance(step, PutTree)]
        for end in (trees[0] + 1, len(steps) - 3, len(steps) - 1):
            carrier(publisher).carry(Delta(steps[:end]), publisher.repository.moment())
            assert problems(publisher.store) == []
    finally:
        batch.close()
    copy(publisher.store.resolve(), tmp_path / "before")
    publisher.add({NEW: made["new"]})
    assert problems(publisher.store) == unfinished(publisher.store) == []


def layers(store: Path) -> list[Path]:
    return [path for path in (store / "overlay").iterdir() if re.fullmatch("[0-9a-f]{64}", path.name)]


def lower(layer: Path) -> str:
    return (layer / "lower").read_text() if (layer / "lower").exists() else ""


@pytest.mark.parametrize("inside", ["diff", ""])
def test_a_tree_is_published_inside_of_its_directory_or_as_it(publisher: Publisher, inside: str) -> None:
    entries = ((Entry(b"d", Kind.DIRECTORY, 0o700, 0, 0, 0), b""), (Entry(b"d/f", Kind.FILE, 0o604, 3, 4, 0, 1), b"x"))
    step = PutTree(path=".flat/aa/t", tree=Given(entries, 0o1777), files={}, directories=(), entries=3, size=1, inside=inside)
    carrier(publisher).carry(Delta((step, PutSymlink(path="name", target=".flat/aa/t"))), publisher.repository.moment())
    top = publisher.store / "name" / inside
    assert (top.stat().st_mode & 0o7777, top.stat().st_uid, (top / "d/f").stat().st_mode & 0o7777) == (0o1777, 7, 0o604)
    assert (top / "d/f").read_bytes() == b"x"
    assert sorted(path.name for path in (publisher.store / "name").rglob("*")) == sorted(filter(None, [inside, "d", "f"]))


def test_a_tree_that_did_not_arrive_is_noticed(publisher: Publisher) -> None:
    lossy = publisher.through(f'"$@"; code=$?; rm -r "{publisher.store}/t"; touch "{publisher.store}/t"; exit $code')
    delta = Delta((PutTree(path="t", tree=Given(), files={}, directories=(), entries=1, size=0, inside=""),))
    with pytest.raises(PublishError, match=r"/podmanStore/t: expected what was just published, found something else$"):
        carrier(lossy).carry(delta, publisher.repository.moment())
