"""What a store tells of its files: links, tar-splits, catalogs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.errors import FormatError
from cstore.model.about import About
from cstore.model.chain import LayerID
from cstore.model.layout import Form, link_candidates
from cstore.store import Store
from tests.images import json_of

if TYPE_CHECKING:
    from pathlib import Path

BASE, TOP, NEW = LayerID("a" * 64), LayerID("b" * 64), LayerID("c" * 64)
TIME = "2023-11-14T22:13:20Z"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two layers, with links as podman makes them."""
    for room in ("overlay/l", "overlay-layers", "overlay-images"):
        (tmp_path / room).mkdir(parents=True)
    layers = [{"id": BASE, "created": TIME}, {"id": TOP, "parent": BASE, "created": TIME}]
    (tmp_path / "overlay-layers/layers.json").write_bytes(json_of(layers))
    (tmp_path / "overlay-images/images.json").write_bytes(b"[]")
    put_layer(tmp_path, BASE, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    put_layer(tmp_path, TOP, "short")
    return tmp_path


def put_layer(root: Path, layer: str, link: str) -> None:
    (root / "overlay" / layer).mkdir()
    (root / "overlay" / layer / "link").write_text(link)
    (root / "overlay" / "l" / link).symlink_to(f"../{layer}/diff")


def test_the_link_of_a_layer_is_read_once(root: Path) -> None:
    store = Store.open(root)
    assert store.link(TOP) == "short"
    (root / "overlay" / TOP / "link").unlink()
    assert store.link(TOP) == "short"


def test_the_link_of_a_layer_is_read_again_by_a_reading_that_looks_anew(root: Path) -> None:
    store = Store.open(root)
    assert store.link(TOP) == "short"
    (root / "overlay" / TOP / "link").write_text("other")
    assert store.looked_at_anew().link(TOP) == "other"
    assert store.is_current()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "expected the link of a layer, found none", id="none"),
        pytest.param(b"\xff", "expected the link of a layer, found none", id="no UTF-8"),
        pytest.param(b"", 'expected a link, found ""', id="empty"),
        pytest.param(b"../../x", 'expected a link, found "../../x"', id="a path"),
        pytest.param(b"x" * 5000, "expected the link of a layer, found none", id="long"),
    ],
)
def test_a_link_that_no_reader_could_use(root: Path, content: bytes | None, said: str) -> None:
    place = root / "overlay" / TOP / "link"
    place.unlink()
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(FormatError) as error:
        Store.open(root).link(TOP)
    assert str(error.value) == f"{place}: {said}"


def test_a_new_layer_gets_the_first_candidate_and_those_below_keep_theirs(root: Path) -> None:
    first, *_ = link_candidates(NEW)
    ground = Store.open(root).ground({NEW: TOP})
    assert ground.links == {BASE: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", TOP: "short", NEW: first}
    assert ground.catalogs == frozenset()


def test_only_what_lies_below_a_new_layer_is_read(root: Path) -> None:
    (root / "overlay" / TOP / "link").unlink()
    first, *_ = link_candidates(NEW)
    assert Store.open(root).ground({NEW: BASE}).links == {BASE: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", NEW: first}
    assert Store.open(root).ground({NEW: None}).links == {NEW: first}
    with pytest.raises(FormatError, match=f"^{root}/overlay/{TOP}/link: expected the link of a layer, found none$"):
        Store.open(root).ground({NEW: TOP})


def test_a_new_layer_on_a_new_layer(root: Path) -> None:
    other = LayerID("d" * 64)
    ground = Store.open(root).ground({NEW: TOP, other: NEW})
    assert list(ground.links) == [BASE, TOP, NEW, other]


@pytest.mark.parametrize("common", [15, 20, 40, 63])
def test_links_of_new_layers_that_would_collide_are_longer(tmp_path: Path, common: int) -> None:
    one, other = (LayerID("e" * common + digit * (64 - common)) for digit in "07")
    links = Store.new(tmp_path / "none", About()).ground({one: None, other: None}).links
    assert links[one] == next(iter(link_candidates(one)))
    assert links[one] != links[other]
    assert links[other].startswith(links[one])
    shorter = [link for link in link_candidates(other) if len(link) < len(links[other])]
    assert all(link in (links[one], *link_candidates(one)) for link in shorter)


def test_a_link_that_another_layer_of_the_store_has_is_not_taken(root: Path) -> None:
    first, second, *_ = link_candidates(NEW)
    (root / "overlay" / "l" / first).symlink_to(f"../{BASE}/diff")
    assert Store.open(root).ground({NEW: None}).links[NEW] == second


def test_its_own_link_left_by_an_interrupted_run_is_taken_again(root: Path) -> None:
    first, *_ = link_candidates(NEW)
    (root / "overlay" / "l" / first).symlink_to(f"../{NEW}/diff")
    assert Store.open(root).ground({NEW: None}).links[NEW] == first


def test_a_layer_below_without_record(root: Path) -> None:
    missing = LayerID("f" * 64)
    with pytest.raises(FormatError) as error:
        Store.open(root).ground({NEW: missing})
    assert str(error.value) == f"layers[{missing}]: expected a chain of layers that ends, found a layer without record"


def test_the_catalogs_that_are_there_of_those_that_are_needed(root: Path) -> None:
    (root / "cstore.json").write_bytes(json_of(About(form=Form.SHARDED).to_dict()))
    (root / "pool" / "cc").mkdir(parents=True)
    for room in ("overlay", "pool/cc", "overlay-layers"):
        (root / room / ".cvmfscatalog").touch()
    ground = Store.open(root).ground({NEW: None})
    assert ground.catalogs == {"overlay/.cvmfscatalog", "pool/cc/.cvmfscatalog", "overlay-layers/.cvmfscatalog"}
    assert "pool/cc/.cvmfscatalog" not in Store.open(root).ground({LayerID("d" * 64): None}).catalogs


def test_tar_splits_and_other_files(root: Path) -> None:
    (root / f"overlay-layers/{TOP}.tar-split.gz").write_bytes(b"split")
    store = Store.open(root)
    opened = store.tar_split(TOP)
    assert opened is not None
    with opened:
        assert opened.read() == b"split"
    assert store.tar_split(BASE) is None
    assert store.has("overlay/l/short")
    assert not store.has("cstore.json")
