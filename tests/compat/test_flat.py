"""The flat tree of an image is what umoci unpacks and what overlay mounts, but for what spec E7 to E10 say."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cstore.delta import Delta
from cstore.hub.flat import flat_step, flat_tree
from cstore.hub.parts import fetched_part, stored_part
from cstore.layer.merging import merge
from cstore.model.about import About
from cstore.model.platform import Platform
from cstore.publish.directory import apply
from cstore.publish.owners import Owners
from cstore.source import open_source
from cstore.source.fetch import Fetcher
from cstore.store import Store
from tests.compat.test_trees import MARK_ALONE, timed
from tests.compat.trees import Row, differences, rows
from tests.images import tar
from tests.layer.stacks import image_of
from tests.property.strategies import linked_layers
from tests.publish.cvmfs import publishing_machine
from tests.publish.trees import write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cstore.layer.merging import Part
    from cstore.layer.tree import Tree
    from cstore.source.image import SourceImage
    from tests.compat.conftest import Images
    from tests.images import Member
    from tests.layer.stacks import Content
    from tools.make_images import UmociImage

OWN = {
    ".singularity.d",
    ".singularity.d/env",
    ".singularity.d/env/10-docker2singularity.sh",
    ".singularity.d/labels.json",
    ".singularity.d/runscript",
}
MOUNT_POINTS = {"proc", "sys", "dev", "tmp", "var", "var/tmp", "home", "root"}


def opened(image: UmociImage) -> SourceImage:
    return open_source(image.source, Platform("linux", "amd64"))


@contextmanager
def parts_of(image: SourceImage) -> Iterator[list[Part]]:
    fetcher = Fetcher()
    try:
        fetcher.fetch(image, Store.new("/nonexistent", About()))
        yield [fetched_part(fetcher.layers[layer]) for layer in image.chain]
    finally:
        fetcher.close()


def flat(image: SourceImage, parts: Sequence[Part], root: Path) -> Path:
    """Write the flat tree of an image, and return where it is."""
    tree = flat_tree(parts, image.config_bytes, image.at)
    apply(Delta((flat_step(".flat/aa/tree", tree),)), root)
    place = root / ".flat/aa/tree"
    assert len([place, *place.rglob("*")]) == tree.counts.entries
    return place


def readable(expected: Mapping[str, Row]) -> dict[str, Row]:
    """Return how entries look in a flat tree."""
    found = {}
    for path, row in expected.items():
        mode = int(row.mode, 8)
        if row.kind == "d":
            mode |= 0o755
        elif row.kind == "-":
            runs = mode & 0o111
            mode |= 0o444 | (0o111 if runs else 0)
            mode &= ~0o6000 if runs not in (0, 0o111) else ~0
        if row.kind not in "cbp":
            found[path] = evolve(row, mode=f"{mode:04o}", xattrs={})
    return found


def with_seen_twins(tree: Mapping[str, Row]) -> dict[str, Row]:
    """Return a tree in which a file has a twin only where both are seen: overlay counts hidden names too."""
    names = [row.twins for row in tree.values()]
    return {path: evolve(row, twins=row.twins if names.count(row.twins) > 1 else "") for path, row in tree.items()}


def as_unpacked(found: Mapping[str, Row]) -> dict[str, Row]:
    """Return a flat tree without Apptainer's own."""
    return {path: row for path, row in found.items() if path not in OWN}


def expected_of(image: UmociImage, tmp_path: Path) -> dict[str, Row]:
    start = time.time_ns()
    return timed(readable(rows(image.unpack(tmp_path / f"{image.tag}-unpacked"))), start)


def compared(expected: Mapping[str, Row], found: Mapping[str, Row]) -> list[str]:
    own = {path: row.without_mtime() if path not in expected or not expected[path].mtime else row for path, row in found.items()}
    return differences(expected, as_unpacked(own))


@pytest.mark.parametrize("tag", ["by_umoci", "layers", "sibling", "topless"])
def test_a_flat_tree_is_what_umoci_unpacks(images: Images, tag: str, tmp_path: Path) -> None:
    made: UmociImage = getattr(images, tag)
    expected = expected_of(made, tmp_path)
    image = opened(made)
    with parts_of(image) as parts:
        found = rows(flat(image, parts, tmp_path / "root"))
    missing = {path for path in MOUNT_POINTS if path not in expected}
    more = {*missing, *({MARK_ALONE} if tag in ("layers", "sibling") else ())}
    assert compared(expected, found) == sorted(f"{path}: there, not expected" for path in more)
    assert {found[path].kind for path in missing} <= {"d"}
    assert found.keys() >= OWN
    if tag == "layers":
        assert (found["srv/setuid"].mode, found["srv/twin-2"].twins) == ("4755", "srv/twin-1")
        assert {path: row.mode for path, row in found.items() if path in ("root", "home/user", "tmp")} == {
            "root": "0755",
            "home/user": "0755",
            "tmp": "1777",
        }


def test_a_flat_tree_is_the_same_from_layers_that_a_store_has(store: Path, images: Images, tmp_path: Path) -> None:
    image = opened(images.sibling)
    reading = Store.open(store)
    with parts_of(image) as parts:
        expected = rows(flat(image, parts, tmp_path / "fetched"))
    stored = [stored_part(reading, layer) for layer in image.chain]
    assert differences(expected, rows(flat(image, stored, tmp_path / "stored"))) == []
    with parts_of(image) as parts:
        mixed = [stored[number] if number % 2 else part for number, part in enumerate(parts)]
        assert differences(expected, rows(flat(image, mixed, tmp_path / "mixed"))) == []


def test_a_sparse_file_of_a_store_is_read_as_it_lies(store: Path, images: Images, tmp_path: Path) -> None:
    image = opened(images.sparse)
    with parts_of(image) as parts:
        expected = flat(image, parts, tmp_path / "fetched")
    reading = Store.open(store)
    found = flat(image, [stored_part(reading, layer) for layer in image.chain], tmp_path / "stored")
    assert differences(rows(expected), rows(found)) == []
    assert (expected / "srv/sparse").stat().st_blocks < (found / "srv/sparse").stat().st_blocks


@pytest.mark.parametrize("upstream", ["local", "gw"])
def test_a_flat_tree_in_a_repository_is_the_one_in_a_directory(images: Images, upstream: str, tmp_path: Path) -> None:
    image = opened(images.layers)
    with parts_of(image) as parts, publishing_machine(tmp_path / "machine", upstream=upstream) as publisher:
        expected = rows(flat(image, parts, tmp_path / "root"))
        step = flat_step(".flat/aa/tree", flat_tree(parts, image.config_bytes, image.at), is_catalog=True)
        place = publisher.place()
        place.publish(lambda: Delta((step,)))
        found = rows(publisher.store / ".flat/aa/tree")
    assert found.pop(".cvmfscatalog").kind == "-"
    # Hard links are broken up, and times are in whole seconds (spec C6).
    lines = differences(
        {path: row.without_mtime() for path, row in expected.items()}, {path: row.without_mtime() for path, row in found.items()}
    )
    assert [line for line in lines if ": twins: " not in line] == []


def test_labels_and_the_command_are_those_of_the_config(images: Images, tmp_path: Path) -> None:
    image = opened(images.by_umoci)
    with parts_of(image) as parts:
        place = flat(image, parts, tmp_path / "root")
    assert json.loads((place / ".singularity.d/labels.json").read_bytes()) == {}
    assert (place / ".singularity.d/runscript").stat().st_mode & 0o777 == 0o755


@contextmanager
def overlaid(trees: Sequence[Tree], place: Path) -> Iterator[Path]:
    """Mount the trees of layers, base first, as a reader of a store does."""
    with ExitStack() as stack:
        for number, tree in enumerate(trees):
            write(tree, place / str(number))
        lower = ":".join(str(number) for number in reversed(range(len(trees))))
        (place / "merged").mkdir()
        options = f"lowerdir={lower}" if len(trees) > 1 else f"lowerdir={lower}:none"
        (place / "none").mkdir()
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, "merged"], cwd=place, check=True)
        stack.callback(subprocess.run, ["umount", str(place / "merged")], check=True)
        yield place / "merged"


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stack=st.lists(linked_layers(), min_size=2, max_size=4))
def test_the_merged_tree_is_what_overlay_mounts(tmp_path: Path, stack: Sequence[tuple[Content, tuple[Member, ...]]]) -> None:
    """Spec E1: a flat tree shows what a container of the image shows. Spec E3: hard links of one layer stay links to one file."""
    place = tmp_path / str(len([*tmp_path.iterdir()]))
    place.mkdir()
    image, fetcher = image_of([tar(*members) for _, members in stack]), Fetcher()
    try:
        fetcher.fetch(image, Store.new("/nonexistent", About()))
        layers = [fetcher.layers[layer] for layer in dict.fromkeys(image.chain)]
        tree = merge([fetched_part(layer) for layer in layers], at="image")
        with overlaid([layer.tree for layer in layers], place) as mounted:
            top = place / "flat"
            top.mkdir()
            write(tree, top / "tree", Owners(None))
            assert differences(with_seen_twins(rows(mounted)), rows(top / "tree")) == []
    finally:
        fetcher.close()
