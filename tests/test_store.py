from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import FormatError, NotFoundError, StoreError
from cstore.model.about import About
from cstore.model.chain import LayerID
from cstore.model.layout import Form
from cstore.store import Store
from tests.images import digest_of, json_of

if TYPE_CHECKING:
    from pathlib import Path

TIME = "2023-11-14T22:13:20Z"
BASE, MIDDLE, TOP, ALONE = (letter * 64 for letter in "abcd")
ONE, TWO = "1" * 64, "12345" + "2" * 59
SHA = "sha256:" + "5" * 64
INDEX = "sha256:" + "6" * 64

LAYERS: list[dict[str, Any]] = [
    {"id": BASE, "created": TIME, "new": 1},
    {"id": MIDDLE, "parent": BASE, "created": TIME},
    {"id": TOP, "parent": MIDDLE, "created": TIME},
    {"id": ALONE, "created": TIME},
]
IMAGES: list[dict[str, Any]] = [
    {
        "id": ONE,
        "digest": SHA,
        "names": ["example.org/a:1", "docker.io/library/b:latest"],
        "names-history": ["example.org/c:1"],
        "layer": TOP,
        "created": TIME,
    },
    {
        "id": TWO,
        "names": ["no longer:a name", "example.org/c:1"],
        "layer": ALONE,
        "names-history": ["example.org/a:1"],
        "big-data-digests": {f"manifest-{INDEX}": INDEX, SHA: SHA},
        "created": TIME,
    },
    {"id": "12346" + "3" * 59, "created": TIME},
]


def write(root: Path, layers: object = LAYERS, images: object = IMAGES, about: object = None) -> Path:
    """Write the small files of a store of another writer."""
    files = {"overlay-layers/layers.json": layers, "overlay-images/images.json": images, "cstore.json": about}
    for name, value in files.items():
        if value is not None:
            (root / name).parent.mkdir(exist_ok=True, parents=True)
            (root / name).write_bytes(value if isinstance(value, bytes) else json_of(value))
    return root


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(write(tmp_path))


def test_a_store_of_another_writer_is_direct_and_has_nothing_retired(store: Store) -> None:
    assert (store.about, store.has_about, store.is_new) == (About(), False, False)
    assert store.layout.form is Form.DIRECT
    assert [record.id for record in store.all_layers()] == [BASE, MIDDLE, TOP, ALONE]
    assert [record.id for record in store.all_images()] == [image["id"] for image in IMAGES]


def test_what_a_store_says_of_itself(tmp_path: Path) -> None:
    store = Store.open(str(write(tmp_path, about={"version": 1, "layout": "sharded", "retired": {TOP: "2026-01-02"}})))
    assert (store.has_about, store.layout.form, list(store.about.retired)) == (True, Form.SHARDED, [TOP])


def test_a_store_that_is_still_to_be_made(tmp_path: Path) -> None:
    store = Store.new(tmp_path / "none", About(form=Form.SHARDED))
    assert (store.is_new, store.has_about, store.layout.form) == (True, False, Form.SHARDED)
    assert ([*store.all_images()], [*store.all_layers()]) == ([], [])
    assert not (tmp_path / "none").exists()


def test_a_reading_stays_as_it_was(store: Store) -> None:
    write(store.root, [], [])
    assert store.image(ONE).id == ONE
    assert list(Store.open(store.root).all_images()) == []


@pytest.mark.parametrize("name", ["overlay-layers/layers.json", "overlay-images/images.json", "overlay-images/images.lock", "cstore.json"])
def test_a_reading_is_current_until_a_small_file_is_replaced(tmp_path: Path, name: str) -> None:
    write(tmp_path, about={"version": 1, "layout": "direct"})
    (tmp_path / "overlay-images/images.lock").write_bytes(bytes(64))
    store = Store.open(tmp_path)
    assert store.is_current()
    (tmp_path / "new").write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "new").rename(tmp_path / name)
    assert not store.is_current()
    assert Store.open(tmp_path).is_current()


def test_a_store_that_is_still_to_be_made_is_never_current(tmp_path: Path) -> None:
    assert not Store.new(tmp_path, About()).is_current()


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        pytest.param({"layers": b""}, "layers.json: expected JSON, found an empty file (", id="an empty layers.json"),
        pytest.param({"images": b"[]x"}, "images.json: expected JSON, found 3 bytes that are none (", id="a damaged images.json"),
        pytest.param({"images": {}}, "images.json: expected an array, found an object", id="another images.json"),
        pytest.param({"about": b"x"}, "cstore.json: expected JSON, found 1 bytes that are none (", id="a damaged cstore.json"),
        pytest.param({"about": {"version": 2}}, "cstore.json.version: expected 1, found 2: a newer cstore wrote this store", id="newer"),
    ],
)
def test_a_damaged_store_is_an_error(tmp_path: Path, parts: dict[str, object], sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        Store.open(write(tmp_path, **parts))
    assert str(error.value).startswith(sentence)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as error:
        Store.open(tmp_path)
    assert str(error.value) == f"{tmp_path}: expected an image store, found a directory without overlay-images/images.json"
    with pytest.raises(StoreError) as error:
        Store.open("cvmfs://a.b")
    assert str(error.value) == "cvmfs://a.b: expected the directory of a store, found a location of the kind cvmfs://"


@pytest.mark.parametrize(
    ("wanted", "image"),
    [
        pytest.param("example.org/a:1", ONE, id="name"),
        pytest.param("b", ONE, id="short name"),
        pytest.param("registry.hub.docker.com/library/b", ONE, id="name by an alias"),
        pytest.param("example.org/c:1", TWO, id="name of another image"),
        pytest.param(f"example.org/a@{SHA}", ONE, id="repository and digest"),
        pytest.param(f"docker.io/library/b@{SHA}", ONE, id="another of its repositories and digest"),
        pytest.param(f"example.org/c@{INDEX}", TWO, id="repository and digest of an image index"),
        pytest.param(ONE, ONE, id="ID"),
        pytest.param("111111", ONE, id="beginning of an ID"),
        pytest.param("123452", TWO, id="beginning of another ID"),
    ],
)
def test_how_an_image_is_found(store: Store, wanted: str, image: str) -> None:
    assert store.image(wanted).id == image


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param("example.org/a:2", id="no such tag"),
        pytest.param("example.org/a", id="no tag latest"),
        pytest.param(f"example.org/x@{SHA}", id="digest in another repository"),
        pytest.param(f"example.org/c@{SHA}", id="digest of a config"),
        pytest.param(f"example.org/a@sha256:{'0' * 64}", id="no such digest"),
        pytest.param("11111", id="beginning of an ID, too short"),
        pytest.param("111112", id="no such beginning"),
        pytest.param("11111111111111111G", id="no hex"),
        pytest.param("A B", id="no name"),
        pytest.param("", id="empty"),
    ],
)
def test_an_image_that_is_not_there(store: Store, wanted: str) -> None:
    with pytest.raises(NotFoundError) as error:
        store.image(wanted)
    assert str(error.value) == f'{store.root}: expected an image "{wanted}", found none'


def test_the_beginning_of_several_ids(tmp_path: Path) -> None:
    images = [{"id": f"abcdef{number}" + "0" * 57, "created": TIME} for number in range(3)]
    with pytest.raises(NotFoundError) as error:
        Store.open(write(tmp_path, images=images)).image("abcdef")
    assert str(error.value) == f'{tmp_path}: expected one image whose ID begins with "abcdef", found 3'


def test_who_has_a_name(store: Store) -> None:
    holder = store.holder("no longer:a name")
    assert holder is not None
    assert holder.id == TWO
    assert store.holder("b") is None
    assert store.named("no longer:a name") is None
    named = store.named("b")
    assert named is not None
    assert named.id == ONE


def test_malformed_records_are_named_when_they_are_read(tmp_path: Path) -> None:
    store = Store.open(write(tmp_path, layers=[LAYERS[0], {"id": TOP, "parent": "x"}], images=[{"id": ONE, "names": [1]}]))
    assert store.layer(LayerID(BASE)) is not None
    with pytest.raises(FormatError, match=r'^layers\[1\]\.parent: expected an ID of 64 hexadecimal digits, found "x"$'):
        store.layer(LayerID(TOP))
    with pytest.raises(FormatError, match=r"^images\[0\]\.names\[0\]: expected text, found 1$"):
        store.image(ONE)
    with pytest.raises(FormatError, match=r"^images\[0\]\.names\[0\]: expected text, found 1$"):
        list(store.all_images())


def test_a_layer_and_all_below_it(store: Store) -> None:
    assert [record.id for record in store.chain(LayerID(TOP))] == [BASE, MIDDLE, TOP]
    assert [record.id for record in store.chain(LayerID(BASE))] == [BASE]
    assert store.chain(None) == ()
    assert store.layer(LayerID("e" * 64)) is None


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        pytest.param(
            LAYERS[1:], f"layers[{BASE}]: expected a chain of layers that ends, found a layer without record", id="a layer is missing"
        ),
        pytest.param(
            [{**LAYERS[0], "parent": TOP}, *LAYERS[1:]], "layers[2]: expected a chain of layers that ends, found a loop", id="a loop"
        ),
        pytest.param([], f"layers[{TOP}]: expected a chain of layers that ends, found a layer without record", id="all are missing"),
        pytest.param([{**LAYERS[2], "parent": TOP}], "layers[0]: expected a chain of layers that ends, found a loop", id="its own parent"),
    ],
)
def test_a_chain_that_does_not_end(tmp_path: Path, layers: object, sentence: str) -> None:
    with pytest.raises(FormatError) as error:
        Store.open(write(tmp_path, layers=layers)).chain(LayerID(TOP))
    assert str(error.value) == sentence


def test_records_are_the_bytes_of_the_index(store: Store) -> None:
    data = (store.root / "overlay-layers/layers.json").read_bytes()
    assert (store.layers.data, digest_of(store.layers.data)) == (data, digest_of(json.dumps(LAYERS).encode()))
