from __future__ import annotations

import io
import os
import resource
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from cstore.delta import PutTree
from cstore.errors import PublishError
from cstore.layer.entry import Entry, Kind
from cstore.model.layout import WORK
from cstore.publish.owners import Owners
from cstore.publish.writer import Writer, delete
from tests.publish.trees import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

IN_IMAGE = Owners(None)
PUTS: dict[str, Callable[[Writer], object]] = {
    "file": lambda writer: writer.put_file("room/thing", io.BytesIO(b"new")),
    "index": lambda writer: writer.put_index("room/thing", b"new"),
    "symlink": lambda writer: writer.put_symlink("room/thing", "new"),
    "lock": lambda writer: writer.put_lock("room/thing", b"new"),
    "directory": lambda writer: writer.put_directory("room/thing"),
}


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    made = Writer(tmp_path / "store", IN_IMAGE)
    made.put_directory(WORK)
    return made


@pytest.fixture(params=[0o077, 0o000, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    former = os.umask(request.param)
    yield
    os.umask(former)


@pytest.mark.usefixtures("umask")
@pytest.mark.skipif(os.geteuid() != 0, reason="with a umask of 777 only root can enter what he makes")
def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "store", IN_IMAGE)
    writer.put_directory(WORK)
    writer.put_file("a/file", io.BytesIO(b"x"))
    writer.put_index("b/index", b"x")
    writer.put_lock("c/lock", b"x")
    found = {str(place.relative_to(writer.root)): stat.S_IMODE(place.stat().st_mode) for place in writer.root.rglob("*")}
    assert found == {WORK: 0o755, "a": 0o755, "b": 0o755, "c": 0o755, "a/file": 0o644, "b/index": 0o644, "c/lock": 0o644}
    assert stat.S_IMODE(writer.root.stat().st_mode) == 0o755


@pytest.mark.parametrize("put", ["file", "index", "symlink"])
def test_what_is_replaced_is_replaced_as_a_whole(writer: Writer, put: str) -> None:
    place = writer.root / "room/thing"
    place.parent.mkdir()
    place.write_bytes(b"old")
    with place.open("rb") as reader:
        PUTS[put](writer)
        assert reader.read() == b"old"
    assert (str(place.readlink()) if put == "symlink" else place.read_text()) == "new"
    assert list((writer.root / WORK).iterdir()) == []


def test_a_lock_stays_the_same_file(writer: Writer) -> None:
    writer.put_lock("room/lock", b"first and longer")
    before = (writer.root / "room/lock").stat().st_ino
    writer.put_lock("room/lock", b"second")
    assert (writer.root / "room/lock").read_bytes() == b"second"
    assert (writer.root / "room/lock").stat().st_ino == before


def test_a_lock_that_is_written_in_part_is_an_error(writer: Writer) -> None:
    """The system writes 32 bytes and says so; what is left must be asked for again, and is refused."""
    writer.put_lock("room/lock", b"1" * 64)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32, former[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.put_lock("room/lock", b"2" * 64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("put", PUTS)
def test_nothing_is_written_through_a_symlink_to_a_directory(writer: Writer, tmp_path: Path, put: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (writer.root / "room").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PublishError, match=r"/room: expected a directory of the store, found something else$"):
        PUTS[put](writer)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("put", PUTS)
def test_nothing_is_written_below_a_file(writer: Writer, put: str) -> None:
    (writer.root / "room").write_text("file")
    with pytest.raises((PublishError, NotADirectoryError)):
        PUTS[put](writer)
    assert (writer.root / "room").read_text() == "file"


@pytest.mark.parametrize("put", ["file", "index", "symlink", "lock"])
@pytest.mark.parametrize("target", ["there", "dangling"])
def test_nothing_is_written_through_a_symlink_to_a_file(writer: Writer, tmp_path: Path, put: str, target: str) -> None:
    (tmp_path / "there").write_text("precious")
    (writer.root / "room").mkdir()
    (writer.root / "room/thing").symlink_to(tmp_path / target)
    if put == "lock":
        with pytest.raises(OSError, match=r"lock|thing|symbolic"):
            PUTS[put](writer)
    else:
        PUTS[put](writer)
    assert (tmp_path / "there").read_text() == "precious"
    assert not (tmp_path / "dangling").exists()


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "nothing"])
def test_whatever_is_at_a_path_is_removed(writer: Writer, tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/precious").write_text("precious")
    place = writer.root / "thing"
    if kind == "file":
        place.write_text("x")
    elif kind == "directory":
        (place / "below").mkdir(parents=True)
        (place / "below" / "link").symlink_to(tmp_path / "elsewhere")
    elif kind == "symlink":
        place.symlink_to(tmp_path / "elsewhere")
    writer.remove("thing")
    assert not os.path.lexists(place)
    assert list((writer.root / WORK).iterdir()) == []
    assert (tmp_path / "elsewhere/precious").exists()


def test_nothing_is_removed_through_a_symlink_to_a_directory(writer: Writer, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/precious").write_text("precious")
    (writer.root / "room").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PublishError):
        writer.remove("room/precious")
    assert (tmp_path / "elsewhere/precious").exists()


def test_deleting_works_whatever_the_names(tmp_path: Path) -> None:
    place = tmp_path / "tree"
    place.mkdir()
    os.mkdir(os.fsencode(place) + b"/\xff")  # noqa: PTH102 - a name that is no text
    (place / "link").symlink_to(tmp_path)
    delete(place)
    assert not place.exists()
    assert tmp_path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_in_a_users_store_all_is_his(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "store", Owners((7, 8)))
    writer.put_directory(WORK)
    for name, put in PUTS.items():
        put(writer)
        told = (writer.root / "room/thing").lstat()
        assert (name, told.st_uid, told.st_gid) == (name, 7, 8)
        delete(writer.root / "room")
    assert writer.root.stat().st_uid == 7


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_what_overlay_cannot_rename_is_removed_in_place(tmp_path: Path) -> None:
    lower = tmp_path / "lower/room/thing"
    lower.mkdir(parents=True)
    for number in range(3):
        (lower / f"d{number}/{'e/' * 60}").mkdir(parents=True)
        (lower / f"d{number}/file").touch()
    (lower / "outside").symlink_to(tmp_path)
    for name in ("upper", "work", "union"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["mount", "-t", "overlay", "none", "-o", options, tmp_path / "union"], check=True)
    try:
        Writer(tmp_path / "union", IN_IMAGE).remove("room/thing")
        assert list((tmp_path / "union/room").iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path / "union"], check=True)
    assert lower.exists()


@pytest.mark.parametrize(("inside", "place"), [("diff", "overlay/x/diff/same"), ("", "overlay/x/same")])
def test_a_failure_in_a_tree_names_the_whole_path(writer: Writer, inside: str, place: str) -> None:
    same = (Entry(b"same", Kind.DIRECTORY, 0o755, 0, 0, 0), b"")
    with pytest.raises(FileExistsError) as raised:
        writer.put_tree(
            PutTree(path="overlay/x", tree=Given((same, same)), files={}, directories=(), entries=3, size=0, inside=inside), lambda _: None
        )
    assert raised.value.filename == f"{writer.root}/{place}"
    assert not (writer.root / "overlay/x").exists()


@pytest.mark.parametrize("mode", [0o755, 0o1777, 0o555])
def test_a_tree_that_is_the_directory_itself(writer: Writer, mode: int) -> None:
    (writer.root / "a/t").mkdir(parents=True)
    (writer.root / "a/t/remains").touch()
    entries = ((Entry(b"d", Kind.DIRECTORY, 0o700, 0, 0, 0), b""), (Entry(b"d/f", Kind.FILE, 0o604, 0, 0, 0, 1), b"x"))
    step = PutTree(path="a/t", tree=Given(entries, mode), files={"beside": b"1"}, directories=("empty",), entries=3, size=1, inside="")
    writer.put_tree(step, lambda _: None)
    found = {str(place.relative_to(writer.root)): stat.S_IMODE(place.stat().st_mode) for place in (writer.root / "a").rglob("*")}
    assert found == {"a/t": mode, "a/t/beside": 0o644, "a/t/empty": 0o755, "a/t/d": 0o700, "a/t/d/f": 0o604}
    assert (writer.root / "a/t").stat().st_mtime_ns == 0
