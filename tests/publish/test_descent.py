"""Somebody who exchanges directories of a store for symlinks while it is written leads nothing out of it (spec P26)."""

from __future__ import annotations

import ctypes
import io
import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from cstore.delta import PutTree
from cstore.errors import PublishError
from cstore.layer.entry import Entry, Kind
from cstore.publish.descent import Descent
from cstore.publish.owners import Owners
from cstore.publish.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("SWAPS", "150"))
_HERE = -100
_EXCHANGE = 2
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    made = Writer(tmp_path / "store", Owners.of(tmp_path))
    made.put_directory("room/inner")
    outside = tmp_path / "outside/inner"
    outside.mkdir(parents=True)
    (outside / "thing").write_bytes(b"precious")
    (outside / "lock").write_bytes(b"precious")
    return made


@contextmanager
def exchanged(writer: Writer, outside: Path) -> Iterator[None]:
    """Exchange a directory of the store for a symlink to one outside, and back, all the time; each time at once."""
    room, other = os.fsencode(writer.root / "room"), os.fsencode(writer.root.parent / "other")
    os.symlink(outside, other)  # noqa: PTH211 - bytes, for the call below
    libc, ended = ctypes.CDLL(None, use_errno=True), threading.Event()

    def swap() -> None:
        while not ended.is_set():
            assert libc.renameat2(_HERE, room, _HERE, other, _EXCHANGE) == 0

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Leaves:
    """A tree of one file."""

    whiteouts = 0

    def walk(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        yield Entry(b"", Kind.DIRECTORY, 0o755, 0, 0, 0), iter(())
        yield Entry(b"file", Kind.FILE, 0o4755, 0, 0, 0, 1), iter([b"x"])


DOES: dict[str, Callable[[Writer], object]] = {
    "put file": lambda writer: writer.put_file("room/inner/thing", io.BytesIO(b"new")),
    "put index": lambda writer: writer.put_index("room/inner/thing", b"new"),
    "put lock": lambda writer: writer.put_lock("room/inner/lock", b"new"),
    "put symlink": lambda writer: writer.put_symlink("room/inner/thing", "new"),
    "put directory": lambda writer: writer.put_directory("room/inner/new"),
    "put tree": lambda writer: writer.put_tree(
        PutTree(path="room/inner/thing", tree=Leaves(), files={"link": b"x"}, directories=(), entries=2, size=1), lambda _: None
    ),
    "remove": lambda writer: writer.remove("room/inner/thing"),
    "remove empty": lambda writer: writer.remove_empty("room/inner"),
    "empty": lambda writer: writer.empty("room/inner", "thing", "none"),
    "tidy": lambda writer: writer.tidy("room/inner"),
    "keep": lambda writer: writer.keep("room/inner/thing", "kept"),
    "restore": lambda writer: writer.restore("room/inner/thing", "restored"),
}


@pytest.mark.parametrize("does", DOES)
def test_a_directory_that_is_exchanged_all_the_time(writer: Writer, tmp_path: Path, does: str) -> None:
    outside = tmp_path / "outside"
    with exchanged(writer, outside):
        for _ in range(ROUNDS):
            with suppress(PublishError, OSError):
                DOES[does](writer)
    assert {place.name: place.read_bytes() for place in (outside / "inner").iterdir()} == {"thing": b"precious", "lock": b"precious"}
    assert [(outside / "inner" / name).stat().st_nlink for name in ("thing", "lock")] == [1, 1]


@ROOT
def test_the_directory_of_another_user_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    os.chown(tmp_path / "store", 1234, 1234)
    for owners, user in ((Owners(None), 0), (Owners((5, 5)), 5)):
        with pytest.raises(PublishError) as error:
            Writer(tmp_path / "store", owners).put_directory("x")
        assert str(error.value) == f"{tmp_path}/store: expected the directory of user {user}, found one of user 1234"
    assert list((tmp_path / "store").iterdir()) == []


@ROOT
def test_a_directory_that_somebody_puts_in_the_place_of_a_new_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ground, real = Descent(tmp_path, Owners(None)), os.mkdir

    def beaten(name: str, mode: int, *, dir_fd: int) -> None:
        real(name, mode, dir_fd=dir_fd)
        os.chown(name, 1234, 1234, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", beaten)
    top = ground.enter("")
    try:
        with pytest.raises(PublishError, match=r"expected the directory new that was made just now, found another one$"):
            ground.made("new", top)
    finally:
        os.close(top)


def test_a_lock_with_another_name_is_not_written(writer: Writer, tmp_path: Path) -> None:
    (writer.root / "room/lock").hardlink_to(tmp_path / "outside/inner/thing")
    with pytest.raises(PublishError) as error:
        writer.put_lock("room/lock", b"new")
    assert str(error.value) == f"{writer.root}/room/lock: expected a file with this name alone, found something else"
    assert (tmp_path / "outside/inner/thing").read_bytes() == b"precious"


def test_a_fifo_in_the_place_of_a_lock_is_not_waited_for(writer: Writer) -> None:
    os.mkfifo(writer.root / "room/lock")
    with pytest.raises((PublishError, OSError)):
        writer.put_lock("room/lock", b"new")
