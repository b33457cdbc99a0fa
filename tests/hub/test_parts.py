from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError
from cstore.hub.parts import fetched_part, stored_part
from cstore.layer.entry import Kind
from cstore.layer.merging import Part, merge
from cstore.model.layout import Form
from cstore.publish.batch import publishing
from cstore.source.fetch import Fetcher
from cstore.store import Store
from tests.images import Image, directory, file, hardlink, opaque, symlink, tar, whiteout, write_layout
from tests.layer import tars
from tests.layer.stacks import image_of
from tests.publish.stores import DAY

if TYPE_CHECKING:
    from cstore.layer.entry import Entry
    from cstore.model.chain import LayerID

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make devices and to give files away")

LAYERS = (
    tar(
        directory("", 0o711),
        directory("etc", 0o750, uid=3),
        file("etc/motd", b"hello\n", uid=1, gid=2),
        hardlink("etc/issue", "etc/motd"),
        directory("opt"),
        file("opt/old", b"old"),
        file("opt/.cvmfscatalog", b"kept"),
        file("big", bytes(3 << 20)),
        symlink("link", "etc"),
    ),
    tar(opaque("opt"), whiteout("etc/motd"), file("etc/sub/new", b"new"), tars.sparse(b"etc/sparse", "1.0")),
)


def walked(part: Part) -> dict[bytes, tuple[Entry, bytes]]:
    found = {entry.path: (entry, b"".join(content)) for entry, content in part.walk() if not entry.is_whiteout}
    headers = {entry.path: entry for entry in part.headers() if not entry.is_whiteout}
    assert {path: entry for path, (entry, _) in found.items() if entry.kind is not Kind.DIRECTORY} == {
        path: entry for path, entry in headers.items() if entry.kind is not Kind.DIRECTORY
    }
    return found


@pytest.fixture(params=list(Form), ids=lambda form: form.value)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    write_layout(tmp_path / "image", Image(layers=LAYERS))
    with publishing(tmp_path / "store", form=request.param, today=DAY) as batch:
        batch.add(f"oci:{tmp_path / 'image'}", name="localhost/x:1")
    return Store.open(tmp_path / "store")


def ids() -> tuple[LayerID, ...]:
    return image_of(LAYERS).chain


def diff(store: Store, layer: LayerID) -> Path:
    return store.root / store.layout.tree(layer) / "diff"


@needs_root
def test_a_layer_of_a_store_is_the_layer_that_was_fetched(store: Store, tmp_path: Path) -> None:
    image, fetcher = image_of(LAYERS), Fetcher()
    try:
        fetcher.fetch(image, Store.new(tmp_path / "none", store.about))
        for layer in image.chain:
            fetched, stored = fetched_part(fetcher.layers[layer]), stored_part(store, layer)
            assert (fetched.id, {*fetched.opaque}, {*fetched.inherited}) == (stored.id, {*stored.opaque}, {*stored.inherited})
            expected = {path: found for path, found in walked(fetched).items() if found[0].kind is not Kind.DIRECTORY}
            found = {path: found for path, found in walked(stored).items() if found[0].kind is not Kind.DIRECTORY}
            if b"etc/sparse" in expected:
                entry, content = found.pop(b"etc/sparse")
                assert (entry.pieces, entry.size, content) == (None, tars.HOLED_SIZE, tars.HOLED)
                assert expected.pop(b"etc/sparse")[0].pieces == tars.HOLES
            assert found == expected
    finally:
        fetcher.close()


@needs_root
def test_owners_and_modes_are_those_of_the_tar_split(store: Store) -> None:
    layer = ids()[0]
    os.chown(diff(store, layer) / "etc/motd", 77, 77)
    (diff(store, layer) / "etc/motd").chmod(0o600)
    entry, content = walked(stored_part(store, layer))[b"etc/motd"]
    assert (entry.uid, entry.gid, entry.mode, content) == (1, 2, 0o644, b"hello\n")


@needs_root
@pytest.mark.parametrize("change", ["gone", "none"])
def test_without_a_tar_split_all_is_read_from_the_directory(store: Store, change: str) -> None:
    layer = ids()[0]
    split = store.root / store.layout.tar_split(layer)
    if change == "gone":
        split.unlink()
    else:
        split.write_bytes(b"none")
    (diff(store, layer) / "etc/motd").chmod(0o600)
    part = stored_part(store, layer)
    found = walked(part)
    assert ({*part.opaque}, {*part.inherited}) == (set(), set())
    assert (found[b"etc/motd"][0].kind, found[b"etc/motd"][0].target) == (Kind.HARDLINK, b"etc/issue")
    assert (found[b"etc/issue"][0].mode, found[b"etc/issue"][1]) == (0o600, b"hello\n")
    assert b"opt/.cvmfscatalog" not in found


@needs_root
def test_a_reserved_file_that_was_left_out_is_in_the_tar_split(store: Store) -> None:
    layer = ids()[0]
    (diff(store, layer) / "opt/.cvmfscatalog").unlink()
    assert walked(stored_part(store, layer))[b"opt/.cvmfscatalog"][1] == b"kept"


def _shorter(place: Path) -> None:
    (place / "opt/old").write_bytes(b"o")


def _gone(place: Path) -> None:
    (place / "opt/old").unlink()


def _a_link(place: Path) -> None:
    (place / "opt/old").unlink()
    (place / "opt/old").symlink_to("/etc/passwd")


def _a_fifo(place: Path) -> None:
    (place / "opt/old").unlink()
    os.mkfifo(place / "opt/old")


def _a_linked_directory(place: Path) -> None:
    (place / "opt").rename(place / "moved")
    (place / "opt").symlink_to("moved")


@needs_root
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_shorter, "1 bytes"),
        (_gone, "nothing"),
        (_a_link, "none that can be read (Too many levels of symbolic links)"),
        (_a_fifo, "something else"),
        (_a_linked_directory, "none that can be read (Not a directory)"),
    ],
)
def test_a_file_that_is_not_what_the_layer_says(store: Store, change: object, found: str) -> None:
    layer = ids()[0]
    assert callable(change)
    change(diff(store, layer))
    with pytest.raises(ContentError) as error:
        walked(stored_part(store, layer))
    assert str(error.value) == f'{diff(store, layer)}: expected a file of 3 bytes at "opt/old", found {found}'


@needs_root
def test_a_tree_that_is_gone(store: Store) -> None:
    layer = ids()[0]
    part = stored_part(store, layer)
    shutil.rmtree(diff(store, layer))
    with pytest.raises(ContentError) as error:
        walked(part)
    assert str(error.value) == f"{diff(store, layer)}: expected a layer's tree, found none that can be read"


@needs_root
def test_a_tar_split_that_is_gone(store: Store) -> None:
    layer = ids()[0]
    part = stored_part(store, layer)
    (store.root / store.layout.tar_split(layer)).unlink()
    with pytest.raises(ContentError) as error:
        list(part.headers())
    assert str(error.value) == f"{diff(store, layer)}: expected the tar-split of a layer, found none any more"


@needs_root
def test_no_descriptor_stays_open(store: Store) -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    tree = merge([stored_part(store, layer) for layer in ids()], at="image")
    for entry, content in tree.walk():
        if entry.kind is Kind.FILE:
            next(content, b"")
    walk = tree.walk()
    for _, _ in zip(range(6), walk, strict=False):
        pass
    del walk
    assert len([*Path("/proc/self/fd").iterdir()]) == before
