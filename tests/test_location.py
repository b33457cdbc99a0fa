from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest

from cstore.errors import FormatError, StoreError
from cstore.location import StoreFiles, place_of, read_files


@pytest.mark.parametrize("location", ["/a/b", "a", ".", "a:b", "a b://c", "://x"])
def test_a_path_is_a_location(location: str) -> None:
    assert place_of(location) == place_of(Path(location)) == Path(location)


@pytest.mark.parametrize(("location", "scheme"), [("cvmfs://a.b", "cvmfs"), ("cvmfs://a.b/c", "cvmfs"), ("s3://a", "s3")])
def test_a_location_of_another_kind_is_refused(location: str, scheme: str) -> None:
    with pytest.raises(StoreError) as error:
        place_of(location)
    assert str(error.value) == f"{location}: expected the directory of a store, found a location of the kind {scheme}://"


FILES = {
    "overlay-layers/layers.json": b"layers",
    "overlay-layers/layers.lock": b"layers lock",
    "overlay-images/images.json": b"images",
    "overlay-images/images.lock": b"images lock",
    "cstore.json": b"about",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_all_small_files_are_read(root: Path) -> None:
    assert read_files(root) == StoreFiles(*FILES.values())


def test_without_locks_and_cstore_json(root: Path) -> None:
    for name in ("overlay-layers/layers.lock", "overlay-images/images.lock", "cstore.json"):
        (root / name).unlink()
    assert read_files(root) == StoreFiles(b"layers", b"", b"images", b"", None)


def test_a_lock_is_read_no_further_than_tells_that_it_is_too_long(root: Path) -> None:
    (root / "overlay-images/images.lock").write_bytes(bytes(1000))
    assert read_files(root).images_lock == bytes(65)


def test_other_readers_do_not_keep_it_from_reading_nor_does_it_hold_the_locks_afterwards(root: Path) -> None:
    file = os.open(root / "overlay-images/images.lock", os.O_RDWR)
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))
        assert read_files(root).images == b"images"
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(file)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        pytest.param(".", "found a directory without overlay-images/images.json", id="another directory"),
        pytest.param("none", "found nothing", id="nothing"),
        pytest.param("file", "found a file", id="a file"),
    ],
)
def test_no_store(tmp_path: Path, path: str, what: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as error:
        read_files(tmp_path / path)
    assert str(error.value) == f"{tmp_path / path}: expected an image store, {what}"


@pytest.mark.parametrize("name", ["overlay-layers/layers.json", "overlay-images/images.json"])
def test_an_index_that_is_missing_is_no_empty_one(root: Path, name: str) -> None:
    (root / name).unlink()
    with pytest.raises(FormatError) as error:
        read_files(root)
    assert str(error.value) == f"{root / name}: expected a file, found none"


@pytest.mark.parametrize("name", ["overlay-layers/layers.json", "cstore.json"])
def test_a_file_that_cannot_be_read(root: Path, name: str) -> None:
    (root / name).unlink()
    (root / name).mkdir()
    with pytest.raises(StoreError) as error:
        read_files(root)
    assert str(error.value) == f"{root / name}: expected a readable file, found: Is a directory"
