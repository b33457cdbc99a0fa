"""Adopting the images of the present converter's store, in places of each kind."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.delta import Delta, PutTree
from cstore.errors import PublishError, StoreError
from cstore.publish.adopt import Adopted, AdoptedImage, Adoption, adopt
from cstore.publish.batch import publishing
from cstore.publish.directory import apply, writing
from cstore.publish.place import DirectoryPlace
from cstore.publish.prune import prune
from cstore.publish.within import within
from cstore.store import Store
from cstore.verification.problem import Reach
from cstore.verification.store import verify
from tests.converter import CONVERTER, Flaw, flat, layered, tree_of
from tests.images import Image, device, directory, file, hardlink, symlink, tar, whiteout, write_layout
from tests.publish.cvmfs import STORE, Publisher, publishing_machine
from tests.publish.repositories import publish_directory
from tests.publish.soundness import is_visible, names, problems, unfinished
from tests.publish.stores import DAY, exact, listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cstore.progress import Progress

    Told = tuple[list[tuple[str, ...]], list[tuple[str, ...]], list[str]]

APP = "registry.example.org/team/app:1"
OTHER = "registry.example.org/team/other:1"
HIDES = "registry.example.org/team/hides:1"
BASE = tar(directory("etc"), file("etc/base", b"base\n"), directory("tmp", 0o1777), file("tmp/tool", b"t" * 70000, 0o4755))
TOP = tar(file("etc/top", b"top\n"), hardlink("etc/same", "etc/top"), symlink("etc/link", "../../etc/passwd"))
IMAGES = {
    APP: Image(layers=(BASE, tar(), TOP, tar())),
    OTHER: Image(layers=(BASE,)),
    HIDES: Image(layers=(BASE, tar(whiteout("etc/base")))),
}
REASON = 'layers[1]: expected a tree with whiteouts that overlay knows, found the file "etc/.wh.base" instead of one'

EACH_GENERATION = pytest.mark.parametrize("make", [layered, flat])
EACH_WAY = pytest.mark.parametrize("copy", [False, True], ids=["where they lie", "copied"])
EACH_FORM = pytest.mark.parametrize("place", [DirectoryPlace, within], ids=["direct", "sharded"])

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")


def told(adopted: Adopted) -> Told:
    """Return the names of what was adopted and of what was there, and the reasons for what is left."""
    return [image.names for image in adopted.images], [image.names for image in adopted.there], [image.reason for image in adopted.left]


ALL: Told = ([(APP,), (OTHER,)], [], [REASON])
AGAIN: Told = ([], [(APP,), (OTHER,)], [REASON])


@EACH_WAY
@EACH_FORM
@EACH_GENERATION
def test_what_can_be_adopted_is_and_a_second_time_nothing_is_touched(
    tmp_path: Path, make: Callable[..., Path], place: Callable[[Path], DirectoryPlace], *, copy: bool
) -> None:
    origin = make(tmp_path / "r", IMAGES, Flaw.NO_CATALOGS)
    before = exact(tmp_path / "r")
    done = adopt(place(tmp_path / "store"), origin, copy=copy)
    assert told(done) == ALL
    assert names(tmp_path / "store") == {name: IMAGES[name].id for name in (APP, OTHER)}
    assert unfinished(tmp_path / "store") == []
    after = exact(tmp_path / "store")
    again = adopt(place(tmp_path / "store"), origin, copy=copy)
    assert (told(again), again.published.delta.steps) == (AGAIN, ())
    assert exact(tmp_path / "store") == after
    assert exact(tmp_path / "r") == before


@EACH_FORM
@pytest.mark.parametrize("make", [flat])
def test_a_copy_lacks_nothing_but_its_tars(tmp_path: Path, make: Callable[..., Path], place: Callable[[Path], DirectoryPlace]) -> None:
    origin = make(tmp_path / "r", IMAGES)
    adopt(place(tmp_path / "store"), origin, copy=True)
    layers = [layer.id for layer in Store.open(tmp_path / "store").all_layers()]
    assert problems(tmp_path / "store") == [f"layer {layer[:8]}: no tar-split" for layer in layers]
    for number, layer in enumerate(layers[:4]):
        tree = tree_of(tmp_path / "r", IMAGES[APP], number)
        (tree / ".cvmfscatalog").unlink(missing_ok=True)
        found, expected = listing(tmp_path / "store/overlay" / layer / "diff"), listing(tree)
        times = {path: value[:-1] for path, value in expected.items() if path}
        assert {path: value[:-1] for path, value in found.items() if path} == times
        assert {value[1:3] for value in found.values()} == {CONVERTER}


LACKS = {layered: {"V40", "V44", "V71"}, flat: {"V71"}}
"""The digest of a manifest that is not the registry's, and tar-splits."""


@EACH_WAY
@EACH_FORM
@EACH_GENERATION
def test_what_verify_says_of_it_breaks_no_image(
    tmp_path: Path, make: Callable[..., Path], place: Callable[[Path], DirectoryPlace], *, copy: bool
) -> None:
    adopt(place(tmp_path / "r/store"), make(tmp_path / "r", IMAGES), copy=copy)
    found = [*verify(tmp_path / "r/store")]
    assert {problem.code for problem in found} == LACKS[make] | (set() if copy else {"V60"})
    assert {problem.reach for problem in found} == {Reach.FEATURE}


@EACH_FORM
def test_trees_that_stay_where_they_lie_are_found_by_absolute_symlinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Callable[[Path], DirectoryPlace]
) -> None:
    layered(tmp_path / "r", IMAGES)
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    adopt(place(tmp_path / "store"), "../r/podmanStore", copy=False)
    layers = [layer.id for layer in Store.open(tmp_path / "store").chain(Store.open(tmp_path / "store").image(APP).layer)]
    diffs = [tmp_path / "store/overlay" / layer / "diff" for layer in layers]
    expected = [str(tree_of(tmp_path / "r", IMAGES[APP], number)) for number in range(3)]
    assert [str(diff.readlink()) for diff in diffs if diff.is_symlink()] == expected
    assert (diffs[3].is_dir(), diffs[3].is_symlink(), [*diffs[3].iterdir()]) == (True, False, []), "the empty layer, a second time"
    assert [(diff.parent / "empty").is_dir() for diff in diffs] == [True, False, False, False]
    assert {oct(diff.parent.stat().st_mode) for diff in diffs} == {"0o40755"}


@EACH_WAY
@EACH_FORM
@EACH_GENERATION
def test_after_each_step_the_store_is_valid(
    tmp_path: Path, make: Callable[..., Path], place: Callable[[Path], DirectoryPlace], *, copy: bool
) -> None:
    origin = make(tmp_path / "r", IMAGES)
    delta = Adoption(place(tmp_path / "store"), origin, copy=copy).preview().published.delta
    assert not (tmp_path / "store").exists()
    for count in range(len(delta.steps) + 1):
        root = tmp_path / f"store-{count}"
        with writing(root):
            apply(Delta(delta.steps[:count]), root)
        assert list(_broken(root)) == []
    adopt(place(tmp_path / "store"), origin, copy=copy)
    one, two = ({path: told[:-1] for path, told in listing(store).items()} for store in (root, tmp_path / "store"))
    assert one == two


def _broken(root: Path) -> Iterator[str]:
    """Yield what a reader would stumble over, whatever an adopted store lacks by nature."""
    if not is_visible(root):
        return
    store = Store.open(root)
    for image in store.all_images():
        for layer in store.chain(image.layer):
            place = root / "overlay" / layer.id
            if not (place / "diff").is_dir() or (root / "overlay/l" / (place / "link").read_text()).resolve() != (place / "diff").resolve():
                yield f"layer {layer.id}"
        for key in image.big_data_names:
            if (root / store.layout.big_data(image.id, key)).stat().st_size != image.big_data_sizes[key]:
                yield f"image {image.id}: {key}"


@EACH_WAY
def test_what_fails_half_way_leaves_the_store_as_it_was(tmp_path: Path, *, copy: bool) -> None:
    origin = layered(tmp_path / "r", IMAGES)
    with publishing(tmp_path / "store", today=DAY) as batch:
        batch.add(write_layout(tmp_path / "image", Image(layers=(tar(file("x")),))), name="localhost/x:1")
    before = exact(tmp_path / "store")

    class Stopped(Exception):  # noqa: N818 - no error of the program's
        pass

    def progress(work: str, _subject: str, _total: int) -> Callable[[int], object]:
        if work == "unpacking":
            trees.append(work)
            if len(trees) == 3:
                raise Stopped
        return lambda _size: None

    trees: list[str] = []
    watched: Progress = progress
    with pytest.raises(Stopped):
        adopt(DirectoryPlace(tmp_path / "store", watched), origin, copy=copy)
    times = {path: value[:6] for path, value in before.items()}
    assert {path: value[:6] for path, value in exact(tmp_path / "store").items()} == times
    assert told(adopt(tmp_path / "store", origin, copy=copy)) == ALL


def test_an_image_that_is_added_builds_on_adopted_layers(tmp_path: Path) -> None:
    adopt(tmp_path / "store", layered(tmp_path / "r", IMAGES), copy=False)
    image = Image(layers=(BASE, tar(whiteout("etc/base"))))
    with publishing(tmp_path / "store", today=DAY) as batch:
        batch.add(write_layout(tmp_path / "image", image), name=HIDES)
    assert batch.receipt is not None
    assert batch.receipt.layers == 1
    done = adopt(tmp_path / "store", tmp_path / "r/podmanStore", copy=False)
    assert told(done) == ([], [(APP,), (OTHER,), (HIDES,)], []), "what was left is there now"


def test_an_adopted_image_that_is_removed_and_pruned_leaves_the_trees_alone(tmp_path: Path) -> None:
    origin = layered(tmp_path / "r", IMAGES)
    adopt(tmp_path / "store", origin, copy=False)
    before = exact(tmp_path / "r")
    with publishing(tmp_path / "store", today=DAY) as batch:
        batch.remove(APP)
        batch.remove(OTHER)
    assert prune(tmp_path / "store", DAY - DAY, DAY).delta
    assert [*Store.open(tmp_path / "store").all_layers()] == []
    assert exact(tmp_path / "r") == before


class TestRefusals:
    """What cannot be done at all."""

    def test_the_store_itself(self, tmp_path: Path) -> None:
        origin = layered(tmp_path / "r", IMAGES)
        (tmp_path / "link").symlink_to(origin)
        for location in (origin, tmp_path / "link"):
            with pytest.raises(StoreError, match=r"expected another store than the one that is to have the images, found the same$"):
                adopt(location, origin)

    @pytest.mark.parametrize(
        ("origin", "said"),
        [
            ("none", "{tmp}/none/overlay-images/images.json: expected a file, found nothing"),
            ("r", "{tmp}/r/overlay-images/images.json: expected a file, found nothing"),
            ("cvmfs://r.example.org", "cvmfs://r.example.org: expected the directory of a store, found a location of the kind cvmfs://"),
        ],
    )
    def test_no_store_of_the_converters(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str, said: str) -> None:
        (tmp_path / "r").mkdir()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(StoreError, match=f"^{re.escape(said.format(tmp=tmp_path))}$"):
            adopt("store", origin)
        assert not (tmp_path / "store").exists()

    def test_a_damaged_one(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"images.json: expected JSON, found 20 bytes that are none"):
            adopt(tmp_path / "store", layered(tmp_path / "r", IMAGES, Flaw.DAMAGED_IMAGES))

    def test_a_location_that_is_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "store").mkdir()
        (tmp_path / "store/file").touch()
        with pytest.raises(StoreError, match="expected an image store, found a directory"):
            adopt(tmp_path / "store", layered(tmp_path / "r", IMAGES))

    def test_devices_in_somebody_elses_transaction(self, tmp_path: Path) -> None:
        origin = layered(tmp_path / "r", {APP: Image(layers=(tar(device("null", 1, 3)),))})
        with pytest.raises(PublishError, match="found 1 whiteouts or devices"):
            adopt(within(tmp_path / "store"), origin, copy=True)
        assert told(adopt(within(tmp_path / "store"), origin, copy=False))[0] == [(APP,)]


class TestCernVMFS:
    """Where the converter's store and cstore's are in one repository."""

    @EACH_WAY
    @EACH_GENERATION
    def test_all_of_it_is_one_revision(self, publisher: Publisher, tmp_path: Path, make: Callable[..., Path], *, copy: bool) -> None:
        images = {**IMAGES, APP: Image(layers=(BASE, tar(), TOP, tar(device("null", 1, 3)), tar()))}
        make(tmp_path / "r", images)
        publish_directory(publisher, tmp_path / "r")
        before = publisher.revision
        place = publisher.place(path="adopted")
        origin = publisher.repository.client / STORE
        done = adopt(place, origin, copy=copy)
        assert (told(done), done.published.revision, publisher.revision) == (ALL, before + 1, before + 1)
        assert names(publisher.newest / "adopted") == {name: images[name].id for name in (APP, OTHER)}
        again = adopt(place, origin, copy=copy)
        assert (told(again), again.published.revision, publisher.revision) == (AGAIN, None, before + 1)
        assert (publisher.check(), publisher.is_open) == ("", False)
        chain = Store.open(publisher.newest / "adopted").chain(Store.open(publisher.newest / "adopted").image(APP).layer)
        diffs = [publisher.newest / "adopted/overlay" / layer.id / "diff" for layer in chain]
        assert [diff.is_symlink() for diff in diffs] == ([False] * 5 if copy else [True] * 4 + [False])
        if copy:
            assert (diffs[2] / "etc/same").read_bytes() == b"top\n"
            assert (diffs[3] / "null").is_char_device()
            assert (diffs[0] / "tmp/tool").stat().st_uid == CONVERTER[0]
            assert not list(publisher.newest.glob("adopted/pool/*/*/diff/.cvmfscatalog"))
        else:
            client = publisher.repository.client
            assert [str(diff.readlink()) for diff in diffs[:4]] == [str(tree_of(client, images[APP], number)) for number in range(4)]

    def test_it_is_read_as_it_is_published(self, publisher: Publisher, tmp_path: Path) -> None:
        layered(tmp_path / "r", IMAGES)
        publish_directory(publisher, tmp_path / "r")
        for origin in (publisher.repository.client, publisher.repository.published):
            adopted = Adoption(publisher.place(path="adopted"), origin / STORE, copy=False).preview()
            leads = {step.leads_to.partition("/.layers/")[0] for step in adopted.published.delta if isinstance(step, PutTree)}
            assert leads - {""} == {str(publisher.repository.client)}

    def test_a_repository_of_another_machine_is_adopted_by_its_path(self, publisher: Publisher, tmp_path: Path) -> None:
        origin = layered(tmp_path / "r", IMAGES)
        assert told(adopt(publisher.place(), origin)) == ALL
        assert names(publisher.store) == {name: IMAGES[name].id for name in (APP, OTHER)}

    @EACH_WAY
    def test_behind_a_gateway(self, tmp_path: Path, *, copy: bool) -> None:
        origin = flat(tmp_path / "r", {**IMAGES, APP: Image(layers=(BASE, tar(device("gone", 0, 0))))})
        with publishing_machine(tmp_path / "site", upstream="gw") as machine:
            publisher = machine.on("one")
            assert told(adopt(publisher.place(), origin, copy=copy)) == ALL
            revision = publisher.revision
            assert told(adopt(publisher.place(), origin, copy=copy)) == AGAIN
            assert (publisher.revision, publisher.check()) == (revision, "")


def test_what_is_told_of_an_image(tmp_path: Path) -> None:
    origin = flat(tmp_path / "r", [(APP, Image()), (APP, IMAGES[OTHER])])
    done = adopt(tmp_path / "store", origin)
    assert done.images == (
        AdoptedImage(
            id=IMAGES[OTHER].id,
            names=(APP,),
            remarks=("its files belong to user 998, whatever the image says", "containers see .cvmfscatalog"),
        ),
    )
    (passed,) = done.passed_over
    assert (passed.subject, passed.names) == (Image().id, (APP,))
    with publishing(tmp_path / "other", today=DAY) as batch:
        batch.add(write_layout(tmp_path / "image", IMAGES[OTHER]), name=OTHER)
    renamed = adopt(tmp_path / "other", origin)
    assert renamed.images == (AdoptedImage(id=IMAGES[OTHER].id, names=(APP,)),)
    assert evolve(renamed.images[0], names=(OTHER,)).remarks == ()
