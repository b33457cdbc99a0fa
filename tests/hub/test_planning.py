from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.delta import Delta, PutTree
from cstore.errors import StoreError
from cstore.hub.layout import HubLayout, flat_at, layerfs_at
from cstore.hub.planning import HubChange, Offered, plan_hub
from cstore.hub.reading import HubReading
from cstore.layer.entry import Entry, Kind
from cstore.model.chain import ImageID
from cstore.model.digest import Digest
from cstore.model.offer import ALL_OFFERS, Offer
from cstore.model.platform import Platform
from cstore.model.remote import RemoteName
from cstore.publish.directory import apply
from cstore.publish.hub import DirectoryHub
from tests.stores import lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NAME = RemoteName.parse("example.org/atlas/a:1")
USUAL, ARM = HubLayout(Platform.parse("linux/amd64")), HubLayout(Platform.parse("linux/arm64"))
ONE, TWO = ImageID("11" * 32), ImageID("22" * 32)
BLOB = Digest("sha256", "ab" * 32)
TREE = "podmanStore/pool/cd/cdef/diff"
TREES = frozenset([Offer.LAYERS, Offer.FLAT])
DAY = dt.date(2026, 11, 24)
GRACE = dt.timedelta(days=14)


class Empty:
    """A tree of nothing but its top directory."""

    whiteouts = 0

    def walk(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        yield Entry(b"", Kind.DIRECTORY, 0o755, 0, 0, 0), iter(())


def tree(inside: str, path: str) -> PutTree:
    return PutTree(path=path, tree=Empty(), files={}, directories=(), entries=1, size=0, inside=inside)


def offered(  # noqa: PLR0913 - keywords
    image: ImageID = ONE,
    name: RemoteName = NAME,
    *,
    layout: HubLayout = USUAL,
    offers: frozenset[Offer] = ALL_OFFERS,
    layers: tuple[tuple[Digest, str], ...] = ((BLOB, TREE),),
    index: bytes | None = None,
) -> Offered:
    return Offered(name=name, layout=layout, offers=offers, image=image, manifest=image[:9].encode(), index=index, layers=layers)


def change(
    *offers: Offered,
    removed: Sequence[str] = (),
    day: dt.date = DAY,
    has_catalogs: bool = False,
    status: bytes | None = None,
) -> HubChange:
    return HubChange(
        offered=offers,
        removed=removed,
        flats={ONE: partial(tree, ""), TWO: partial(tree, "")},
        trees={BLOB: partial(tree, "layerfs")},
        day=day,
        grace=GRACE,
        has_catalogs=has_catalogs,
        status=status,
    )


def do(root: Path, wanted: HubChange) -> list[str]:
    """Carry out a change as a hub in a directory does, see that nothing is left to do, and return its steps."""
    beside = plan_hub(HubReading(root), wanted)
    for part in (beside.before, beside.after):
        apply(part, root)
    assert planned(root, wanted) == []
    return lines(beside.around(Delta()))


def planned(root: Path, wanted: HubChange, *, also: bool = False) -> list[str]:
    return lines(plan_hub(HubReading(root), wanted, also=also).around(Delta()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A hub in which a store has one layer."""
    root = tmp_path / "hub"
    (root / TREE).mkdir(parents=True)
    return root


def test_an_image_is_offered_to_all_readers_names_after_trees_and_documents_last(root: Path) -> None:
    steps = do(root, change(offered(index=b"index"), status=b"{}"))
    assert steps == [
        f"tree .flat/11/{ONE}",
        f"symlink .layers/ab/{BLOB.hex}/layerfs",
        "symlink example.org/atlas/a:1",
        "file .metadata/example.org/atlas/a:1/index.json",
        "file .metadata/example.org/atlas/a:1/manifest.json",
        "file status.json",
    ]
    assert (root / f".layers/ab/{BLOB.hex}/layerfs").resolve() == root / TREE
    assert (root / "example.org/atlas/a:1").resolve() == root / flat_at(ONE)


def test_another_platform_has_names_of_its_own(root: Path) -> None:
    steps = do(root, change(offered(layout=ARM, layers=())))
    assert steps[1:] == [
        "symlink .multiarch/arm64/example.org/atlas/a:1",
        "file .metadata/.multiarch/arm64/example.org/atlas/a:1/manifest.json",
    ]
    assert (root / ".multiarch/arm64/example.org/atlas/a:1").resolve() == root / flat_at(ONE)


@pytest.mark.parametrize(
    ("offer", "steps"),
    [
        (Offer.PODMAN, []),
        (Offer.LAYERS, [f"symlink .layers/ab/{BLOB.hex}/layerfs"]),
        (Offer.FLAT, [f"tree .flat/11/{ONE}", "symlink example.org/atlas/a:1"]),
        (Offer.METADATA, ["file .metadata/example.org/atlas/a:1/manifest.json"]),
    ],
)
def test_only_what_is_asked_is_offered(root: Path, offer: Offer, steps: list[str]) -> None:
    assert do(root, change(offered(offers=frozenset([offer])))) == steps


def test_a_layer_that_is_in_no_store_gets_a_tree_of_its_own(root: Path) -> None:
    assert do(root, change(offered(offers=frozenset([Offer.LAYERS]), layers=((BLOB, ""),)))) == [f"tree .layers/ab/{BLOB.hex}"]
    assert (root / f".layers/ab/{BLOB.hex}/layerfs").is_dir()


def test_a_moved_tag_leads_elsewhere_and_its_old_tree_goes_after_the_grace(root: Path) -> None:
    do(root, change(offered(ONE)))
    assert do(root, change(offered(TWO))) == [
        f"tree .flat/22/{TWO}",
        "symlink example.org/atlas/a:1",
        "file .metadata/example.org/atlas/a:1/manifest.json",
        "file .metadata/cstore.json",
    ]
    assert HubReading(root).about().retired == {flat_at(ONE): DAY}
    assert do(root, change(offered(TWO), day=DAY + dt.timedelta(days=13))) == []
    assert do(root, change(offered(TWO), day=DAY + GRACE)) == [f"remove .flat/11/{ONE}", "file .metadata/cstore.json"]
    assert HubReading(root).about().retired == {}


def test_a_tree_that_is_wanted_again_is_not_retired_any_more(root: Path) -> None:
    do(root, change(offered(ONE)))
    do(root, change(offered(TWO)))
    assert do(root, change(offered(ONE), day=DAY + GRACE)) == [
        "symlink example.org/atlas/a:1",
        "file .metadata/example.org/atlas/a:1/manifest.json",
        "file .metadata/cstore.json",
    ]
    assert HubReading(root).about().retired == {flat_at(TWO): DAY + GRACE}


def test_a_removed_name_goes_with_its_metadata(root: Path) -> None:
    do(root, change(offered()))
    assert do(root, change(removed=[USUAL.name(NAME), USUAL.metadata(NAME)])) == [
        "remove example.org/atlas/a:1",
        "remove .metadata/example.org/atlas/a:1",
        "file .metadata/cstore.json",
    ]


def test_catalogs_are_marked_once(root: Path) -> None:
    steps = do(root, change(offered(), has_catalogs=True))
    assert steps[:5] == [
        "file .flat/.cvmfscatalog",
        "file .flat/11/.cvmfscatalog",
        "file .layers/.cvmfscatalog",
        "file .layers/ab/.cvmfscatalog",
        "file .metadata/.cvmfscatalog",
    ]
    assert [step for step in do(root, change(offered(TWO), has_catalogs=True)) if "cvmfscatalog" in step] == ["file .flat/22/.cvmfscatalog"]


def test_the_status_is_told_only_with_a_change(root: Path) -> None:
    do(root, change(offered(), status=b"1"))
    assert planned(root, change(offered(), status=b"2")) == []
    assert planned(root, change(offered(), status=b"2"), also=True) == ["file status.json"]


def test_what_came_into_the_way_since_an_image_was_taken_stops_all(root: Path) -> None:
    (root / "example.org/atlas/a:1").mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        plan_hub(HubReading(root), change(offered()))
    assert str(caught.value) == f"{root}/example.org/atlas/a:1: expected a symlink or nothing at a public name, found a directory"


def test_a_name_that_leads_to_no_image_index_any_more_loses_it(root: Path) -> None:
    """Quote: `index.json` beside it is the image index through which it was found (spec H4)."""
    do(root, change(offered(index=b"index")))
    assert do(root, change(offered())) == ["remove .metadata/example.org/atlas/a:1/index.json"]


def test_what_is_made_anew_is_removed_before(root: Path) -> None:
    """Quote: cstore puts each path once, and removes what is in the way in a call before (spec C4)."""
    for path in (flat_at(ONE), layerfs_at(BLOB)):
        (root / path).mkdir(parents=True)
    steps = planned(root, evolve(change(offered(offers=TREES), has_catalogs=True), unsound=[BLOB], unsound_flats=[ONE]))
    assert [step for step in steps if "catalog" not in step] == [
        f"remove .flat/11/{ONE}",
        f"remove .layers/ab/{BLOB.hex}/layerfs",
        f"tree .flat/11/{ONE}",
        f"symlink .layers/ab/{BLOB.hex}/layerfs",
        "symlink example.org/atlas/a:1",
    ]


def test_the_steps_of_a_hub_are_carried_out_in_its_order(root: Path) -> None:
    """Through the publisher, which tells nothing of the rest."""
    hub = DirectoryHub(root)
    done = hub.publish(lambda: plan_hub(HubReading(root), change(offered())).around(Delta()), [])
    assert len(done.delta.steps) == 4
    assert not hub.publish(lambda: plan_hub(HubReading(root), change(offered())).around(Delta()), []).delta
