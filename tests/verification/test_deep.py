"""The content of layers: each way in which a tree can differ from its layer, and what a check makes of odd trees."""

from __future__ import annotations

import base64
import gzip
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from cstore.layer.tarsplit import SplitWriter
from cstore.publish.batch import publishing
from cstore.publish.writer import delete
from cstore.verification.store import verify
from tests.images import Image, directory, file, hardlink, tar, write_layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.verification.target import Target


def found(target: Target) -> list[str]:
    """Return the problems of a deep check, without the layer's ID in them."""
    return [f"{problem.code} {problem.said}" for problem in verify(target.root, deep=True)]


def in_base(action: Callable[[Path], object]) -> Callable[[Target], None]:
    """Return what does something in the tree of the base layer."""

    def plant(target: Target) -> None:
        action(target.diff(target.base))

    return plant


def in_top(action: Callable[[Path], object]) -> Callable[[Target], None]:
    def plant(target: Target) -> None:
        action(target.diff(target.top))

    return plant


def replace(path: Path, make: Callable[[Path], object]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)


def device(path: Path, major: int, minor: int) -> None:
    os.mknod(path, 0o20000, os.makedev(major, minor))


CONTENT = "etc/base: expected a file of 5 bytes with the content of the layer, found "
CASES: tuple[tuple[str, Callable[[Target], None], tuple[str, ...]], ...] = (
    ("other content", in_base(lambda diff: (diff / "etc/base").write_bytes(b"BASE\n")), (f"V63 {CONTENT}other content",)),
    (
        "another size",
        in_base(lambda diff: (diff / "etc/base").write_bytes(b"b")),
        (f"V63 {CONTENT}1 bytes; etc/base: expected 5 bytes, found 1",),
    ),
    (
        "a directory for a file",
        in_base(lambda diff: replace(diff / "etc/base", lambda path: path.mkdir())),
        (f"V63 {CONTENT}a directory; etc/base: expected a file, found a directory",),
    ),
    (
        "a fifo for a file",
        in_base(lambda diff: replace(diff / "etc/base", os.mkfifo)),
        (f"V63 {CONTENT}a fifo; etc/base: expected a file, found a fifo",),
    ),
    (
        "a symlink that leads out for a directory",
        in_base(lambda diff: replace(diff / "implied", lambda path: path.symlink_to("/etc"))),
        ("V63 implied: expected a directory, found a symlink",),
    ),
    (
        "a symlink that leads out for a file",
        in_base(lambda diff: replace(diff / "etc/base", lambda path: path.symlink_to("/etc/passwd"))),
        ("V63 etc/base: expected a file, found a symlink",),
    ),
    (
        "another mode",
        in_base(lambda diff: (diff / "etc").chmod(0o700)),
        ("V63 etc: expected mode 755, found 700",),
    ),
    (
        "another owner",
        in_base(lambda diff: os.chown(diff / "etc/base", 7, 8)),
        ("V63 etc/base: expected the owner 0:0, found 7:8",),
    ),
    (
        "a device for a whiteout",
        in_top(lambda diff: replace(diff / "etc/gone", lambda path: device(path, 1, 3))),
        ("V64 etc/gone: expected the device (0, 0), found another",),
    ),
    (
        "a file for a whiteout",
        in_top(lambda diff: replace(diff / "etc/gone", lambda path: path.touch())),
        ("V64 etc/gone: expected a device, found a file",),
    ),
)


@pytest.mark.parametrize(("name", "plant", "problems"), CASES, ids=[case[0] for case in CASES])
def test_a_tree_that_differs(target: Target, name: str, plant: Callable[[Target], None], problems: tuple[str, ...]) -> None:
    plant(target)
    told = found(target)
    assert len(told) == len(problems), name
    for said, expected in zip(told, problems, strict=True):
        code, _, rest = expected.partition(" ")
        assert said.startswith(f"{code} ")
        assert all(part in said for part in rest.split("; "))


def test_a_symlink_with_another_text(target: Target) -> None:
    link = target.diff(target.middle) / "etc/link"
    replace(link, lambda path: path.symlink_to("other"))
    assert found(target) == ['V63 etc/link: expected a symlink to "middle", found one to "other"']


def test_many_differences_of_a_layer_are_one_problem(target: Target) -> None:
    for number in range(20):
        (target.diff(target.base) / f"more-{number:02}").touch()
    told = "; ".join(f"more-{number:02}: expected nothing, found something" for number in range(3))
    assert found(target) == [f"V63 {told}; and 17 more"]


def test_without_a_tar_split_a_tree_is_still_walked(target: Target) -> None:
    target.tar_split(target.base).unlink()
    (target.diff(target.base) / ".wh.x").touch()
    assert [problem.split()[0] for problem in found(target)] == ["V71", "V61"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "V73"),
        (b"no gzip", "V72 expected a gzip stream, found damage (Not a gzipped file (b'no'))"),
    ],
)
def test_a_tar_split_that_is_none(target: Target, data: bytes, said: str) -> None:
    target.tar_split(target.top).write_bytes(data)
    assert [problem[: len(said)] for problem in found(target)] == [said]


@pytest.mark.parametrize("name", [b"../../../../etc/passwd", b"/etc/passwd", b"etc/link/x", b"", b"a\0b", b"x" * 5000])
def test_a_tar_split_that_names_a_file_outside_reads_none(target: Target, name: bytes) -> None:
    made = SplitWriter()
    made.file(name, os.stat("/etc/passwd").st_size, 0)  # noqa: PTH116 - any file will do
    with made.finish() as split:
        target.tar_split(target.top).write_bytes(split.read())
    assert [problem.split()[0] for problem in found(target)] == ["V63"]


def test_a_tree_as_deep_as_a_file_system_takes_it(target: Target) -> None:
    here = os.open(target.diff(target.base), os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    told = found(target)
    delete(target.diff(target.base) / ("d" * 200))
    assert len(told) == 1
    assert "File name too long" in told[0]


def test_a_tar_split_that_unpacks_without_end_is_not_read_to_it(target: Target) -> None:
    line = b'{"type":2,"payload":"' + base64.b64encode(bytes(1 << 20)) + b'","position":0}\n'
    target.tar_split(target.top).write_bytes(gzip.compress(line * 50) * 200)
    start = time.process_time()
    assert found(target) == ["V73 expected a tar of 4096 bytes, found more"]
    assert time.process_time() - start < 5


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """The tree of a layer with a hard link, in a store."""
    image = Image(layers=(tar(directory("etc"), file("etc/a", b"text\n", 0o640), hardlink("etc/b", "etc/a", mode=0o640)),))
    with publishing(tmp_path / "store") as batch:
        batch.add(write_layout(tmp_path / "image", image), name="x.example.org/y:1")
    return tmp_path / "store/overlay" / image.diff_ids[0].removeprefix("sha256:") / "diff"


def written(content: bytes, mode: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)
        path.chmod(mode)

    return write


OTHER = "expected the content of etc/a, found other content"
LINKS: tuple[tuple[str, Callable[[Path], object], tuple[str, ...]], ...] = (
    ("the same content, as where links are broken up", written(b"text\n", 0o640), ()),
    (
        "other content",
        written(b"TEXT\n", 0o640),
        (OTHER,),
    ),
    (
        "more content",
        written(b"text\n\n", 0o640),
        (OTHER,),
    ),
    ("another mode", written(b"text\n", 0o4777), ("expected mode 640, found 4777",)),
    ("a symlink", lambda path: path.symlink_to("/etc/shadow"), ("expected a file as at etc/a, found a symlink",)),
    ("a directory", lambda path: path.mkdir(), ("expected a file as at etc/a, found a directory",)),
    ("a fifo", os.mkfifo, ("expected a file as at etc/a, found a fifo",)),
)


@pytest.mark.parametrize(("name", "make", "said"), LINKS, ids=[case[0] for case in LINKS])
def test_a_hard_link(linked: Path, name: str, make: Callable[[Path], object], said: tuple[str, ...]) -> None:
    replace(linked / "etc/b", make)
    problems = list(verify(linked.parents[2], deep=True))
    assert [(problem.code, problem.said) for problem in problems] == [("V63", f"etc/b: {text}") for text in said], name
