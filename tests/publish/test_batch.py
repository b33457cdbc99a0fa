from __future__ import annotations

import datetime as dt
import shutil
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError, FormatError, NotFoundError, PublishError, SourceError, StoreError
from cstore.model.chain import layer_ids
from cstore.model.digest import Digest
from cstore.model.layout import Form
from cstore.publish.batch import Batch, publishing
from cstore.store import Store
from tests.images import Image, file, tar, write_layout
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import DAY, FORMS, IMAGES, NEW, OLD, TOOL, exact, listing, sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cstore.progress import Progress

EACH_FORM = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.value)


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    return sources(tmp_path / "images")


@pytest.fixture
def store(tmp_path: Path, made: dict[str, str]) -> Path:
    root = tmp_path / "store"
    with publishing(root, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
    return root


def test_all_changes_are_published_on_leaving(store: Path, made: dict[str, str]) -> None:
    with publishing(store, today=DAY) as batch:
        assert batch.add(made["new"], name=NEW) == (NEW,)
        batch.tag(NEW, "example.org/again:1")
        batch.remove(OLD)
        assert list(names(store)) == [OLD]
        assert batch.receipt is None
    assert sorted(names(store)) == ["example.org/again:1", NEW]
    assert problems(store) == []
    assert unfinished(store) == []


def test_the_receipt_tells_what_was_written(tmp_path: Path, made: dict[str, str]) -> None:
    with publishing(tmp_path / "store", today=DAY) as batch:
        batch.add(made["old"], name=OLD)
        batch.tag(OLD, TOOL)
    receipt = batch.receipt
    assert receipt is not None
    assert receipt.names == (OLD, TOOL)
    assert (receipt.layers, receipt.devices_left_out, receipt.xattrs_left_out, receipt.revision) == (2, (), 0, None)
    assert receipt.bytes_written == receipt.delta.size > 8000
    assert receipt.entries == receipt.delta.entries > 20


def test_after_an_exception_nothing_is_written(store: Path, made: dict[str, str]) -> None:
    before = exact(store)
    with pytest.raises(KeyError), publishing(store, today=DAY) as batch:
        _add_and_fail(batch, made["new"])
    assert exact(store) == before


def test_what_is_there_already_writes_nothing_at_all(store: Path, made: dict[str, str]) -> None:
    before = exact(store)
    with publishing(store, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
        batch.tag(OLD, OLD)
    assert batch.receipt is not None
    assert not batch.receipt.delta
    assert exact(store) == before


def test_what_comes_and_goes_in_one_batch_writes_nothing_at_all(store: Path, made: dict[str, str]) -> None:
    before = exact(store)
    with publishing(store, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
        batch.remove(NEW)
    assert exact(store) == before


@EACH_FORM
def test_an_empty_batch_or_one_without_images_makes_no_store(tmp_path: Path, form: Form) -> None:
    with pytest.raises(StoreError), publishing(tmp_path / "store", form=form):
        pass
    with pytest.raises(StoreError), publishing(tmp_path / "store", form=form) as batch:
        batch.remove(OLD)
    assert not (tmp_path / "store").exists()


@EACH_FORM
def test_the_same_images_give_the_same_bytes(tmp_path: Path, made: dict[str, str], form: Form) -> None:
    again = sources(tmp_path / "elsewhere" / "images")
    for place, images in (("one", made), ("two", again)):
        with publishing(tmp_path / place, form=form, today=DAY) as batch:
            batch.add(images["old"], name=OLD)
            batch.add(images["new"], name=NEW)
        with publishing(tmp_path / place, today=DAY) as batch:
            batch.tag(NEW, TOOL)
            batch.remove(OLD)
    assert listing(tmp_path / "one") == listing(tmp_path / "two")


@EACH_FORM
def test_one_batch_gives_what_several_give(tmp_path: Path, made: dict[str, str], form: Form) -> None:
    with publishing(tmp_path / "one", form=form, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
        batch.add(made["new"], name=NEW)
    for image, name in (("old", OLD), ("new", NEW)):
        with publishing(tmp_path / "two", form=form, today=DAY) as batch:
            batch.add(made[image], name=name)
    assert listing(tmp_path / "one") == listing(tmp_path / "two")


def test_a_preview_writes_nothing(tmp_path: Path, store: Path, made: dict[str, str]) -> None:
    before = exact(store)
    for root in (store, tmp_path / "none"):
        batch = Batch(root, today=DAY)
        batch.add(made["new"], name=NEW)
        preview = batch.preview()
        assert preview.delta
        assert batch.receipt is None
        batch.close()
    assert exact(store) == before
    assert not (tmp_path / "none").exists()


def test_a_store_changed_since_planning_is_planned_anew(store: Path, made: dict[str, str]) -> None:
    with publishing(store, today=DAY) as first:
        first.add(made["new"], name=OLD)
        with publishing(store, today=DAY) as second:
            second.tag(OLD, TOOL)
    assert names(store) == {OLD: IMAGES["new"].id, TOOL: IMAGES["old"].id}
    assert problems(store) == []


def test_a_source_of_a_tag_alone_needs_a_name(tmp_path: Path) -> None:
    archive = write_layout(tmp_path / "plain", Image(layers=(tar(file("a")),)))
    batch = Batch(tmp_path / "store")
    with pytest.raises(SourceError):
        batch.add(f"{archive}:none")
    batch.close()


def _add_and_fail(batch: Batch, source: str) -> None:
    batch.add(source, name=NEW)
    raise KeyError


@pytest.mark.parametrize("change", [lambda batch, name: batch.tag(name, NEW), Batch.remove], ids=["tag", "remove"])
def test_changes_of_what_is_not_there_are_told(store: Path, change: Callable[[Batch, str], None]) -> None:
    before = exact(store)
    with pytest.raises(NotFoundError, match=r'expected an image "example\.org/no:1", found none$'), publishing(store) as batch:
        change(batch, "example.org/no:1")
    assert exact(store) == before


def test_a_blob_that_changes_after_it_was_verified_changes_nothing(store: Path, made: dict[str, str], tmp_path: Path) -> None:
    before = listing(store)
    blob = tmp_path / "images" / "blobs" / "sha256" / IMAGES["new"].manifest["layers"][1]["digest"].removeprefix("sha256:")
    sound = blob.read_bytes()
    for data in (sound[:-5] + bytes(5), sound[:30], b""):
        with pytest.raises((ContentError, SourceError, PublishError)), publishing(store, today=DAY, progress=_spoiler(blob, data)) as batch:
            batch.add(made["new"], name=NEW)
        assert listing(store) == before
        blob.write_bytes(sound)
    with pytest.raises(StoreError), publishing(tmp_path / "new", today=DAY, progress=_spoiler(blob, b"")) as batch:
        batch.add(made["new"], name=NEW)
    assert not (tmp_path / "new").exists()


def test_a_store_of_the_other_form_is_refused(store: Path, made: dict[str, str]) -> None:
    with (
        pytest.raises(StoreError, match=r"expected a store of the form sharded, found one of direct$"),
        publishing(store, form=Form.SHARDED) as batch,
    ):
        batch.add(made["new"], name=NEW)


def test_a_platform_is_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="nonsense"):
        Batch(tmp_path, platform="nonsense")


def test_without_a_day_the_clock_is_asked(store: Path) -> None:
    before = dt.datetime.now(tz=dt.UTC).date()
    with publishing(store) as batch:
        batch.remove(OLD)
    assert before <= min(Store.open(store).about.retired.values()) <= dt.datetime.now(tz=dt.UTC).date()


def _spoiler(blob: Path, data: bytes) -> Progress:
    """Spoil a blob when the first tree is written: all was verified then."""

    def progress(work: str, _subject: str, _total: int) -> Callable[[int], object]:
        if work == "unpacking":
            blob.write_bytes(data)
        return lambda _size: None

    return progress


def test_the_receipt_counts_images_and_layers_that_were_there(tmp_path: Path, made: dict[str, str]) -> None:
    with publishing(tmp_path / "store", today=DAY) as batch:
        batch.add(made["old"], name=OLD)
        batch.add(made["old"], name=TOOL)
    assert batch.receipt is not None
    assert (batch.receipt.images, batch.receipt.layers, batch.receipt.known_layers) == (1, 2, 0)
    with publishing(tmp_path / "store", today=DAY) as batch:
        batch.add(made["new"], name=NEW)
        batch.remove(OLD)
    assert batch.receipt is not None
    assert (batch.receipt.images, batch.receipt.layers, batch.receipt.known_layers) == (1, 1, 1)


def lose_tree(root: Path, layer: str) -> None:
    shutil.rmtree((root / "overlay" / layer).resolve())


def lose_diff(root: Path, layer: str) -> None:
    shutil.rmtree((root / "overlay" / layer / "diff").resolve())


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.value))
@pytest.mark.parametrize("number", [0, 1], ids=["base", "top"])
@pytest.mark.parametrize("lose", [lose_tree, lose_diff])
def test_a_layer_that_has_lost_its_tree_gets_it_back(
    tmp_path: Path, made: dict[str, str], lose: Callable[[Path, str], None], number: int, form: Form
) -> None:
    root = tmp_path / "store"
    with publishing(root, form=form, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    before = listing(root)
    lose(root, layer_ids([Digest.parse(diff_id) for diff_id in IMAGES["new"].diff_ids])[number])
    with publishing(root, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    assert batch.receipt is not None
    assert batch.receipt.layers == 1
    assert listing(root) == before


def test_an_image_that_has_lost_its_big_data_gets_them_back(tmp_path: Path, made: dict[str, str]) -> None:
    root = tmp_path / "store"
    with publishing(root, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    before = listing(root)
    shutil.rmtree(root / "overlay-images" / IMAGES["new"].id)
    with publishing(root, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    assert listing(root) == before
