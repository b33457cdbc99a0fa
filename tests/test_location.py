from __future__ import annotations

import fcntl
import os
import shutil
import stat
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cstore.errors import FormatError, StoreError
from cstore.location import StoreFiles, marks_of, place_of, read_files
from tests.verification.patience import patience

if TYPE_CHECKING:
    from collections.abc import Callable


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
    assert read_files(root) == StoreFiles(b"layers", b"layers lock", b"images", b"images lock", b"about")


def test_without_locks_and_cstore_json(root: Path) -> None:
    for name in ("overlay-layers/layers.lock", "overlay-images/images.lock", "cstore.json"):
        (root / name).unlink()
    assert read_files(root) == StoreFiles(b"layers", b"", b"images", b"", None)


@pytest.mark.parametrize("name", FILES)
def test_the_marks_tell_that_a_file_was_replaced_or_written_in_place_or_is_gone(root: Path, name: str) -> None:
    marks = read_files(root).marks
    assert marks_of(root) == marks
    (root / "new").write_bytes(FILES[name])
    (root / "new").rename(root / name)
    replaced = marks_of(root)
    time.sleep(0.02)
    with (root / name).open("r+b") as file:
        file.write(b"L")
    written = marks_of(root)
    (root / name).unlink()
    assert len({marks, replaced, written, marks_of(root)}) == 4


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
    assert str(error.value) == f"{root / name}: expected a readable file, found a directory"


def _huge(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(1 << 40)


PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a symlink out": (lambda place: place.symlink_to("/etc/passwd"), "a symlink"),
    "a relative symlink out": (lambda place: place.symlink_to("../" * 30 + "etc/passwd"), "a symlink"),
    "a symlink to a device": (lambda place: place.symlink_to("/dev/zero"), "a symlink"),
    "a symlink to itself": (lambda place: place.symlink_to(place.name), "a symlink"),
    "a fifo": (os.mkfifo, "a fifo"),
    "a device": (lambda place: os.mknod(place, 0o666 | stat.S_IFCHR, os.makedev(1, 5)), "a device"),
    "more than a gigabyte": (_huge, "more than 1073741824 bytes"),
}


@pytest.mark.parametrize("name", ["overlay-layers/layers.json", "overlay-images/images.json", "cstore.json"])
@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_is_neither_followed_nor_waited_for(root: Path, name: str, planted: str) -> None:
    if planted == "a device" and os.geteuid() != 0:
        pytest.skip("only root makes devices")
    make, found = PLANTED[planted]
    (root / name).unlink()
    make(root / name)
    with patience(20), pytest.raises(StoreError) as error:
        read_files(root)
    assert str(error.value) == f"{root / name}: expected a readable file, found {found}"


@pytest.mark.parametrize("name", ["overlay-layers/layers.lock", "overlay-images/images.lock"])
@pytest.mark.parametrize("planted", ["a symlink out", "a fifo"])
def test_a_planted_lock_is_none(root: Path, name: str, planted: str) -> None:
    (root / name).unlink()
    PLANTED[planted][0](root / name)
    with patience(20):
        found = read_files(root)
    assert b"" in (found.layers_lock, found.images_lock)


def test_a_lock_that_is_held_without_end_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cstore.location._PATIENCE", 0.05)
    file = os.open(root / "overlay-images/images.lock", os.O_RDWR)
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    try:
        with pytest.raises(StoreError) as error:
            read_files(root)
    finally:
        os.close(file)
    said = "expected the lock within 0.05 seconds, found it held by another program"
    assert str(error.value) == f"{root}/overlay-images/images.lock: {said}"


def test_a_room_that_leads_out_is_none(root: Path) -> None:
    shutil.rmtree(root / "overlay-images")
    (root / "overlay-images").symlink_to("/etc")
    with pytest.raises(FormatError) as error:
        read_files(root)
    assert str(error.value) == f"{root}/overlay-images/images.json: expected a file, found none"


def test_no_location_is_the_directory_where_one_stands_by_chance() -> None:
    with pytest.raises(StoreError) as error:
        place_of("")
    assert str(error.value) == 'location: expected the directory of a store, found ""'
