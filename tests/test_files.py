"""Files that may be anything: no symlink is followed, no fifo waited for, nothing read without end."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from cstore.files import Directory, UnreadableError, kind_of, locked, read_all
from cstore.index.lock import request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Directory]:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "directory").mkdir(0o755)
    (tmp_path / "directory/inner").write_bytes(b"")
    (tmp_path / "link").symlink_to("directory")
    (tmp_path / "out").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as made, suppress(OSError):
        made.bind(str(tmp_path / "socket"))
    opened = Directory.at(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("file", "a file"),
        ("directory", "a directory"),
        ("link", "a symlink"),
        ("fifo", "a fifo"),
        ("socket", "a socket"),
        ("none", "nothing"),
        ("a\0b", "nothing"),
        ("x" * 5000, "nothing"),
    ],
)
def test_what_a_name_is(top: Directory, name: str, found: str) -> None:
    assert top.found(name) == found


def test_something_else_is_told_as_such() -> None:
    assert kind_of(0) == "something else"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("directory", "a directory"),
        ("link", "a symlink"),
        ("out", "a symlink"),
        ("fifo", "a fifo"),
        ("none", "nothing"),
        ("a\0b", "nothing"),
    ],
)
def test_what_is_no_file_is_not_read(top: Directory, name: str, found: str) -> None:
    with pytest.raises(UnreadableError, match=f"^{found}$"):
        top.read(name, 10)


def test_a_file_is_read_as_far_as_asked(top: Directory) -> None:
    assert top.read("file", 4) == b"text"
    with pytest.raises(UnreadableError, match=r"^more than 3 bytes$"):
        top.read("file", 3)


def test_what_never_ends_is_read_as_far_as_asked() -> None:
    file = os.open("/dev/zero", os.O_RDONLY)
    with pytest.raises(UnreadableError, match=r"^more than 5000000 bytes$"):
        read_all(file, 5_000_000)
    os.close(file)


@pytest.mark.parametrize(("name", "is_there"), [("directory", True), ("link", False), ("file", False), ("none", False), ("a\0b", False)])
def test_only_directories_are_entered(top: Directory, name: str, is_there: bool) -> None:  # noqa: FBT001 - of a table
    with top.opened(name) as inner:
        assert (inner is not None) == is_there
        assert inner is None or (inner.path, list(inner.entries())) == ("directory", ["inner"])


def test_names_say_whether_they_are_directories(top: Directory) -> None:
    entries = top.entries()
    assert list(entries) == sorted(entries)
    assert [name for name, is_directory in entries.items() if is_directory] == ["directory"]


def test_targets_of_symlinks(top: Directory) -> None:
    assert [top.target(name) for name in ("link", "out", "file", "none", "a\0b")] == ["directory", "/etc/passwd", None, None, None]


@pytest.mark.parametrize(
    ("name", "mode", "is_open"),
    [
        ("file", 0o644, True),
        ("file", 0o640, False),
        ("directory", 0o755, True),
        ("directory", 0o754, False),
        ("directory", 0o751, False),
        ("none", 0, True),
    ],
)
def test_what_others_can_read(top: Directory, tmp_path: Path, name: str, mode: int, is_open: bool) -> None:  # noqa: FBT001 - of a table
    if mode:
        (tmp_path / name).chmod(mode)
    assert top.is_open_to_all(name) == is_open


def test_a_lock_is_held_as_podman_holds_it(top: Directory, tmp_path: Path) -> None:
    with locked(top, "file"), (tmp_path / "file").open("rb+") as other, pytest.raises(BlockingIOError):
        fcntl.fcntl(other, fcntl.F_OFD_SETLK, request(fcntl.F_WRLCK))


def test_a_writer_is_waited_for_but_not_for_ever(top: Directory, tmp_path: Path) -> None:
    with (tmp_path / "file").open("rb+") as writer:
        fcntl.fcntl(writer, fcntl.F_OFD_SETLK, request(fcntl.F_WRLCK))
        timer = threading.Timer(0.2, lambda: fcntl.fcntl(writer, fcntl.F_OFD_SETLK, request(fcntl.F_UNLCK)))
        timer.start()
        start = time.monotonic()
        with locked(top, "file"):
            assert 0.1 < time.monotonic() - start < 4
        timer.join()
        fcntl.fcntl(writer, fcntl.F_OFD_SETLK, request(fcntl.F_WRLCK))
        start = time.monotonic()
        with locked(top, "file"):
            assert 4 < time.monotonic() - start < 20


@pytest.mark.parametrize("name", ["fifo", "none", "directory"])
def test_what_is_no_lock_holds_nobody_up(top: Directory, name: str) -> None:
    with locked(top, name):
        pass
