from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from cstore.comparison import ChangedRecord, Differences, ImageName, MovedName, Names, Records, Retirement, compare
from cstore.errors import FormatError
from cstore.index.index import Index
from cstore.index.lock import announcement
from cstore.model.about import About
from cstore.model.chain import parse_layer_id
from cstore.model.layout import Form
from cstore.publish.batch import publishing
from cstore.store import Store
from tests.publish.stores import DAY, IMAGES, NEW, OLD, TOOL, copy, sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Record = dict[str, Any]

ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)


def own(name: str, records: Sequence[Record]) -> Index:
    """Return an index in the own form."""
    return Index.empty(name).edited({}, [orjson.dumps(record) for record in records])


def written(name: str, records: Sequence[Record]) -> Index:
    """Return an index as another writer has it: on many lines, the members in another order."""
    turned = [dict(reversed(record.items())) for record in records]
    return Index.read(name, orjson.dumps(turned, option=orjson.OPT_INDENT_2))


def holding(root: Path, images: Index, layers: Index, about: About | None = None) -> Store:
    return Store(root=root, images=images, layers=layers, about=about or About(), has_about=True)


def images(root: Path, *records: Record) -> Store:
    return holding(root, own("images", records), Index.empty("layers"))


def layers(root: Path, *records: Record) -> Store:
    return holding(root, Index.empty("images"), own("layers", records))


NAMED = {
    "nothing": ({}, {}, Names()),
    "the same": ({ONE: ["a", "b"]}, {ONE: ["a", "b"]}, Names()),
    "added to an image": ({ONE: ["a"]}, {ONE: ["b", "a"]}, Names(added=(ImageName(name="b", image=ONE),))),
    "added with its image": ({}, {ONE: ["a"]}, Names(added=(ImageName(name="a", image=ONE),))),
    "removed": ({ONE: ["a", "b"]}, {ONE: ["b"]}, Names(removed=(ImageName(name="a", image=ONE),))),
    "removed with its image": ({ONE: ["a"]}, {}, Names(removed=(ImageName(name="a", image=ONE),))),
    "moved": ({ONE: ["a"], TWO: ["b"]}, {ONE: [], TWO: ["a", "b"]}, Names(moved=(MovedName(name="a", before=ONE, after=TWO),))),
    "moved to a new image": ({ONE: ["a"]}, {TWO: ["a"]}, Names(moved=(MovedName(name="a", before=ONE, after=TWO),))),
    "in another order": ({ONE: ["a", "b"]}, {ONE: ["b", "a"]}, Names()),
    "twice in one image": ({ONE: ["a", "a"]}, {ONE: ["a"]}, Names()),
    "all kinds": (
        {ONE: ["c", "b"], TWO: ["a"]},
        {ONE: ["d", "c"], TWO: [], THREE: ["a"]},
        Names(
            added=(ImageName(name="d", image=ONE),),
            removed=(ImageName(name="b", image=ONE),),
            moved=(MovedName(name="a", before=TWO, after=THREE),),
        ),
    ),
    "one of two images loses it": ({ONE: ["a"], TWO: ["a"]}, {ONE: ["a"], TWO: []}, Names(removed=(ImageName(name="a", image=TWO),))),
    "a second image gets it": ({ONE: ["a"]}, {ONE: ["a"], TWO: ["a"]}, Names(added=(ImageName(name="a", image=TWO),))),
    "two images lose it to a third": (
        {ONE: ["a"], TWO: ["a"]},
        {THREE: ["a"]},
        Names(moved=(MovedName(name="a", before=ONE, after=THREE),), removed=(ImageName(name="a", image=TWO),)),
    ),
    "of no text": ({ONE: [1, None]}, {ONE: "a"}, Names()),
}


@pytest.mark.parametrize(("before", "after", "names"), NAMED.values(), ids=NAMED)
def test_names(tmp_path: Path, before: Mapping[str, Any], after: Mapping[str, Any], names: Names) -> None:
    was = images(tmp_path, *({"id": key, "names": value} for key, value in before.items()))
    now = images(tmp_path, *({"id": key, "names": value} for key, value in after.items()))
    assert compare(was, now).names == names


MEMBERS = {
    "the same": ({"x": 1}, {"x": 1}, ()),
    "another value": ({"metadata": "{}"}, {"metadata": "1"}, ("metadata",)),
    "a new member": ({}, {"digest": "sha256:1"}, ("digest",)),
    "a member less": ({"digest": "sha256:1"}, {}, ("digest",)),
    "several, in order": ({"b": 1, "a": 1, "c": 1}, {"b": 2, "c": 1, "d": 1}, ("a", "b", "d")),
    "an unknown one": ({"later": {"x": [1]}}, {"later": {"x": [2]}}, ("later",)),
    "an empty one": ({}, {"names": [], "metadata": "", "flags": {}, "size": 0, "x": None}, ()),
    "in another order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ()),
    "a map in another order": ({"m": {"a": 1, "b": 2}}, {"m": {"b": 2, "a": 1}}, ()),
    "a list in another order": ({"names": ["a", "b"]}, {"names": ["b", "a"]}, ("names",)),
    "a longer list": ({"names": ["a"]}, {"names": ["a", "b"]}, ("names",)),
    "true is not 1": ({"flags": {"x": True}}, {"flags": {"x": 1}}, ("flags",)),
    "1 is not 1.0": ({"x": 1}, {"x": 1.0}, ("x",)),
    "a list is no map": ({"x": [1]}, {"x": {"0": 1}}, ("x",)),
}


@pytest.mark.parametrize("kind", ["images", "layers"])
@pytest.mark.parametrize("forms", [(own, own), (own, written), (written, own), (written, written)], ids=["own", "left", "right", "other"])
@pytest.mark.parametrize("case", MEMBERS.values(), ids=MEMBERS)
def test_members(tmp_path: Path, kind: str, forms: tuple[Any, Any], case: tuple[Record, Record, tuple[str, ...]]) -> None:
    (read, again), (before, after, members) = forms, case
    there = Index.empty("images" if kind == "layers" else "layers")
    was, now = read(kind, [{"id": ONE, **before}, {"id": TWO}]), again(kind, [{"id": ONE, **after}, {"id": TWO}])
    stores = [holding(tmp_path, *((index, there) if kind == "images" else (there, index))) for index in (was, now)]
    differences = compare(*stores)
    assert getattr(differences, kind) == Records(changed=(ChangedRecord(id=ONE, members=members),) if members else ())
    assert getattr(differences, there.name) == Records()


def test_records_come_and_go(tmp_path: Path) -> None:
    differences = compare(layers(tmp_path, {"id": THREE}, {"id": ONE}), layers(tmp_path, {"id": TWO}, {"id": THREE}, {"id": "0" * 64}))
    assert differences == Differences(layers=Records(added=("0" * 64, TWO), removed=(ONE,)))


def test_the_order_of_records_does_not_count(tmp_path: Path) -> None:
    assert not compare(layers(tmp_path, {"id": ONE}, {"id": TWO}), layers(tmp_path, {"id": TWO}, {"id": ONE}))


def test_the_form_and_the_retired_layers(tmp_path: Path) -> None:
    one, two, three, four = (parse_layer_id(digit * 64, "id") for digit in "1234")
    later = dt.date(2026, 2, 1)
    was = About(form=Form.DIRECT, retired={four: DAY, one: DAY, three: DAY})
    now = About(form=Form.SHARDED, retired={two: DAY, one: later, three: DAY})
    empty = Index.empty("images"), Index.empty("layers")
    assert compare(holding(tmp_path, *empty, was), holding(tmp_path, *empty, now)) == Differences(
        form=(Form.DIRECT, Form.SHARDED),
        retired=(
            Retirement(layer=one, before=DAY, after=later),
            Retirement(layer=two, before=None, after=DAY),
            Retirement(layer=four, before=DAY, after=None),
        ),
    )


@pytest.mark.parametrize(
    "differences",
    [
        Differences(names=Names(added=(ImageName(name="a", image=ONE),))),
        Differences(names=Names(removed=(ImageName(name="a", image=ONE),))),
        Differences(names=Names(moved=(MovedName(name="a", before=ONE, after=TWO),))),
        Differences(images=Records(added=(ONE,))),
        Differences(images=Records(removed=(ONE,))),
        Differences(layers=Records(changed=(ChangedRecord(id=ONE, members=("x",)),))),
        Differences(form=(Form.DIRECT, Form.SHARDED)),
        Differences(retired=(Retirement(layer=parse_layer_id(ONE, "id"), before=None, after=DAY),)),
    ],
)
def test_anything_that_differs_counts(differences: Differences) -> None:
    assert differences
    assert not Differences()
    assert hash(differences) != hash(Differences())


def test_one_store_at_two_moments(tmp_path: Path) -> None:
    made = sources(tmp_path / "images")
    root = tmp_path / "store"
    with publishing(root, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
        batch.add(made["new"], name=NEW)
    was = Store.open(root)
    copy(root, tmp_path / "copy")
    with publishing(root, today=DAY) as batch:
        batch.add(made["tool"], name=OLD)
        batch.remove(NEW)
    old, new, tool = (IMAGES[tag].id for tag in ("old", "new", "tool"))
    now = Store.open(root)
    differences = compare(was, now)
    assert differences.names == Names(
        removed=(ImageName(name=NEW, image=new),),
        moved=(MovedName(name=OLD, before=old, after=tool),),
    )
    assert differences.images == Records(added=(tool,), removed=tuple(sorted((old, new))))
    assert differences.layers == Records()
    assert [(item.before, item.after) for item in differences.retired] == [(None, DAY)] * 2
    assert compare(Store.open(tmp_path / "copy"), now) == differences
    assert not compare(now, Store.open(root))
    back = compare(now, was)
    assert (back.images.added, back.images.removed) == (differences.images.removed, differences.images.added)
    assert back.names.moved == (MovedName(name=OLD, before=tool, after=old),)
    assert TOOL not in str(differences)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b'[\n{"id":1}\n]\n', "images.json: expected objects with an ID, found an object", id="no ID"),
        pytest.param(b"[\n5\n]\n", "images.json: expected objects with an ID, found 5", id="no object"),
        pytest.param(b"[\nx\n]\n", "images.json: expected JSON, found 1 bytes that are none", id="no JSON"),
    ],
)
def test_an_index_that_its_lock_calls_sound_and_is_not(tmp_path: Path, data: bytes, said: str) -> None:
    index = Index.read("images", data, announcement(data, own=True))
    with pytest.raises(FormatError) as caught:
        compare(images(tmp_path), holding(tmp_path, index, Index.empty("layers")))
    assert str(caught.value).startswith(said)


def test_a_record_of_too_many_levels_is_an_error(tmp_path: Path) -> None:
    deep = [b'{"id":"%s","x":%s%d%s}' % (ONE.encode(), b"[" * 990, number, b"]" * 990) for number in (1, 2)]
    stores = [holding(tmp_path, Index.empty("images"), Index.empty("layers").edited({}, [record])) for record in deep]
    with pytest.raises(FormatError) as caught:
        compare(*stores)
    assert str(caught.value) == f"{tmp_path}: expected records of fewer levels"


def test_what_did_not_change_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def count(data: bytes, _at: str) -> object:
        decoded.append(data)
        return orjson.loads(data)

    monkeypatch.setattr("cstore.comparison.decode", count)
    records = [{"id": f"{number:064x}", "diff-size": number} for number in range(1000)]
    changed = [*records[:-1], {**records[-1], "diff-size": 1}]
    assert len(compare(layers(tmp_path, *records), layers(tmp_path, *changed)).layers.changed) == 1
    assert len(decoded) == 2


def test_large_stores_are_compared_in_seconds(tmp_path: Path) -> None:
    """10,000 images and 80,000 layers, of which all, a few or none differ; far slower would be quadratic."""
    images = [{"id": f"{number:064x}", "names": [f"example.org/image:{number}"], "layer": f"{number:064x}"} for number in range(10_000)]
    layers = [{"id": f"{number:064x}", "diff-digest": f"sha256:{number:064x}", "diff-size": number} for number in range(80_000)]
    was = holding(tmp_path, own("images", images), own("layers", layers))
    moved = [{**record, "names": [f"example.org/image:{number + 5000}"]} for number, record in enumerate(images)]
    grown = [{**record, "diff-size": 1_000_000} for record in layers]
    begin = time.monotonic()
    assert not compare(was, holding(tmp_path, was.images, was.layers))
    few = compare(was, holding(tmp_path, own("images", images[1:]), own("layers", layers[:-1])))
    assert (len(few.images.removed), len(few.layers.removed)) == (1, 1)
    all_of_them = compare(was, holding(tmp_path, own("images", moved), own("layers", grown)))
    assert (len(all_of_them.names.moved), len(all_of_them.names.added), len(all_of_them.layers.changed)) == (5000, 5000, 80_000)
    assert time.monotonic() - begin < 30
