from __future__ import annotations

import gc
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.errors import ContentError, SourceError, StoreError
from cstore.model.about import About
from cstore.model.digest import Digest
from cstore.model.platform import Platform
from cstore.progress import silent
from cstore.source import open_source
from cstore.source.fetch import Fetcher
from cstore.store import Store
from tests.images import Image, compressed, directory, docker_archive, file, oci_archive, opaque, tar, write_layout
from tests.layer.tars import blob_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.source.fetch import FetchedLayer
    from cstore.source.image import SourceImage
    from tests.stores import Planner

BASE = tar(directory("d", 0o1777, uid=5), file("d/old", b"1"), file("d/kept", b"2"))
TOP = tar(file("d/new", b"3"))
BIG = tar(file("big", bytes(1 << 19)))
OPAQUE = tar(directory("d"), opaque("d"), file("d/new", b"3"))


@pytest.fixture
def fetcher(planner: Planner) -> Fetcher:
    return planner.fetcher


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.new(tmp_path / "store", About())


def source(tmp_path: Path, image: Image, name: str = "image") -> SourceImage:
    return open_source(write_layout(tmp_path / name, image), Platform("linux", "amd64"))


def paths(layer: FetchedLayer) -> list[tuple[bytes, int, int]]:
    found = []
    for entry, content in layer.tree.walk():
        found.append((entry.path, entry.mode, entry.uid))
        assert sum(map(len, content)) == entry.stored
    return found


def test_layers_are_fetched_base_first(tmp_path: Path, store: Store, fetcher: Fetcher) -> None:
    image = source(tmp_path, Image(layers=(BASE, TOP), compression=("gzip", "none")))
    fetcher.fetch(image, store)
    base, top = fetcher.layers.values()
    assert tuple(fetcher.layers) == (base.id, top.id) == image.chain
    assert (base.parent, top.parent) == (None, base.id)
    assert (base.diff_id, top.diff_id) == image.config.diff_ids
    assert (base.descriptor, top.descriptor) == image.manifest.layers
    assert (base.scan.compression, top.scan.compression) == ("gzip", "none")
    assert (base.scan.diff_size, base.scan.uids, base.scan.entries) == (len(BASE), (0, 5), 3)


def test_what_a_layer_leaves_unsaid_comes_from_the_layer_below(tmp_path: Path, store: Store, fetcher: Fetcher) -> None:
    fetcher.fetch(source(tmp_path, Image(layers=(BASE, TOP))), store)
    assert paths(list(fetcher.layers.values())[1]) == [(b"", 0o555, 0), (b"d", 0o1777, 5), (b"d/new", 0o644, 0)]


def test_an_opaque_directory_hides_what_the_layer_below_has(tmp_path: Path, store: Store, fetcher: Fetcher) -> None:
    fetcher.fetch(source(tmp_path, Image(layers=(BASE, OPAQUE))), store)
    walked = [path for path, _, _ in paths(list(fetcher.layers.values())[1])]
    assert walked == [b"", b"d", b"d/new", b"d/kept", b"d/old"]


@pytest.mark.parametrize("keep_tar_split", [True, False], ids=["from its tar-split", "from its blob"])
def test_so_does_one_that_the_store_has(tmp_path: Path, planner: Planner, keep_tar_split: bool) -> None:  # noqa: FBT001 - both cases
    planner.do(planner.add(Image(layers=(BASE,)), "a.b/c"))
    if not keep_tar_split:
        for place in (tmp_path / "store" / "overlay-layers").glob("*.tar-split.gz"):
            place.unlink()
    seen: list[str] = []

    def progress(_work: str, subject: str, _total: int) -> Callable[[int], object]:
        seen.append(subject)
        return lambda _size: None

    fetcher = Fetcher(progress)
    image = source(tmp_path, Image(layers=(BASE, TOP)))
    fetcher.fetch(image, planner.store)
    assert list(fetcher.layers) == [image.chain[1]]
    assert paths(fetcher.layers[image.chain[1]])[1] == (b"d", 0o1777, 5)
    read = [str(layer.digest) for layer in image.manifest.layers]
    assert seen == ([read[1]] if keep_tar_split else [read[1], read[0]])
    fetcher.close()


def test_a_layer_that_several_images_share_is_fetched_once(tmp_path: Path, store: Store) -> None:
    seen: list[tuple[str, str, int]] = []
    steps: list[int] = []

    def progress(work: str, subject: str, total: int) -> Callable[[int], object]:
        seen.append((work, subject, total))
        return steps.append

    fetcher = Fetcher(progress)
    images = [source(tmp_path, Image(layers=(BASE, top)), name) for name, top in (("one", TOP), ("two", OPAQUE))]
    for image in [*images, images[0]]:
        fetcher.fetch(image, store)
    blobs = [images[0].manifest.layers[0], images[0].manifest.layers[1], images[1].manifest.layers[1]]
    assert seen == [("verifying", str(blob.digest), blob.size) for blob in blobs]
    assert sum(steps) == sum(blob.size for blob in blobs)
    assert len(fetcher.layers) == 3
    fetcher.close()


@pytest.mark.parametrize(
    ("damage", "kind", "said"),
    [
        pytest.param(Path.unlink, SourceError, "{blob}: expected a file, found: No such file or directory", id="not there"),
        pytest.param(
            lambda blob: blob.write_bytes(BIG + b"x"), ContentError, "blob {digest}: expected at most {size} bytes, found more", id="long"
        ),
        pytest.param(lambda blob: blob.write_bytes(TOP), ContentError, "blob {digest}: expected {size} bytes, found {found}", id="short"),
    ],
)
def test_a_blob_that_is_not_the_promised_one(planner: Planner, damage: Callable[[Path], object], kind: type[StoreError], said: str) -> None:
    image = planner.source(Image(layers=(BIG,), compression="none"))
    descriptor = image.manifest.layers[0]
    blob = Path(image.at.removeprefix("oci:")) / "blobs" / "sha256" / descriptor.digest.hex
    damage(blob)
    with pytest.raises(StoreError) as error:
        planner.fetcher.fetch(image, planner.store)
    sentence = said.format(blob=blob, digest=descriptor.digest, size=descriptor.size, found=len(TOP))
    assert (type(error.value), str(error.value)) == (kind, sentence)
    assert planner.fetcher.layers == {}


LAYERS = tuple(tar(file(f"d/{size}", random.Random(size).randbytes(size))) for size in (1 << 19, 5000, 1 << 18, 3000, 1 << 20))  # noqa: S311 - content
"""Some of them take longer than others."""


def blob_place(image: SourceImage, number: int) -> Path:
    return Path(image.at.removeprefix("oci:")) / "blobs" / "sha256" / image.manifest.layers[number].digest.hex


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_layers_read_at_once_are_what_they_are_one_after_the_other(tmp_path: Path, store: Store, workers: int) -> None:
    image = source(tmp_path, Image(layers=LAYERS, compression=("none", "gzip", "zstd", "none", "gzip")))
    told: list[tuple[str, str, int]] = []

    def progress(work: str, subject: str, total: int) -> Callable[[int], object]:
        told.append((work, subject, total))
        return lambda _size: None

    fetcher = Fetcher(progress, workers)
    fetcher.fetch(image, store)
    assert tuple(fetcher.layers) == image.chain
    assert told == [("verifying", str(layer.digest), layer.size) for layer in image.manifest.layers]
    for made, layer in zip(LAYERS, fetcher.layers.values(), strict=True):
        alone = blob_of(made).scan()
        assert layer.scan.open_tar_split().read() == alone.tar_split.read()
        assert evolve(layer.scan, tar_split=alone.tar_split, compression="none") == alone
        alone.tar_split.close()
    fetcher.close()


def test_layers_of_several_images_are_fetched_together(tmp_path: Path, store: Store) -> None:
    images = [source(tmp_path, Image(layers=(BASE, top)), name) for name, top in (("one", TOP), ("two", OPAQUE))]
    fetcher = Fetcher(workers=3)
    fetcher.fetch_all(images, store)
    assert tuple(fetcher.layers) == (*images[0].chain, images[1].chain[1])
    assert paths(fetcher.layers[images[1].chain[1]])[1] == (b"d", 0o755, 0)
    fetcher.close()


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_the_first_bad_layer_is_told_whichever_is_found_first(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, compression: str, workers: int
) -> None:
    """Of five layers the third one, large, and the fourth one, small, are not what the manifest says."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    image = source(tmp_path, Image(layers=(*LAYERS[1:3], LAYERS[4], LAYERS[3], LAYERS[0]), compression=compression))
    for number in (2, 3):
        # A blob of the right size whose tar is another one.
        place = blob_place(image, number)
        size = image.manifest.layers[number].size
        other = compressed(tar(file("other")), compression)
        place.write_bytes(other + padding(compression, size - len(other)))
    fetcher = Fetcher(workers=workers)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ContentError) as error:
        fetcher.fetch(image, store)
    digest = image.manifest.layers[2].digest
    found = Digest.of(blob_place(image, 2).read_bytes())
    assert str(error.value) == f"blob {digest}: expected digest {digest}, found {found}"
    assert fetcher.layers == {}
    fetcher.close()
    assert not store.root.exists()
    assert list((tmp_path / "temporary").iterdir()) == []
    error.value.__traceback__ = None
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def padding(compression: str, size: int) -> bytes:
    """Return bytes that may follow a blob of a kind without changing what it holds."""
    if compression == "zstd":
        return b"\x50\x2a\x4d\x18" + (size - 8).to_bytes(4, "little") + bytes(size - 8)
    return bytes(size)


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_the_layers_of_an_archive_are_read_at_once(tmp_path: Path, store: Store, kind: str) -> None:
    many = tuple(tar(file(f"f{number}", random.Random(number).randbytes(300_000))) for number in range(8))  # noqa: S311 - content
    made = (oci_archive if kind == "oci-archive" else docker_archive)(tmp_path / "image.tar", {"localhost/a:1": Image(layers=many)})
    image = open_source(made, Platform("linux", "amd64"))
    fetcher = Fetcher(workers=4)
    fetcher.fetch(image, store)
    assert [layer.scan.content for layer in fetcher.layers.values()] == [300_000] * 8
    fetcher.close()
    image.close()


def test_a_fetcher_lets_go_of_its_temporary_files(planner: Planner) -> None:
    planner.plan(planner.add(Image(layers=(BASE, TOP)), "a.b/c"))
    kept = [layer.scan.tar_split for layer in planner.fetcher.layers.values()]
    assert [file.closed for file in kept] == [False, False]
    planner.fetcher.close()
    assert [file.closed for file in kept] == [True, True]


def test_silence() -> None:
    silent("verifying", "x", 5)(5)
