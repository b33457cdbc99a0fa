"""Hubs in which images come and go: whatever a round does, the snapshotter finds each layer of what is offered (spec H7, H9, H14)."""

from __future__ import annotations

import datetime as dt
import os
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import pytest
from attrs import define, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cstore.delta import PutSymlink, Remove
from cstore.hub.layout import HubLayout, layerfs_at
from cstore.model.offer import ALL_OFFERS, Offer
from cstore.model.platform import Platform
from cstore.model.remote import RemoteName
from cstore.publish.hub import DirectoryHub
from cstore.publish.prune import prune
from cstore.source import open_source
from cstore.store import Store
from cstore.sync.assembly import Assembly
from cstore.sync.expansion import Wanted
from cstore.sync.wish import Wish
from tests.images import Image, directory, file, opaque, tar, whiteout, write_layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cstore.delta import Delta
    from cstore.model.digest import Digest
    from cstore.source.image import SourceImage

ONE = tar(directory("data"), file("data/one", b"1"), file("data/both", b"1"))
TWO = tar(directory("data"), file("data/two", b"2"), file("data/both", b"2"))
PLAIN = tar(file("plain", b"p"), whiteout("data/both"))
SHARED = tar(directory("data"), opaque("data"), file("data/new", b"n"))
IMAGES = {
    "one": Image(layers=(ONE, SHARED)),
    "two": Image(layers=(TWO, SHARED)),
    "two again": Image(layers=(TWO, SHARED), compression="zstd", labels={"blobs": "other"}),
    "deep": Image(layers=(ONE, PLAIN, SHARED), compression=("zstd", "gzip", "gzip")),
    "plain": Image(layers=(TWO, PLAIN)),
    "alone": Image(layers=(PLAIN,)),
}
USUAL, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
LAYERS, PODMAN, TOLD = frozenset([Offer.LAYERS]), frozenset([Offer.PODMAN]), frozenset([Offer.LAYERS, Offer.METADATA])
KINDS = [("all", ALL_OFFERS, USUAL), ("more", ALL_OFFERS, USUAL), ("arm", ALL_OFFERS, ARM)]
KINDS += [("loose", LAYERS, USUAL), ("told", TOLD, ARM), ("podman", PODMAN, USUAL)]
GRACE = dt.timedelta(days=14)
EXAMPLES = int(os.environ.get("CSTORE_EXAMPLES", "15"))
"""How many lives of a hub are tried."""
FIRST = dt.date(2026, 11, 24)


class Sources:
    """All images, opened."""

    def __init__(self, images: dict[str, SourceImage]) -> None:
        self._images = images

    def __getitem__(self, name: str) -> SourceImage:
        return self._images[name]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    place = tmp_path_factory.mktemp("images")
    with ExitStack() as opened:
        found = {}
        for name, image in IMAGES.items():
            found[name] = open_source(write_layout(place / name, image), USUAL)
            opened.callback(found[name].close)
        yield Sources(found)


def wanted(tag: str, offers: frozenset[Offer], platform: Platform) -> Wanted:
    name = RemoteName.parse(f"example.org/app:{tag}")
    return Wanted(name=name, platform=platform, offers=offers, wish=Wish(name=name, place="w:1:1", text=str(name)))


WANTED = {tag: wanted(tag, offers, platform) for tag, offers, platform in KINDS}


@define
class Living:
    """A hub, and what is offered there."""

    root: Path
    sources: Sources
    day: dt.date = FIRST
    offered: dict[str, str] = field(factory=dict)
    """The image of each tag."""

    def round(self, puts: dict[str, str], drops: Sequence[str] = (), days: int = 0) -> Delta:
        """Carry out a round some days later; see that nothing is left to do, and that nothing that is offered lacks a layer."""
        self.day += dt.timedelta(days=days)
        with closing(Assembly(DirectoryHub(self.root), day=self.day, grace=GRACE)) as assembly:
            self.fill(assembly, puts, drops)
            stores = assembly.stores()
            done = DirectoryHub(self.root).publish(partial(assembly.plan, stores), stores)
        self.offered = {**{tag: image for tag, image in self.offered.items() if tag not in drops}, **puts}
        assert self.wrong() == []
        return done.delta

    def fill(self, assembly: Assembly, puts: dict[str, str], drops: Sequence[str]) -> None:
        for tag in [tag for tag in drops if tag in self.offered]:
            self.drop(assembly, WANTED[tag])
        for tag, image in self.offered.items():
            if tag not in puts and tag not in drops:
                assembly.uses(WANTED[tag], self.sources[image])
        for tag, image in puts.items():
            assembly.take(WANTED[tag], self.sources[image])

    def drop(self, assembly: Assembly, gone: Wanted) -> None:
        layout = HubLayout(gone.platform)
        if Offer.PODMAN in gone.offers:
            assembly.drop(layout.store, str(gone.name.reference))
        assembly.withdraw(layout.name(gone.name))
        assembly.withdraw(layout.metadata(gone.name))

    def wrong(self) -> list[str]:
        """Return what is wrong for the snapshotter."""
        links = self.root.glob(".layers/*/*/layerfs")
        found = [f"{link.relative_to(self.root)} leads nowhere" for link in links if not link.is_dir()]
        for tag, image in self.offered.items():
            source = self.sources[image]
            for number, layer in enumerate(source.manifest.layers if Offer.LAYERS in WANTED[tag].offers else ()):
                tree = self.tree(layer.digest)
                if not tree.is_dir():
                    found.append(f"{tag}: layer {number} of {image} is not there")
                elif Offer.PODMAN in WANTED[tag].offers:
                    lost = self.hidden(tag, image, number) - below(tree)
                    found += [f"{tag}: layer {number} of {image} does not hide {path}" for path in sorted(lost)]
        return found

    def hidden(self, tag: str, image: str, number: int) -> set[str]:
        """Return what the tree of a layer in its own chain hides."""
        store = Store.open(self.root / HubLayout(WANTED[tag].platform).store)
        diff = store.root / store.layout.tree(self.sources[image].chain[number]) / "diff"
        return {path for path in below(diff) if (diff / path).is_char_device()}

    def tree(self, digest: Digest) -> Path:
        return self.root / layerfs_at(digest)

    def layer(self, image: str, number: int) -> Path:
        return self.tree(self.sources[image].manifest.layers[number].digest)


def below(tree: Path) -> set[str]:
    return {str(place.relative_to(tree)) for place in tree.resolve().rglob("*")} if not tree.is_symlink() else below(tree.resolve())


@pytest.fixture
def hub(tmp_path: Path, sources: Sources) -> Living:
    (tmp_path / "hub").mkdir()
    return Living(tmp_path / "hub", sources)


def test_a_symlink_leads_to_another_chain_before_its_tree_goes(hub: Living) -> None:
    hub.round({"all": "two", "more": "plain"})
    hub.round({"arm": "alone"})
    top = hub.layer("alone", 0)
    assert top.resolve().is_relative_to(hub.root / "podmanStore")
    hub.round({}, ["more"])
    delta = hub.round({}, days=14)
    assert top.resolve().is_relative_to(hub.root / "podmanStore.arm64")
    puts = [number for number, step in enumerate(delta) if isinstance(step, PutSymlink)]
    removals = [number for number, step in enumerate(delta) if isinstance(step, Remove)]
    assert (len(puts), max(puts) < min(removals)) == (1, True)


def test_a_blob_of_the_same_diff_is_another_one_for_the_snapshotter(hub: Living) -> None:
    hub.round({"all": "two"})
    hub.round({"more": "two again"})
    assert hub.layer("two", 1) != hub.layer("two again", 1)
    hub.round({}, ["all", "more"])
    hub.round({}, days=14)
    assert [*hub.root.glob(".layers/*/*")] == []


def test_what_covered_several_chains_goes_with_the_last_of_them(hub: Living) -> None:
    hub.round({"all": "one", "more": "two"})
    assert hub.layer("one", 1).resolve().name.startswith("cover-")
    hub.round({}, ["all"])
    hub.round({}, days=14)
    assert hub.layer("two", 1).resolve().name.startswith("cover-")
    hub.round({}, ["more"])
    hub.round({}, days=14)
    assert [*hub.root.glob(".layers/*/*")] == []
    assert not hub.round({}, days=20)


def test_chains_of_several_stores_are_covered(hub: Living) -> None:
    hub.round({"all": "one"})
    hub.round({"arm": "two"})
    assert {"data/one", "data/two", "data/both"} <= below(hub.layer("one", 1))


def test_chains_that_stay_are_covered_when_the_one_that_hid_most_goes(hub: Living) -> None:
    """The tree of no single chain that stays hides what both need."""
    hub.round({"podman": "one"})
    hub.round({"all": "two"})
    hub.round({"more": "one"})
    assert {"data/one", "data/two"} <= below(hub.layer("one", 1))


def test_what_a_store_lost_otherwise_is_put_right_when_layers_go(hub: Living) -> None:
    """As after `cstore prune` of one of its stores."""
    hub.round({"all": "plain", "podman": "deep"})
    hub.round({"more": "alone"})
    hub.round({}, ["all"])
    hub.round({}, ["more"], days=7)
    prune(hub.root / "podmanStore", dt.timedelta(days=7), hub.day)
    plain, own = hub.layer("plain", 1), hub.layer("plain", 0)
    assert [(link.is_symlink(), link.is_dir()) for link in (plain, own)] == [(True, False)] * 2
    hub.round({}, days=14)
    assert plain.is_dir()
    assert not own.parent.exists()


@pytest.mark.parametrize("tag", ["loose", "told"])
def test_a_layer_stays_that_an_image_in_no_store_is_offered_with(hub: Living, tag: str) -> None:
    hub.round({"all": "alone"})
    hub.round({tag: "alone"})
    hub.round({}, ["all"])
    hub.round({}, days=14)
    assert not hub.round({}, days=14)
    assert hub.layer("alone", 0).is_symlink()
    hub.round({}, [tag])
    hub.round({})
    assert [*hub.root.glob(".layers/*/*")] == []


def test_nothing_goes_that_a_manifest_may_name_which_cannot_be_read(hub: Living) -> None:
    hub.round({"all": "alone"})
    hub.round({}, ["all"])
    note = hub.root / ".metadata/example.org/other:1/manifest.json"
    note.parent.mkdir(parents=True)
    note.write_bytes(b"{")
    hub.round({}, days=14)
    assert hub.layer("alone", 0).is_dir()
    note.write_bytes(b"{}")
    hub.round({})
    assert [*hub.root.glob(".layers/*/*")] == []


ROUNDS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from([*WANTED]), st.sampled_from([*IMAGES]), max_size=2),
        st.lists(st.sampled_from([*WANTED]), max_size=2, unique=True),
        st.sampled_from([0, 7, 14]),
    ),
    min_size=4,
    max_size=8,
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rounds=ROUNDS)
def test_no_round_leaves_a_symlink_that_leads_nowhere(
    rounds: list[tuple[dict[str, str], list[str], int]], tmp_path_factory: pytest.TempPathFactory, sources: Sources
) -> None:
    """Quote: a symlink in `.layers` is gone, or leads to another tree, before its tree in a store is removed (spec H7)."""
    hub = Living(tmp_path_factory.mktemp("hub"), sources)
    for puts, drops, days in rounds:
        hub.round(puts, [tag for tag in drops if tag not in puts], days)
    hub.round({}, [*hub.offered])
    hub.round({}, days=14)
    hub.round({}, days=14)
    assert [str(link) for link in hub.root.glob(".layers/*/*/layerfs") if link.is_symlink()] == []
