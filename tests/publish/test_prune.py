from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from cstore.errors import StoreError
from cstore.publish.batch import publishing
from cstore.publish.prune import prune
from cstore.store import Store
from tests.images import digest_of
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import BASE, DAY, FORMS, NEW, OLD, TOOL, exact, listing, sources

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.model.layout import Form

GRACE = dt.timedelta(days=14)


@pytest.fixture(params=FORMS, ids=lambda form: form.value)
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A store of two images that share their base, one of which was removed."""
    made = sources(tmp_path / "images")
    root = tmp_path / "store"
    form: Form = request.param
    with publishing(root, form=form, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
        batch.add(made["old"], name=OLD)
    with publishing(root, today=DAY) as batch:
        batch.remove(OLD)
    return root


def test_a_day_too_early_nothing_is_touched(store: Path) -> None:
    before = exact(store)
    assert not prune(store, GRACE, DAY + GRACE - dt.timedelta(days=1)).delta
    assert exact(store) == before


def test_after_the_grace_period_the_store_is_as_if_the_image_had_never_been(store: Path, tmp_path: Path) -> None:
    assert prune(store, GRACE, DAY + GRACE).delta
    with publishing(tmp_path / "other", form=Store.open(store).about.form, today=DAY) as batch:
        batch.add(f"oci:{tmp_path / 'images'}:new", name=NEW)
    assert listing(store) == listing(tmp_path / "other")
    assert problems(store) == []
    assert unfinished(store) == []


def test_a_layer_that_is_used_again_is_no_longer_retired(store: Path, tmp_path: Path) -> None:
    before = set(listing(store))
    with publishing(store, today=DAY) as batch:
        batch.add(f"oci:{tmp_path / 'images'}:old", name=OLD)
    assert Store.open(store).about.retired == {}
    assert not prune(store, dt.timedelta(0), DAY).delta
    assert before <= set(listing(store))
    assert problems(store) == []


def test_a_base_stays_as_long_as_a_layer_builds_on_it(store: Path) -> None:
    later = DAY + dt.timedelta(days=10)
    with publishing(store, today=later) as batch:
        batch.remove(NEW)
    base = digest_of(BASE).removeprefix("sha256:")
    assert prune(store, GRACE, DAY + GRACE).delta
    assert base in {layer.id for layer in Store.open(store).all_layers()}
    assert problems(store) == []
    assert prune(store, GRACE, later + GRACE).delta
    assert list(Store.open(store).all_layers()) == []
    assert names(store) == {}
    assert problems(store) == []
    assert unfinished(store) == []


def test_a_layer_never_noted_as_retired_is_noted_first(store: Path) -> None:
    about = json.loads((store / "cstore.json").read_bytes())
    (retired,) = about["retired"]
    (store / "cstore.json").write_text(json.dumps({**about, "retired": {}}))
    assert [step.path for step in prune(store, GRACE, DAY).delta] == ["cstore.json"]
    assert Store.open(store).about.retired == {retired: DAY}
    assert not prune(store, GRACE, DAY).delta
    assert prune(store, GRACE, DAY + GRACE).delta


def test_what_an_interrupted_writer_left_is_cleared_even_if_there_is_nothing_to_prune(store: Path) -> None:
    before = listing(store)
    (store / ".cstore-work" / "tree" / "diff").mkdir(parents=True)
    assert not prune(store, GRACE, DAY).delta
    assert listing(store) == before


def test_where_no_store_is_there_is_nothing_to_prune(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"{tmp_path}: expected an image store, found a directory"):
        prune(tmp_path, GRACE, DAY)


def test_other_names_do_not_matter(store: Path) -> None:
    with publishing(store, today=DAY) as batch:
        batch.tag(NEW, TOOL)
    assert prune(store, dt.timedelta(0), DAY).delta
    assert sorted(names(store)) == [NEW, TOOL]
    assert problems(store) == []
