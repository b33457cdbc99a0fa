from __future__ import annotations

import datetime as dt
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cstore.delta import Delta, PutSymlink
from cstore.errors import StoreError
from cstore.index.gojson import encode
from cstore.model.layout import Form
from cstore.planning import plan
from cstore.pruning import plan_prune
from cstore.publish.directory import apply, writing
from cstore.store import Store
from cstore.verification.problem import Reach
from cstore.verification.store import verify
from cstore.views import open_view, plan_view, plan_view_removal
from tests.images import Image, file, tar
from tests.publish.stores import copy
from tests.stores import TODAY, Planner, drop, lines, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IN, OTHER_IN, OUT = "registry.example.org/atlas/a:1", "registry.example.org/atlas/b:1", "localhost/out:1"
PATTERNS = ("registry.example.org/atlas/*",)
BASE, ONE, TWO = (tar(file(name, name.encode())) for name in ("base", "one", "two"))
IMAGES = (Image(layers=(BASE, ONE)), Image(layers=(BASE, TWO)), Image(layers=(TWO,), labels={"of": "two"}), Image())
NAMES = (IN, OTHER_IN, OUT, "localhost/out:2")
GRACE = dt.timedelta(days=2)
EACH_FORM = pytest.mark.parametrize("form", [*Form], ids=lambda form: form.value)


def do(root: Path, delta: Delta) -> Delta:
    with writing(root):
        apply(delta, root)
    return delta


def view_of(root: Path, name: str = "atlas") -> dict[str, Any]:
    """Return what a view holds, without the layers that are retired in it."""
    place = root / "views" / name
    images, layers = (json.loads((place / path).read_bytes()) for path in ("overlay-images/images.json", "overlay-layers/layers.json"))
    retired = json.loads((place / "cstore.json").read_bytes())["retired"]
    links = {(place / "overlay" / layer / "link").read_text() for layer in retired}
    symlinks = {str(path.relative_to(place)): str(path.readlink()) for path in place.rglob("*") if path.is_symlink()}
    kept = {path: to for path, to in symlinks.items() if not {path.rpartition("/")[2].partition(".")[0]} & {*retired, *links}}
    return {
        "images": {image["id"]: image for image in images},
        "layers": {layer["id"]: layer for layer in layers if layer["id"] not in retired},
        "symlinks": kept,
    }


@pytest.fixture
def viewed(planner: Planner) -> Planner:
    """A planner of a store with one image of two names, one of which a view shows."""
    planner.do(planner.add(IMAGES[0], IN, OUT))
    do(planner.root, plan_view(planner.store, "atlas", PATTERNS, TODAY))
    return planner


def test_an_image_comes_with_the_names_that_match(viewed: Planner) -> None:
    (image,) = view_of(viewed.root)["images"].values()
    assert image["names"] == [IN]
    (whole,) = json.loads((viewed.root / "overlay-images/images.json").read_bytes())
    assert {**whole, "names": [IN]} == image


@EACH_FORM
def test_symlinks_are_relative_and_lead_to_the_store(tmp_path: Path, form: Form) -> None:
    planner = Planner(tmp_path / "store", form)
    planner.do(planner.add(IMAGES[2], IN))
    delta = do(planner.root, plan_view(planner.store, "atlas", PATTERNS, TODAY))
    planner.close()
    (layer,) = (record.id for record in planner.store.all_layers())
    (image,) = (record.id for record in planner.store.all_images())
    found = {step.path: step.target for step in delta if isinstance(step, PutSymlink)}
    link = planner.store.link(layer)
    tree = f"pool/{layer[:2]}/{layer}" if form is Form.SHARDED else f"overlay/{layer}"
    assert found == {
        f"views/atlas/overlay/{layer}": f"../../../{tree}",
        f"views/atlas/overlay/l/{link}": f"../{layer}/diff",
        f"views/atlas/overlay-layers/{layer}.tar-split.gz": f"../../../overlay-layers/{layer}.tar-split.gz",
        f"views/atlas/overlay-images/{image}": f"../../../overlay-images/{image}",
    }
    assert ((planner.root / "views/atlas/.cvmfscatalog").exists()) == (form is Form.SHARDED)
    assert [str(path) for path in planner.root.rglob("*") if path.is_symlink() and not path.exists()] == []


def test_a_view_of_the_same_patterns_is_not_written_again(viewed: Planner) -> None:
    assert not plan_view(viewed.store, "atlas", PATTERNS, TODAY)


def test_a_store_without_views_is_as_it_was(planner: Planner) -> None:
    planner.do(planner.add(IMAGES[0], IN))
    assert json.loads((planner.root / "cstore.json").read_bytes()) == {"version": 1, "layout": "direct", "retired": {}}


def test_what_a_view_does_not_show_does_not_touch_it(viewed: Planner) -> None:
    delta = viewed.do(viewed.add(IMAGES[1], "localhost/other:1"))
    assert [line for line in lines(delta) if "views/" in line] == []
    delta = viewed.do(tag("localhost/other:1", "localhost/other:2"), drop("localhost/other:1"))
    assert [line for line in lines(delta) if "views/" in line] == []


def test_the_store_comes_first_when_something_comes_and_last_when_something_goes(viewed: Planner) -> None:
    added = lines(viewed.do(viewed.add(IMAGES[1], OTHER_IN)))
    assert added.index("index overlay-images/images.json") < next(n for n, line in enumerate(added) if "views/" in line)
    assert added[-1] == "index views/atlas/overlay-images/images.json"
    gone = lines(viewed.do(drop(OTHER_IN)))
    removals = [line for line in gone if line.startswith("remove")]
    assert gone[-len(removals) :] == removals
    assert [line.split("/")[0] for line in removals] == ["remove views", "remove overlay-images"]
    assert gone.index("index views/atlas/overlay-images/images.json") < gone.index(removals[0])
    pruned = lines(do(viewed.root, plan_prune(viewed.store, dt.timedelta(0), TODAY)))
    views = [number for number, line in enumerate(pruned) if "views/" in line]
    assert views == list(range(len(views)))


def test_a_layer_that_leaves_a_view_is_retired_in_it_and_goes_with_the_store_at_the_latest(viewed: Planner) -> None:
    viewed.do(drop(IN))
    top = next(record.id for record in viewed.store.all_layers() if record.parent)
    assert top in open_view(viewed.store, "atlas").about.retired
    assert top not in viewed.store.about.retired
    assert not [line for line in lines(plan_prune(viewed.store, GRACE, TODAY)) if "remove" in line]
    assert not [line for line in lines(plan_prune(viewed.store, GRACE, TODAY + GRACE)) if "remove overlay" in line]
    do(viewed.root, plan_prune(viewed.store, GRACE, TODAY + GRACE))
    assert not list(open_view(viewed.store, "atlas").all_layers())
    assert len(list(viewed.store.all_layers())) == 2


def test_a_layer_comes_back_to_a_view(viewed: Planner) -> None:
    viewed.do(drop(IN))
    viewed.do(tag(OUT, IN))
    assert open_view(viewed.store, "atlas").about.retired == {}
    assert list(verify(viewed.root)) == []


def test_a_removed_view_shows_nothing_and_goes_after_the_grace_period(viewed: Planner) -> None:
    do(viewed.root, plan_view_removal(viewed.store, "atlas", TODAY))
    assert not plan_view_removal(viewed.store, "atlas", TODAY)
    assert view_of(viewed.root)["images"] == {}
    assert len(open_view(viewed.store, "atlas").about.retired) == 2
    viewed.do(viewed.add(IMAGES[1], OTHER_IN))
    assert view_of(viewed.root)["images"] == {}
    assert not plan_prune(viewed.store, GRACE, TODAY)
    delta = do(viewed.root, plan_prune(viewed.store, GRACE, TODAY + GRACE))
    assert lines(delta) == ["file cstore.json", "remove views/atlas"]
    assert viewed.store.about.all_views == {}
    assert [str(problem) for problem in verify(viewed.root)] == []


def test_an_empty_view_that_was_removed_stays_for_the_grace_period_too(planner: Planner) -> None:
    planner.do(planner.add(IMAGES[0], OUT))
    do(planner.root, plan_view(planner.store, "atlas", PATTERNS, TODAY))
    do(planner.root, plan_view_removal(planner.store, "atlas", TODAY))
    assert not plan_prune(planner.store, GRACE, TODAY + GRACE - dt.timedelta(days=1))
    assert plan_prune(planner.store, GRACE, TODAY + GRACE)


def test_a_removed_view_can_be_made_again(viewed: Planner) -> None:
    before = view_of(viewed.root)
    do(viewed.root, plan_view_removal(viewed.store, "atlas", TODAY))
    do(viewed.root, plan_view(viewed.store, "atlas", PATTERNS, TODAY))
    assert view_of(viewed.root) == before
    assert viewed.store.about.removed_views == {}


def test_a_view_follows_other_patterns(viewed: Planner) -> None:
    viewed.do(viewed.add(IMAGES[1], "localhost/other:1"))
    do(viewed.root, plan_view(viewed.store, "atlas", ("localhost/*",), TODAY))
    assert sorted(name for image in view_of(viewed.root)["images"].values() for name in image["names"]) == ["localhost/other:1", OUT]


def test_a_view_is_no_store_to_be_changed(viewed: Planner) -> None:
    view = Store.open(viewed.root / "views/atlas")
    said = f"{view.root}: expected a store, found a view of one; change the store, {viewed.root}"
    calls: list[Callable[[], Delta]] = [
        lambda: plan(view, [], {}, view.ground({}), TODAY),
        lambda: plan_prune(view, GRACE, TODAY),
        lambda: plan_view(view, "x", PATTERNS, TODAY),
        lambda: plan_view_removal(view, "x", TODAY),
    ]
    for call in calls:
        with pytest.raises(StoreError) as error:
            call()
        assert str(error.value) == said


def test_a_view_that_is_not_there_is_told(viewed: Planner) -> None:
    shutil.rmtree(viewed.root / "views/atlas")
    with pytest.raises(StoreError, match=r"views/atlas: expected a view of the store, found nothing; `cstore repair` makes it$"):
        viewed.plan(drop(IN))


def test_no_view_is_made_where_something_else_is(viewed: Planner) -> None:
    copy(viewed.root / "views/atlas", viewed.root / "views/other")
    (viewed.root / "views/other/cstore.json").write_bytes(encode({"version": 1, "layout": "direct", "retired": {}}))
    with pytest.raises(StoreError, match=r"views/other/cstore\.json: expected that of a view, found that of a store$"):
        plan_view(viewed.store, "other", PATTERNS, TODAY)
    (viewed.root / "views/plain").mkdir()
    with pytest.raises(StoreError, match=r"found a directory without overlay-images/images\.json; no view of the store is there, so move"):
        plan_view(viewed.store, "plain", PATTERNS, TODAY)
    with pytest.raises(StoreError, match=r'expected a view "none", found none$'):
        plan_view_removal(viewed.store, "none", TODAY)


@pytest.mark.parametrize(
    ("index", "members", "said"),
    [
        ("images", {"layer": ["x"]}, "images[0].layer: expected an ID of 64 hexadecimal digits, found an array"),
        ("images", {"mapped-layers": 5}, "images[0].mapped-layers: expected an array, found 5"),
        ("layers", {"parent": ["x"]}, "layers[0].parent: expected an ID of 64 hexadecimal digits, found an array"),
    ],
    ids=["layer", "mapped layers", "parent"],
)
def test_a_malformed_record_of_a_view_is_told_with_the_view(viewed: Planner, index: str, members: dict[str, Any], said: str) -> None:
    viewed.do(viewed.add(IMAGES[1], OTHER_IN))
    place = viewed.root / f"views/atlas/overlay-{index}/{index}.json"
    first, *others = json.loads(place.read_bytes())
    place.write_bytes(encode([{**first, **members}, *others]))
    with pytest.raises(StoreError) as error:
        viewed.plan(drop(OTHER_IN))
    assert str(error.value) == f"views/atlas: {said}"
    with pytest.raises(StoreError) as error:
        plan_prune(viewed.store, GRACE, TODAY)
    assert str(error.value) == f"views/atlas: {said}"


Operation = tuple[Any, ...]
OPERATIONS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(range(len(IMAGES))), st.sampled_from(NAMES)),
    st.tuples(st.just("tag"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("drop"), st.sampled_from(NAMES)),
    st.tuples(st.just("prune"), st.sampled_from([0, 1])),
    st.tuples(st.just("patterns"), st.sampled_from([PATTERNS, ("*:1",), ("*/out*", "*/b:*")])),
    st.tuples(st.just("remove")),
)


def planned(planner: Planner, operation: Operation, day: dt.date) -> Delta:
    planner.today = day
    store, (verb, *rest) = planner.store, operation
    held = {name for image in store.all_images() for name in image.names}
    if verb == "add":
        return planner.plan(planner.add(IMAGES[rest[0]], rest[1]))
    if verb == "prune":
        return plan_prune(store, dt.timedelta(days=rest[0]), day)
    if verb == "patterns":
        return plan_view(store, "atlas", rest[0], day)
    if verb == "remove":
        return plan_view_removal(store, "atlas", day) if "atlas" in store.about.all_views else Delta()
    if rest[0] not in held:
        return Delta()
    return planner.plan(tag(*rest) if verb == "tag" else drop(rest[0]))


def is_told(root: Path) -> Iterator[str]:
    """Yield what a reader of the store or of its view would stumble over."""
    for problem in verify(root):
        if problem.reach is not Reach.NOTE and problem.code not in ("V101", "V102"):
            yield str(problem)
    if (root / "views/atlas/overlay-images/images.json").exists():
        yield from (str(problem) for problem in verify(root / "views/atlas") if problem.reach is not Reach.NOTE)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(form=st.sampled_from([*Form]), operations=st.lists(OPERATIONS, min_size=2, max_size=7))
def test_a_view_is_what_a_fresh_one_would_be_and_sound_after_each_step(form: Form, operations: list[Operation]) -> None:
    """Spec F14: after any changes a view equals one made anew, up to retired layers; spec P1: after each step both are sound."""
    place = Path(tempfile.mkdtemp())
    planner = Planner(place / "store", form)
    try:
        planner.do(planner.add(IMAGES[0], IN, OUT))
        do(planner.root, plan_view(planner.store, "atlas", PATTERNS, TODAY))
        for number, operation in enumerate(operations):
            delta = planned(planner, operation, TODAY + dt.timedelta(days=number))
            with writing(planner.root):
                for step in delta:
                    apply(Delta((step,)), planner.root)
                    assert list(is_told(planner.root)) == [], step
            assert [str(problem) for problem in verify(planner.root) if problem.code != "V86"] == []
            if "atlas" in planner.store.about.views:
                fresh = place / "fresh"
                copy(planner.root, fresh)
                do(fresh, plan_view(Store.open(fresh), "fresh", planner.store.about.views["atlas"], TODAY))
                assert view_of(planner.root) == view_of(fresh, "fresh")
                shutil.rmtree(fresh)
    finally:
        planner.close()
        shutil.rmtree(place)
