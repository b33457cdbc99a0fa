from __future__ import annotations

import datetime as dt
import json
from base64 import b32encode, b64encode
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from cstore.delta import PutTree
from cstore.mend.adopt import find, plan_adopt
from cstore.mend.converter import Converter, Origin
from cstore.model.about import About
from cstore.model.chain import layer_ids
from cstore.model.digest import Digest
from cstore.model.layout import IMAGES_INDEX, LAYERS_INDEX, Form
from cstore.store import Store
from tests.converter import CONVERTER, Flaw, config_file, flat, layered, tree_of
from tests.images import CREATED, Image, digest_of, file, json_of, tar, whiteout
from tests.stores import AMD64, Planner, content, drop, lines, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cstore.delta import Delta
    from cstore.mend.adopt import Findings

APP = "registry.example.org/team/app:1"
OTHER = "registry.example.org/team/other:1"
BASE, TOP, MORE = tar(file("base", b"base")), tar(file("top", b"top")), tar(file("more", b"more"))
IMAGE = Image(layers=(BASE, TOP))
NEWER = Image(layers=(BASE, MORE))
HIDES = Image(layers=(BASE, tar(whiteout("base"))))
FIRST, SECOND = layer_ids([Digest.parse(each) for each in IMAGE.diff_ids])
SHORT = {layer: b32encode(bytes.fromhex(layer)).decode()[:12] for layer in (FIRST, SECOND)}

EACH_GENERATION = pytest.mark.parametrize("make", [layered, flat])
EACH_FORM = pytest.mark.parametrize("form", [*Form], ids=lambda form: form.value)


@frozen
class Plan:
    """What is planned for one store."""

    findings: Findings
    delta: Delta

    @property
    def adopted(self) -> list[list[str]]:
        return [[*map(str, image.listed.names)] for image in self.findings.images]

    @property
    def left(self) -> list[tuple[str, ...]]:
        return [image.names for image in self.findings.left]

    @property
    def passed_over(self) -> list[str]:
        return [image.subject for image in self.findings.passed_over]

    def records(self, index: str) -> list[dict[str, Any]]:
        (*_, step) = [step for step in self.delta if step.path == index]
        found: list[dict[str, Any]] = json.loads(content([step], index))
        return found


def planned(origin: Path, store: Store | None = None, form: Form = Form.DIRECT, *, copies: bool = False) -> Plan:
    store = store or Store.new("new", About(form=form))
    converter = Converter(Origin(origin, origin))
    findings = find(store, converter, AMD64)
    return Plan(findings, plan_adopt(store, findings, converter.measures, copies=copies))


@pytest.fixture
def planner(tmp_path: Path) -> Iterator[Planner]:
    """A store beside the converter's repository."""
    made = Planner(tmp_path / "store")
    yield made
    made.close()


BIG_DATA = {
    layered: [f"overlay-images/{IMAGE.id}/{config_file(IMAGE)}", f"overlay-images/{IMAGE.id}/manifest"],
    flat: [
        f"overlay-images/{IMAGE.id}/{config_file(IMAGE)}",
        f"overlay-images/{IMAGE.id}/={b64encode(f'manifest-{IMAGE.digest}'.encode()).decode()}",
        f"overlay-images/{IMAGE.id}/manifest",
    ],
}


@EACH_GENERATION
@pytest.mark.parametrize("copies", [False, True])
def test_the_steps_are_in_the_order_of_every_delta(tmp_path: Path, make: Callable[..., Path], *, copies: bool) -> None:
    assert lines(planned(make(tmp_path / "r", {APP: IMAGE}), copies=copies).delta) == [
        f"index {LAYERS_INDEX}",
        f"index {IMAGES_INDEX}",
        "file cstore.json",
        f"tree overlay/{FIRST}",
        f"tree overlay/{SECOND}",
        f"symlink overlay/l/{SHORT[FIRST]}",
        f"symlink overlay/l/{SHORT[SECOND]}",
        f"index {LAYERS_INDEX}",
        *(f"file {path}" for path in BIG_DATA[make]),
        f"index {IMAGES_INDEX}",
    ]


def test_so_they_are_in_the_sharded_form(tmp_path: Path) -> None:
    steps = lines(planned(flat(tmp_path / "r", {APP: IMAGE}), form=Form.SHARDED).delta)
    shards = sorted({FIRST[:2], SECOND[:2]})
    rooms = ["overlay", "overlay-images", "overlay-layers", *(f"pool/{shard}" for shard in shards)]
    assert steps[3 : 3 + len(rooms)] == [f"file {room}/.cvmfscatalog" for room in rooms]
    assert steps[3 + len(rooms) :][:4] == [
        f"tree pool/{FIRST[:2]}/{FIRST}",
        f"symlink overlay/{FIRST}",
        f"tree pool/{SECOND[:2]}/{SECOND}",
        f"symlink overlay/{SECOND}",
    ]


@EACH_FORM
def test_a_layer_leads_to_its_tree_where_that_lies(tmp_path: Path, form: Form) -> None:
    trees = [step for step in planned(layered(tmp_path / "r", {APP: IMAGE}), form=form).delta if isinstance(step, PutTree)]
    assert [step.leads_to for step in trees] == [str(tree_of(tmp_path / "r", IMAGE, number)) for number in (0, 1)]
    assert [(step.entries, step.size, step.special, step.directories) for step in trees] == [(1, 0, 0, ("empty",)), (1, 0, 0, ())]
    assert [dict(step.files) for step in trees] == [
        {"link": SHORT[FIRST].encode()},
        {"link": SHORT[SECOND].encode(), "lower": f"l/{SHORT[FIRST]}".encode(), "lower-layers": FIRST.encode()},
    ]


@EACH_FORM
def test_a_copy_has_what_a_publisher_must_know(tmp_path: Path, form: Form) -> None:
    big = Image(layers=(tar(*(file(f"{number}", b"12") for number in range(999))), tar(*(file(f"{number}") for number in range(998)))))
    trees = [step for step in planned(layered(tmp_path / "r", {APP: big}), form=form, copies=True).delta if isinstance(step, PutTree)]
    assert [(step.leads_to, step.entries, step.size) for step in trees] == [("", 1000, 1998), ("", 999, 0)]
    assert [".cvmfscatalog" in step.files for step in trees] == [form is Form.SHARDED, False]


def test_the_second_of_two_equal_diffs_in_a_chain_is_copied(tmp_path: Path) -> None:
    image = Image(layers=(BASE, tar(), TOP, tar(), BASE))
    trees = [step for step in planned(layered(tmp_path / "r", {APP: image})).delta if isinstance(step, PutTree)]
    assert [bool(step.leads_to) for step in trees] == [True, True, True, False, False]
    assert [step.entries for step in trees] == [1, 1, 1, 1, 2]


@EACH_GENERATION
def test_the_record_of_an_image(tmp_path: Path, make: Callable[..., Path]) -> None:
    (record,) = planned(make(tmp_path / "r", {APP: IMAGE})).records(IMAGES_INDEX)
    config, manifest = json_of(IMAGE.config), json_of(IMAGE.manifest)
    keys = {f"sha256:{IMAGE.id}": config, "manifest": manifest}
    if make is flat:
        assert record.pop("digest") == IMAGE.digest
        keys = {f"sha256:{IMAGE.id}": config, f"manifest-{IMAGE.digest}": manifest, "manifest": manifest}
    else:
        written = content(planned(make(tmp_path / "s", {APP: IMAGE})).delta, f"overlay-images/{IMAGE.id}/manifest")
        assert (json.loads(written), written != manifest) == (IMAGE.manifest, True), "written anew, so without a digest in the record"
        keys["manifest"] = written
    assert record == {
        "id": IMAGE.id,
        "names": [APP],
        "layer": SECOND,
        "big-data-names": list(keys),
        "big-data-sizes": {key: len(data) for key, data in keys.items()},
        "big-data-digests": {key: digest_of(data) for key, data in keys.items()},
        "created": CREATED,
    }


@pytest.mark.parametrize("copies", [False, True])
@EACH_GENERATION
def test_the_records_of_layers(tmp_path: Path, make: Callable[..., Path], *, copies: bool) -> None:
    records = planned(make(tmp_path / "r", {APP: IMAGE}), copies=copies).records(LAYERS_INDEX)
    users = {"uidset": [CONVERTER[0]], "gidset": [CONVERTER[1]]} if copies else {}
    assert records == [
        {
            "id": layer,
            **({"parent": FIRST} if layer == SECOND else {}),
            "created": CREATED,
            "compressed-diff-digest": digest_of(blob),
            "compressed-size": len(blob),
            "diff-digest": digest_of(tar),
            "diff-size": len(tar),
            "compression": 2,
            **users,
        }
        for layer, tar, blob in zip((FIRST, SECOND), IMAGE.layers, IMAGE.blobs, strict=True)
    ]


def test_layers_that_images_share_are_put_once(tmp_path: Path) -> None:
    plan = planned(layered(tmp_path / "r", {APP: IMAGE, OTHER: NEWER}))
    assert plan.adopted == [[APP], [OTHER]]
    assert len([step for step in plan.delta if isinstance(step, PutTree)]) == 3
    assert [record.get("parent") for record in plan.records(LAYERS_INDEX)] == [None, FIRST, FIRST]


class TestNames:
    """Who gets a name that several images claim."""

    def test_an_image_that_kept_the_name_of_a_newer_one_is_passed_over(self, tmp_path: Path) -> None:
        plan = planned(flat(tmp_path / "r", [(APP, IMAGE), (APP, NEWER)]))
        assert (plan.adopted, plan.passed_over, plan.left) == ([[APP]], [IMAGE.id], [])
        assert [record["id"] for record in plan.records(IMAGES_INDEX)] == [NEWER.id]

    def test_also_if_the_newer_one_cannot_be_adopted(self, tmp_path: Path) -> None:
        plan = planned(flat(tmp_path / "r", [(APP, IMAGE), (APP, HIDES)]))
        assert (plan.adopted, plan.passed_over, plan.left, plan.delta.steps) == ([], [IMAGE.id], [(APP,)], ())

    @pytest.mark.parametrize("order", [1, -1])
    def test_an_image_for_this_platform_comes_before_one_for_another(self, tmp_path: Path, order: int) -> None:
        images = [(APP, IMAGE), (APP, Image(layers=(BASE,), platform="linux/arm64/v8"))][::order]
        plan = planned(flat(tmp_path / "r", images))
        assert [record["id"] for record in plan.records(IMAGES_INDEX)] == [IMAGE.id]

    def test_no_image_loses_one_that_the_store_has(self, tmp_path: Path, planner: Planner) -> None:
        planner.do(planner.add(NEWER, APP))
        plan = planned(flat(tmp_path / "r", {APP: IMAGE, OTHER: Image(layers=(TOP,))}), planner.store)
        assert (plan.adopted, plan.passed_over) == ([[OTHER]], [IMAGE.id])
        assert [record["names"] for record in plan.records(IMAGES_INDEX)] == [[APP], [OTHER]]

    def test_a_name_that_was_never_one_is_left(self, tmp_path: Path) -> None:
        plan = planned(flat(tmp_path / "r", {APP: IMAGE}, Flaw.NO_TAG))
        assert plan.delta.steps == ()
        assert [(image.names, image.reason) for image in plan.findings.left] == [
            (("registry.example.org/team/app",), 'expected a name with a tag, found "registry.example.org/team/app"')
        ]

    @EACH_GENERATION
    def test_an_image_that_is_listed_twice_is_adopted_once(self, tmp_path: Path, make: Callable[..., Path]) -> None:
        assert planned(make(tmp_path / "r", {APP: IMAGE}, Flaw.TWO_RECORDS)).adopted == [[APP]]


class TestWhatIsThere:
    """Adopting into a store that has some of it."""

    @EACH_FORM
    @pytest.mark.parametrize("copies", [False, True])
    def test_with_all_of_it_nothing_is_done(self, tmp_path: Path, form: Form, *, copies: bool) -> None:
        planner = Planner(tmp_path / "store", form)
        planner.do(planner.add(IMAGE, APP))
        plan = planned(layered(tmp_path / "r", {APP: IMAGE}), planner.store, copies=copies)
        planner.close()
        assert (plan.delta.steps, plan.adopted, plan.left) == ((), [], [])
        assert [image.said for image in plan.findings.there] == [(APP,)]

    def test_an_image_that_was_converted_anew_is_no_longer_left(self, tmp_path: Path, planner: Planner) -> None:
        origin = layered(tmp_path / "r", {APP: HIDES})
        assert planned(origin).left == [(APP,)]
        planner.do(planner.add(HIDES, APP))
        plan = planned(origin, planner.store)
        assert (plan.delta.steps, plan.left, [image.said for image in plan.findings.there]) == ((), [], [(APP,)])

    def test_an_image_gets_the_names_that_it_lacks(self, tmp_path: Path, planner: Planner) -> None:
        planner.do(planner.add(IMAGE, OTHER))
        plan = planned(layered(tmp_path / "r", {APP: IMAGE}), planner.store)
        assert lines(plan.delta) == [f"index {IMAGES_INDEX}"]
        (record,) = plan.records(IMAGES_INDEX)
        assert (record["names"], record["digest"]) == ([APP, OTHER], IMAGE.digest)
        assert [image.said for image in plan.findings.renamed] == [(APP,)]

    def test_layers_build_on_those_that_the_store_has(self, tmp_path: Path, planner: Planner) -> None:
        planner.do(planner.add(NEWER, OTHER))
        plan = planned(layered(tmp_path / "r", {APP: IMAGE}), planner.store)
        (step,) = [step for step in plan.delta if isinstance(step, PutTree)]
        assert step.path == f"overlay/{SECOND}"
        assert step.files["lower"] == f"l/{planner.store.link(FIRST)}".encode()

    def test_a_layer_that_was_retired_no_longer_is(self, tmp_path: Path, planner: Planner) -> None:
        planner.do(planner.add(NEWER, OTHER))
        planner.do(drop(OTHER))
        assert len(planner.store.about.retired) == 2
        plan = planned(layered(tmp_path / "r", {APP: IMAGE}), planner.store)
        retired = json.loads(content(plan.delta, "cstore.json"))["retired"]
        (left,) = retired.values()
        assert (FIRST in retired, dt.date.fromisoformat(left)) == (False, planner.today)

    def test_other_names_of_the_store_stay(self, tmp_path: Path, planner: Planner) -> None:
        planner.do(planner.add(NEWER, OTHER))
        planner.do(tag(OTHER, "registry.example.org/team/another:1"))
        before = planner.store.images.raw(NEWER.id)
        plan = planned(layered(tmp_path / "r", {APP: IMAGE}), planner.store)
        assert before is not None
        assert before in content(plan.delta, IMAGES_INDEX)


def test_nothing_to_adopt_makes_no_store(tmp_path: Path) -> None:
    plan = planned(layered(tmp_path / "r", {APP: HIDES}))
    assert (plan.delta.steps, plan.left) == ((), [(APP,)])


def test_an_image_without_layers(tmp_path: Path) -> None:
    plan = planned(layered(tmp_path / "r", {APP: Image()}))
    (record,) = plan.records(IMAGES_INDEX)
    assert (plan.adopted, "layer" in record) == ([[APP]], False)


def test_the_same_images_give_the_same_delta(tmp_path: Path) -> None:
    origin = layered(tmp_path / "r", {APP: IMAGE, OTHER: NEWER})
    one, two = planned(origin).delta, planned(origin).delta
    assert lines(one) == lines(two)
    assert [content(one, path) for path in BIG_DATA[layered]] == [content(two, path) for path in BIG_DATA[layered]]
