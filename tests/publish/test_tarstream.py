from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from cstore.delta import PutSymlink, PutTree, Remove, ReplaceIndex, file_of
from cstore.layer.entry import Entry, Kind
from cstore.publish.batch import Batch
from cstore.publish.tarstream import POISON, TarStream, header
from tests.images import Image, device, directory, fifo, file, hardlink, symlink, tar, whiteout, write_layout
from tests.publish.trees import Given
from tools.cvmfs_standin.site import CommandError
from tools.cvmfs_standin.tarstream import TarStream as Archive

if TYPE_CHECKING:
    from pathlib import Path

    from cstore.delta import Step

LONG = "d" * 120 + "/" + "f" * 120
LAYERS = (
    tar(
        directory("tmp", 0o1777), file("tmp/a", b"1" * 1000, uid=3_000_000), hardlink("tmp/b", "tmp/a"), symlink("l", "x" * 300), file(LONG)
    ),
    tar(whiteout("tmp/a"), device("dev/null", 1, 3), fifo("p"), file("big", bytes(3 << 20)), file("tmp/empty")),
)


def written(root: Path, base: str = "podmanStore") -> list[bytes]:
    """Return the pieces in which the delta of a new store is written."""
    write_layout(root / "layout", Image(layers=LAYERS))
    batch = Batch(root / "store")
    pieces: list[bytes] = []
    try:
        batch.add(f"oci:{root / 'layout'}", name="localhost/x:1")
        stream = TarStream(pieces.append, base)
        for step in batch.plan():
            stream.put(step)
        stream.finish()
        assert stream.size == sum(map(len, pieces))
    finally:
        batch.close()
    return pieces


def opened(pieces: list[bytes]) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        return {member.name: member for member in archive}


def test_directories_come_before_what_is_in_them(tmp_path: Path) -> None:
    """Spec C2: every directory has an entry of its own, before anything that is in it."""
    made: set[str] = set()
    for name, member in opened(written(tmp_path)).items():
        above = name.rpartition("/")[0]
        assert not above or above in made, name
        if member.isdir():
            made.add(name)


def test_a_name_that_comes_twice_comes_only_from_steps_that_do(tmp_path: Path) -> None:
    """Spec C4: only the indexes of a new store, which are empty first, come twice; the publisher leaves the first out."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(written(tmp_path)))) as archive:
        names = [member.name.rpartition("/")[2] for member in archive]
        twice = {name for name in names if names.count(name) > 1 and name.endswith((".json", ".lock"))}
    assert twice == {"layers.json", "layers.lock", "images.json", "images.lock"}


def test_a_tree_is_written_as_its_image_has_it(tmp_path: Path) -> None:
    members = opened(written(tmp_path))
    found = {name.partition("/diff/")[2]: member for name, member in members.items() if "/diff/" in name}
    assert (found["tmp"].mode, found["tmp"].type) == (0o1777, tarfile.DIRTYPE)
    assert (found["tmp/b"].type, found["tmp/b"].linkname.partition("/diff/")[2]) == (tarfile.LNKTYPE, "tmp/a")
    assert (found["l"].type, found["l"].linkname) == (tarfile.SYMTYPE, "x" * 300)
    assert (found["p"].type, found["dev/null"].type) == (tarfile.FIFOTYPE, tarfile.CHRTYPE)
    assert (found["dev/null"].devmajor, found["dev/null"].devminor) == (1, 3)
    assert found["big"].size == 3 << 20
    assert LONG in found


def test_a_whiteout_is_a_device_and_never_a_name(tmp_path: Path) -> None:
    """Spec C5, C12: deleted names are devices 0/0, and no name begins with `.wh.`."""
    members = opened(written(tmp_path))
    hidden = [member for name, member in members.items() if name.endswith("/diff/tmp/a") and member.ischr()]
    assert [(member.devmajor, member.devminor, member.mode) for member in hidden] == [(0, 0, 0)]
    assert not [name for name in members if "/.wh." in name]


@pytest.mark.parametrize("base", ["", "podmanStore", "some/where"])
def test_all_is_below_the_base(tmp_path: Path, base: str) -> None:
    assert {name for name in opened(written(tmp_path, base)) if not (name + "/").startswith(base + "/" if base else "")} <= {"some"}


def test_a_reader_is_inside_a_block_until_the_last_write(tmp_path: Path) -> None:
    """Spec C8: whatever of the stream a pipe has passed on when its writer dies ends inside a block."""
    *before, last = map(len, written(tmp_path))
    assert before[0] % 512
    assert [size % 512 for size in before[1:]] == [0] * (len(before) - 1)
    assert [size for size in before[1:] if size % 4096 and size > 4096] == [], "a pipe does not part a page, nor what is less"
    assert 0 < last <= 4096


@pytest.mark.parametrize("blocks", range(9))
def test_what_comes_before_the_last_write_is_no_tar_if_that_fails(blocks: int) -> None:
    """Spec C7, C8: a reader takes one block of zeros for the end, and looks at nothing behind it."""
    pieces: list[bytes] = []
    stream = TarStream(pieces.append, "x")
    stream.put(file_of("a", b"1" * 512 * blocks))
    stream.finish()
    assert [entry.name for entry in Archive(io.BytesIO(b"".join(pieces))).entries()] == ["x", "x/a"]
    assert stream.size == len(b"".join(pieces))
    *before, _ = pieces
    for ending in ([], [POISON]):
        with pytest.raises(CommandError, match=r"^Fatal error in reading the archive"):
            list(Archive(io.BytesIO(b"".join([*before, *ending]))).entries())


def test_a_poisoned_stream_is_no_tar(tmp_path: Path) -> None:
    """Spec C7: a stream that goes on with what is no tar header is refused."""
    pieces: list[bytes] = []
    stream = TarStream(pieces.append, "x")
    stream.put(file_of("a", b"1"))
    stream.poison()
    assert pieces == [], "what has not begun is none"
    stream.put(file_of("a", b"1"))
    stream.flush()
    stream.poison()
    assert pieces[1:] == [POISON]
    with pytest.raises(tarfile.ReadError):
        opened(pieces)
    assert tmp_path.exists()


def test_steps_that_are_no_trees() -> None:
    pieces: list[bytes] = []
    stream = TarStream(pieces.append, "x")
    stream.put(PutSymlink(path="overlay/l/A", target="../B/diff"))
    stream.put(ReplaceIndex(path="i/i.json", lock_path="i/i.lock", data=b"[]", lock=bytes(64)))
    stream.put(Remove(path="gone"))
    stream.finish()
    members = opened(pieces)
    assert [*members] == ["x", "x/overlay", "x/overlay/l", "x/overlay/l/A", "x/i", "x/i/i.json", "x/i/i.lock"]
    assert (members["x/overlay/l/A"].mode, members["x/i/i.json"].size, members["x/i/i.lock"].size) == (0o777, 2, 64)
    assert stream.entries == 7


@pytest.mark.parametrize("length", [1, 99, 100, 101, 155, 156, 255, 256, 300, 4000])
@pytest.mark.parametrize("part", [40, 100, 101, 250])
def test_names_of_any_length(length: int, part: int) -> None:
    name = "/".join("n" * part for _ in range(length // part + 1))[:length].rstrip("/")
    block = header(name.encode(), Entry(b"", Kind.FILE, 0o644, 0, 0, 0), b"")
    with tarfile.open(fileobj=io.BytesIO(block + bytes(1024))) as archive:
        assert archive.getnames() == [name]


@pytest.mark.parametrize(("uid", "size"), [(0, 0), (2**21 - 1, 8**11 - 1), (2**21, 8**11), (2**32 - 2, 2**60)])
def test_numbers_of_any_size(uid: int, size: int) -> None:
    block = header(b"n", Entry(b"", Kind.FILE, 0o4755, uid, uid, 1_700_000_000_999_999_999, size=size), b"")
    member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    assert (member.uid, member.gid, member.size, member.mode, member.mtime) == (uid, uid, size, 0o4755, 1_700_000_000)


def test_a_sparse_file_is_filled(tmp_path: Path) -> None:
    entry = Entry(b"s", Kind.FILE, 0o644, 0, 0, 0, size=1 << 17, pieces=((512, 3), (70_000, 2)))

    class OneFile:
        def walk(self) -> list[tuple[Entry, object]]:
            return [(Entry(b"", Kind.DIRECTORY, 0o755, 0, 0, 0), iter(())), (entry, iter([b"ab", b"cde"]))]

    pieces: list[bytes] = []
    stream = TarStream(pieces.append, "")
    stream.put(PutTree(path="t", tree=OneFile(), files={}, directories=(), entries=2, size=5))  # type: ignore[arg-type]  # a tree of one file
    stream.finish()
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        content = archive.extractfile("t/diff/s")
        assert content is not None
        data = content.read()
    expected = bytearray(1 << 17)
    expected[512:515], expected[70_000:70_002] = b"abc", b"de"
    assert data == expected
    assert tmp_path.exists()


def test_a_directory_alone_is_a_stream() -> None:
    pieces: list[bytes] = []
    stream = TarStream(pieces.append, "team/store")
    stream.directory("")
    stream.finish()
    assert [(name, member.isdir()) for name, member in opened(pieces).items()] == [("team", True), ("team/store", True)]


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("diff", ["r", "r/a", "r/a/t", "r/a/t/.cvmfscatalog", "r/a/t/empty", "r/a/t/diff", "r/a/t/diff/f", "r/a/t/diff/g"]),
        (
            "root/fs",
            [
                "r",
                "r/a",
                "r/a/t",
                "r/a/t/.cvmfscatalog",
                "r/a/t/empty",
                "r/a/t/root",
                "r/a/t/root/fs",
                "r/a/t/root/fs/f",
                "r/a/t/root/fs/g",
            ],
        ),
        ("", ["r", "r/a", "r/a/t", "r/a/t/.cvmfscatalog", "r/a/t/empty", "r/a/t/f", "r/a/t/g"]),
    ],
)
def test_a_tree_inside_of_its_directory_or_as_it(inside: str, expected: list[str]) -> None:
    entries = ((Entry(b"f", Kind.FILE, 0o640, 1, 2, 0, 1), b"x"), (Entry(b"g", Kind.HARDLINK, 0o640, 1, 2, 0, target=b"f"), b""))
    steps: list[Step] = [
        PutTree(
            path="a/t", tree=Given(entries, 0o711), files={".cvmfscatalog": b""}, directories=("empty",), entries=3, size=1, inside=inside
        ),
        PutSymlink(path="a/t/l", target="f"),
    ]
    pieces: list[bytes] = []
    stream = TarStream(pieces.append, "r")
    for step in steps:
        stream.put(step)
    stream.finish()
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == [*expected, "r/a/t/l"]
    by_name = {member.name.removeprefix("r/"): member for member in members}
    top = by_name[f"a/t/{inside}".rstrip("/")]
    assert (top.mode, top.uid, top.gid) == (0o711, 7, 8)
    assert by_name[f"{top.name.removeprefix('r/')}/g"].linkname == f"{top.name}/f"
    assert by_name["a"].mode == 0o755
