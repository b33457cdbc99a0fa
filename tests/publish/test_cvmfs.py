"""What a batch becomes in a repository: one revision."""

from __future__ import annotations

import datetime as dt
import shlex
from typing import TYPE_CHECKING

import pytest

from cstore.delta import Delta, ReplaceIndex
from cstore.errors import PublishError, StoreError
from cstore.model.layout import IMAGES_INDEX, IMAGES_LOCK, Form
from cstore.publish.batch import Batch, publishing
from cstore.publish.cvmfs import parse_location
from cstore.publish.prune import prune
from cstore.publish.repository import Repository
from cstore.store import Store
from tests.images import Image, directory, fifo, file, hardlink, symlink, tar, whiteout, write_layout
from tests.publish.cvmfs import NAME, STORE, Planned, Publisher, call_of, markers, once, published
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import DAY, IMAGES, NEW, OLD, TOOL, listing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.images import Member

RESERVED = Image(layers=(tar(file("a/.cvmfsgraft-x", b"1"), file("b", b"2"), directory(".cvmfs"), file(".cvmfs/c")),))


def layer(number: int, depth: int) -> bytes:
    """Return a layer that removes something of the one below."""
    hidden = [whiteout(f"data/{number}-{depth - 1}")] if depth else [directory("data")]
    return tar(*hidden, file(f"data/{number}-{depth}", b"x" * (number + depth)))


def many(place: Path, count: int) -> dict[str, str]:
    """Write images of 8 to 12 layers, of which all share the lowest three, and return their sources by name."""
    shared = tuple(layer(0, depth) for depth in range(3))
    made = {
        str(number): Image(layers=(*shared, *(layer(number, depth) for depth in range(3, 8 + number % 5))), compression="none")
        for number in range(1, count + 1)
    }
    layout = write_layout(place, made)
    return {f"registry.example.org/team/app:{number}": f"{layout}:{number}" for number in made}


def test_thirty_images_are_one_revision_and_none_when_they_are_there(publisher: Publisher, tmp_path: Path) -> None:
    images = many(tmp_path / "images", 30)
    receipt = publisher.add(images)
    assert publisher.verbs == ["ingest"]
    assert (publisher.revision, receipt.revision, receipt.root_hash) == (2, 2, publisher.root_hash)
    assert receipt.layers == 3 + sum(5 + number % 5 for number in range(1, 31))
    assert problems(publisher.store) == unfinished(publisher.store) == []
    assert set(names(publisher.store)) == set(images)
    again = publisher.add(images)
    assert (again.revision, again.root_hash, again.bytes_streamed, again.layers) == (None, None, 0, 0)
    assert (publisher.verbs, publisher.revision, publisher.is_open) == (["ingest"], 2, False)
    assert publisher.check() == ""


def test_an_image_of_ten_layers_is_one_revision(publisher: Publisher, tmp_path: Path) -> None:
    source = write_layout(tmp_path / "ten", Image(layers=tuple(layer(1, depth) for depth in range(10))))
    receipt = publisher.add({OLD: source})
    assert call_of(publisher.machine.calls()) == ["ingest", "-k", "-t", "-", "-b", "/", NAME]
    assert (receipt.layers, receipt.revision, publisher.revision) == (10, 2, 2)


def test_names_that_change_stream_no_trees(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"], NEW: made["new"]})
    tagged = publisher.change(("tag", OLD, TOOL))
    assert (publisher.revision, tagged.revision, tagged.layers) == (3, 3, 0)
    removed = publisher.change(("remove", NEW))
    assert (publisher.revision, removed.revision, removed.layers) == (4, 4, 0)
    assert publisher.verbs == ["ingest"] * 3
    gone = f"{STORE}/overlay-images/{IMAGES['new'].id}"
    assert publisher.machine.calls()[2] == ["ingest", "-k", "-t", "-", "-b", "/", "-d", gone, NAME]
    # images.json and its lock; after the removal cstore.json too, which tells what is retired.
    assert [cost["entries_written"] for cost in publisher.machine.costs(NAME)][1:] == [2, 3]
    assert set(names(publisher.store)) == {OLD, TOOL}
    assert problems(publisher.store) == unfinished(publisher.store) == []
    assert publisher.check() == ""


def test_a_batch_of_all_kinds_of_change_is_one_revision(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"], TOOL: made["tool"]})
    with publishing(publisher.place(), today=DAY) as batch:
        batch.add(made["new"], name=OLD)
        batch.tag(OLD, NEW)
        batch.remove(TOOL)
    assert publisher.revision == 3
    assert names(publisher.store) == {OLD: IMAGES["new"].id, NEW: IMAGES["new"].id}
    assert problems(publisher.store) == unfinished(publisher.store) == []


def test_retired_layers_are_pruned_in_one_revision(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"], NEW: made["new"]})
    publisher.change(("remove", NEW))
    early = prune(publisher.place(), dt.timedelta(days=1), DAY)
    assert (early.delta.steps, early.revision, publisher.revision) == ((), None, 3)
    done = prune(publisher.place(), dt.timedelta(0), DAY)
    assert (done.revision, publisher.revision) == (4, 4)
    assert problems(publisher.store) == unfinished(publisher.store) == []
    assert len([path for path in (publisher.store / "overlay").iterdir() if len(path.name) == 64]) == 2
    assert publisher.check() == ""


def test_a_store_is_sharded_with_its_catalogs(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    big = Image(layers=(tar(*(file(f"f{number}") for number in range(1000))), tar(*(file(f"g{number}") for number in range(900)))))
    publisher.add({OLD: made["old"], NEW: write_layout(tmp_path / "big", big)})
    layers = [path for path in (publisher.store / "overlay").iterdir() if path.name != "l" and path.is_symlink()]
    assert len(layers) == 4
    assert {str(path.readlink()) for path in layers} == {f"../pool/{path.name[:2]}/{path.name}" for path in layers}
    base = big.diff_ids[0].removeprefix("sha256:")
    expected = {"overlay", "overlay-images", "overlay-layers", f"pool/{base[:2]}/{base}", *(f"pool/{path.name[:2]}" for path in layers)}
    assert markers(publisher.store) == sorted(expected)
    assert problems(publisher.store) == []
    publisher.add({TOOL: made["tool"]})
    assert publisher.machine.costs(NAME)[-1]["catalogs"].keys() == {"/", f"{STORE}/overlay-images"}


def test_the_direct_form_works_as_well(publisher: Publisher, made: dict[str, str]) -> None:
    for tag, name in (("old", OLD), ("new", NEW)):
        with publishing(publisher.place(), form=Form.DIRECT, today=DAY) as batch:
            batch.add(made[tag], name=name)
    assert publisher.revision == 3
    assert not (publisher.store / "pool").exists()
    assert problems(publisher.store) == unfinished(publisher.store) == []
    refused = f"{publisher.place().root}: expected a store of the form sharded, found one of direct"
    with pytest.raises(StoreError) as raised, publishing(publisher.place(), form=Form.SHARDED) as batch:
        batch.add(made["tool"], name=TOOL)
    assert (str(raised.value), publisher.revision) == (refused, 3)


@pytest.mark.parametrize("form", Form, ids=lambda form: form.value)
def test_what_is_published_is_what_a_directory_holds(publisher: Publisher, made: dict[str, str], form: Form, tmp_path: Path) -> None:
    for place in (publisher.place(), tmp_path / "store"):
        with publishing(place, form=form, today=DAY) as batch:
            batch.add(made["old"], name=OLD)
            batch.add(made["new"], name=NEW)
    found, expected = listing(publisher.store), listing(tmp_path / "store")
    if form is Form.SHARDED:
        assert [path for path in found if path.endswith(".cvmfscatalog")]
    assert found.keys() == expected.keys()
    for path, (mode, uid, gid, content, _, _, time) in expected.items():
        assert found[path][:4] == (mode, uid, gid, content), path
        # Whole seconds, no attributes, and no hard links are what an ingest keeps.
        assert found[path][4:] == ({}, "", time and time // 10**9 * 10**9), path


def test_the_revision_gets_the_name_and_the_message_asked_for(publisher: Publisher, made: dict[str, str]) -> None:
    receipt = publisher.add({OLD: made["old"]}, tag="nightly", message="all of today's images")
    assert publisher.verbs == ["tag", "ingest", "tag"]
    (line,) = [line for line in publisher.machine.run("tag", "-l", "-x", NAME)[1].splitlines() if line.startswith("nightly ")]
    assert line.split(" ", 4)[1:3] == [receipt.root_hash, "2"]
    assert line.endswith(" all of today's images")
    assert publisher.add({OLD: made["old"]}, tag="again").revision is None
    assert publisher.verbs.count("tag") == 2 + 1, "the one above that lists"


def test_several_stores_lie_in_one_repository(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"]}, path="team/one")
    publisher.add({NEW: made["new"]}, path="team/two")
    for path, name in (("team/one", OLD), ("team/two", NEW)):
        assert set(names(publisher.newest / path)) == {name}
        assert problems(publisher.newest / path) == unfinished(publisher.newest / path) == []


def test_reserved_names_are_refused_before_anything_is_published(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    source = write_layout(tmp_path / "reserved", RESERVED)
    with pytest.raises(PublishError) as raised:
        publisher.add({OLD: made["old"], NEW: source})
    layer = RESERVED.diff_ids[0].removeprefix("sha256:")
    assert str(raised.value) == (
        f"pool/{layer[:2]}/{layer}: expected no names that CernVM-FS takes for its own, "
        "found a/.cvmfsgraft-x, .cvmfs, .cvmfs/c; "
        "--skip-reserved leaves them out"
    )
    assert (publisher.machine.calls(), publisher.revision) == ([], 1)
    publisher.add({NEW: source}, skips_reserved=True)
    diff = publisher.store / "overlay" / layer / "diff"
    assert sorted(str(path.relative_to(diff)) for path in diff.rglob("*")) == ["a", "b"]
    assert publisher.check() == ""


def test_symlinks_that_clients_expand_are_reported(publisher: Publisher, tmp_path: Path) -> None:
    image = Image(layers=(tar(symlink("opt/x", "/usr/$(ARCH)/x"), symlink("y", "$HOME")),))
    receipt = publisher.add({OLD: write_layout(tmp_path / "image", image)})
    assert receipt.expanding_symlinks == ("opt/x",)


@pytest.mark.parametrize(
    ("text", "path"),
    [("", STORE), ("/", STORE), ("/store", "store"), ("/a/b", "a/b"), ("/a/b/", "a/b"), ("/é-1_2.3/%+=@", "é-1_2.3/%+=@")],
    ids=["the default", "only a slash", "a name", "deep", "a slash", "all that may be"],
)
def test_locations(publisher: Publisher, text: str, path: str) -> None:
    assert parse_location(f"cvmfs://{NAME}{text}", publisher.site) == (Repository(NAME, publisher.site), path)


@pytest.mark.parametrize("text", ["/..", "/a/../b", "/./a", "/a//b", "//a", "//"])
def test_locations_that_lead_nowhere(publisher: Publisher, text: str) -> None:
    with pytest.raises(StoreError) as raised:
        parse_location(f"cvmfs://{NAME}{text}", publisher.site)
    assert str(raised.value) == f"cvmfs://{NAME}{text}: expected cvmfs://REPOSITORY or cvmfs://REPOSITORY/PATH, found another form"


@pytest.mark.parametrize(
    "part",
    ["-x", "a b", "$(HOME)x", "a:b", "a,b", "a;b", "`a`", "~a", "a\nb", "\x7f", "\udcff", "x" * 256],
    ids=lambda part: ascii(part)[:9],
)
def test_locations_that_the_program_or_clients_would_take_for_something_else(publisher: Publisher, part: str) -> None:
    with pytest.raises(StoreError) as raised:
        parse_location(f"cvmfs://{NAME}/a/{part}", publisher.site)
    location = f"cvmfs://{NAME}/a/{part}"
    assert str(raised.value) == f"{location!r}: expected a PATH of letters, digits and ._+=@%-, found {part!r}"


@pytest.mark.parametrize("part", [".wh.x", ".cvmfs", ".cvmfscatalog", ".cvmfsgraft-x"])
def test_locations_with_reserved_names(publisher: Publisher, part: str) -> None:
    with pytest.raises(StoreError) as raised:
        parse_location(f"cvmfs://{NAME}/{part}/store", publisher.site)
    assert str(raised.value) == (
        f"cvmfs://{NAME}/{part}/store: expected a PATH without names that CernVM-FS takes for its own, found {part}"
    )


@pytest.mark.parametrize(
    ("member", "path", "found"),
    [
        (symlink("latest", "v1"), "latest/store", "latest: expected a directory on the way to the store, or nothing, found a symlink"),
        (symlink(STORE, "real"), STORE, f"{STORE}: expected a directory on the way to the store, or nothing, found a symlink"),
        (file("a"), "a/b/store", "a: expected a directory on the way to the store, or nothing, found a file"),
        (file("a"), "a", "a: expected a directory on the way to the store, or nothing, found a file"),
        (fifo("a"), "a/b", "a: expected a directory on the way to the store, or nothing, found something else"),
    ],
    ids=["a symlink above", "a symlink", "a file above", "a file", "something else"],
)
def test_what_is_on_the_way_to_a_store_is_not_replaced(
    publisher: Publisher, made: dict[str, str], member: Member, path: str, found: str
) -> None:
    assert publisher.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=tar(directory("v1"), file("v1/keep"), member))[0] == 0
    with pytest.raises(StoreError) as raised:
        publisher.add({OLD: made["old"]}, path=path)
    assert str(raised.value) == f"{publisher.repository.published}/{found}"
    batch = Batch(publisher.place(path=path), today=DAY)
    batch.add(made["old"], name=OLD)
    with pytest.raises(StoreError):
        batch.preview()
    batch.close()
    assert (publisher.revision, publisher.check(), publisher.verbs) == (2, "", ["ingest", "check"])


def test_what_comes_in_the_way_meanwhile_is_not_replaced(publisher: Publisher, made: dict[str, str]) -> None:
    other = tar(directory("v1"), symlink("latest", "v1"))

    def after(_: int) -> None:
        if not (publisher.newest / "latest").is_symlink():
            assert publisher.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=other)[0] == 0

    with pytest.raises(StoreError, match=r"latest: expected a directory on the way to the store, or nothing, found a symlink$"):
        published(publisher.place(path="latest/store"), {OLD: made["old"]}, after)
    assert (publisher.revision, publisher.check(), (publisher.newest / "latest").is_symlink()) == (2, "", True)


@pytest.mark.parametrize("tag", ["a b", "-l", "a;b", "$(x)", "a\n"], ids=repr)
def test_a_name_that_no_revision_can_have(publisher: Publisher, made: dict[str, str], tag: str) -> None:
    with pytest.raises(PublishError) as raised:
        publisher.add({OLD: made["old"]}, tag=tag)
    assert str(raised.value) == f"{tag!r}: expected a name for a revision of letters, digits and ._+=@%:/-, found another"
    assert (publisher.machine.calls(), publisher.revision) == ([], 1)


@pytest.mark.parametrize("message", ['"', "$HOME", "`x`", "a\\", "a\nb"], ids=repr)
def test_a_message_that_a_shell_would_take_apart(publisher: Publisher, made: dict[str, str], message: str) -> None:
    with pytest.raises(PublishError, match=r": expected a message without quotes, dollars, backslashes and control characters$"):
        publisher.add({OLD: made["old"]}, tag="x", message=message)
    assert (publisher.machine.calls(), publisher.revision) == ([], 1)


def test_a_name_that_is_in_use_is_refused_before_anything_is_published(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"]}, tag="nightly")
    with pytest.raises(PublishError) as raised:
        publisher.add({NEW: made["new"]}, tag="nightly")
    assert str(raised.value) == f"{NAME}: expected no revision named nightly yet, found one"
    assert (publisher.revision, set(names(publisher.store))) == (2, {OLD})


def followed(publisher: Publisher, tmp_path: Path) -> Publisher:
    """Return the machine, on which somebody else publishes right after each ingest of cstore's."""
    (tmp_path / "theirs.tar").write_bytes(tar(file("theirs")))
    theirs = f'{shlex.join(publisher.command)} ingest -t "{tmp_path}/theirs.tar" -b / {NAME} >/dev/null'
    return publisher.through(f'"$@"; code=$?; case "$*" in *" ingest -k -t -"*) {theirs};; esac; exit $code')


def test_the_receipt_tells_the_own_revision(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    receipt = followed(publisher, tmp_path).add({OLD: made["old"]})
    assert (receipt.revision, receipt.root_hash, publisher.revision) == (2, None, 3)


def test_no_other_revision_gets_the_name(publisher: Publisher, made: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(PublishError) as raised:
        followed(publisher, tmp_path).add({OLD: made["old"]}, tag="mine")
    assert str(raised.value) == (
        f"published as revision 2, but that is not named mine: {NAME}: expected it to be the newest, found that somebody else has "
        "published since"
    )
    assert (publisher.revision, "mine" in publisher.repository.tags()) == (3, False)


def test_what_is_planned_again_is_checked_again(publisher: Publisher, tmp_path: Path) -> None:
    """A layer with a reserved name was there at the first planning, and not any more at the second."""
    source = write_layout(tmp_path / "reserved", RESERVED)
    publisher.add({OLD: source}, skips_reserved=True)
    publisher.change(("remove", OLD))
    batch = Batch(publisher.place(), today=DAY)
    batch.add(source, name=NEW)
    planned = Planned(batch, once(lambda: prune(publisher.unknown.place(), dt.timedelta(0), DAY)))
    with pytest.raises(PublishError, match="expected no names that CernVM-FS takes for its own"):
        publisher.place().publish(planned)
    batch.close()
    assert (planned.times, set(names(publisher.store))) == (2, set())


def test_a_preview_refuses_what_publishing_would(publisher: Publisher, tmp_path: Path) -> None:
    batch = Batch(publisher.place(), today=DAY)
    batch.add(write_layout(tmp_path / "reserved", RESERVED), name=NEW)
    with pytest.raises(PublishError, match="expected no names that CernVM-FS takes for its own"):
        batch.preview()
    batch.close()


def test_a_hard_link_to_what_is_left_out_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    image = Image(layers=(tar(file("a/.cvmfscatalog", b"1"), hardlink("a/b", "a/.cvmfscatalog"), hardlink("a/.cvmfsbundles", "a/b")),))
    layer = image.diff_ids[0].removeprefix("sha256:")
    with pytest.raises(PublishError) as raised:
        publisher.add({OLD: write_layout(tmp_path / "image", image)}, skips_reserved=True)
    assert str(raised.value) == (
        f'pool/{layer[:2]}/{layer}: expected no hard links to what is left out, found "a/b", a link to "a/.cvmfscatalog"'
    )
    assert (publisher.machine.calls(), publisher.revision) == ([], 1)


def test_what_would_stop_every_reader_is_refused_before_anything_is_called(publisher: Publisher, made: dict[str, str]) -> None:
    publisher.add({OLD: made["old"]})
    calls, store = len(publisher.machine.calls()), Store.open(publisher.place().root)
    twice = store.images.edited({}, [b'{"id":"%s","names":["%s"]}' % (b"f" * 64, OLD.encode())])
    delta = Delta((ReplaceIndex(path=IMAGES_INDEX, lock_path=IMAGES_LOCK, data=twice.data, lock=twice.lock),))
    with pytest.raises(PublishError, match=rf'expected "{OLD}" at one image, found it at several \(spec V3\); nothing was published$'):
        publisher.place().publish(lambda: delta)
    assert (len(publisher.machine.calls()), publisher.revision) == (calls, 2)
