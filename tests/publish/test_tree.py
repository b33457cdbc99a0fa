from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.errors import ContentError
from cstore.publish.owners import Owners
from tests.images import END, Member, device, directory, fifo, file, hardlink, opaque, symlink, tar, whiteout
from tests.layer.stacks import trees
from tests.layer.tars import HOLED, PIECES, base256, blob_of, gnu_tar, patched, sparse
from tests.layer.test_tree import FIRST, changing
from tests.publish.trees import Seen, discard, seen, write

if TYPE_CHECKING:
    from collections.abc import Iterator


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and make devices")
USER = 1000


def written(made: bytes, top: Path, owners: Owners = Owners(None)) -> dict[bytes, Seen]:  # noqa: B008 - a frozen value
    write(trees([made])[0], top, owners)
    return seen(top)


@contextmanager
def user() -> Iterator[Owners]:
    """Be a plain user for a while."""
    if os.geteuid() != 0:
        yield Owners((os.geteuid(), os.getegid()))
        return
    os.setegid(USER)
    os.seteuid(USER)
    try:
        yield Owners((USER, USER))
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that every user reaches and may write."""
    with tempfile.TemporaryDirectory() as made:
        top = Path(made)
        top.chmod(0o777)
        yield top
        for place in top.iterdir():
            discard(place)


CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
ALL_KINDS = (
    directory("./", 0o1777, uid=1, gid=2, mtime=1_600_000_000.5),
    directory("./usr/", 0o2755, uid=3, gid=4, mtime=1.25),
    file("./usr/empty", mode=0o400),
    file("./usr/suid", b"x" * 70_000, 0o6755, uid=5, gid=6, mtime=1_700_000_000.125),
    file("./usr/" + "n" * 255, b"long"),
    file(b"./usr/\xff\xe2\x82\xac\n", b"strange"),
    file("./usr/ping", b"elf", 0o755, xattrs={"security.capability": CAPABILITY}),
    file("./usr/marked", b"m", 0o444, xattrs={"user.a": b"\0\n=", "user.b": b"", "trusted.c": b"1"}),
    hardlink("./usr/same", "./usr/suid"),
    symlink("./usr/link", "../../../etc/passwd", uid=7, gid=8, mtime=3.5, xattrs={"trusted.c": b"2"}),
    hardlink("./usr/linked", "./usr/link"),
    symlink("./usr/dangling", b"\xff" * 500),
    device("./null", 1, 3, mode=0o666, uid=9, xattrs={"trusted.c": b"3"}),
    device("./disk", 8, 200, b"4", mode=0o660, gid=6),
    fifo("./pipe", mode=0o622, uid=10),
    directory("./sealed", 0),
    file("./sealed/in", b"in", 0),
    directory("./" + "/".join(["deep"] * 40)),
)


@as_root
def test_what_is_written_is_what_gnu_tar_extracts(tmp_path: Path) -> None:
    made = tar(*ALL_KINDS)
    ours = written(made, tmp_path / "ours")
    (tmp_path / "theirs").mkdir()
    options = ["--numeric-owner", "--same-owner", "--xattrs", "--xattrs-include=*", "--delay-directory-restore", "-xpf", "-"]
    subprocess.run(["tar", "-C", tmp_path / "theirs", *options], input=made, check=True, capture_output=True)
    implied = {os.fsencode("/".join(["deep"] * depth)) for depth in range(1, 40)}
    theirs = seen(tmp_path / "theirs")
    assert set(ours) == set(theirs)
    assert {path: ours[path] for path in ours if path not in implied} == {path: theirs[path] for path in theirs if path not in implied}


@as_root
@pytest.mark.parametrize(
    "options",
    [
        ["--format=v7", "--exclude=./pipe"],
        ["--format=oldgnu"],
        ["--format=gnu"],
        ["--format=ustar"],
        ["--format=pax"],
        ["--format=gnu", "--sparse"],
        ["--format=pax", "--sparse", "--sparse-version=0.0"],
        ["--format=pax", "--sparse", "--sparse-version=0.1"],
        ["--format=pax", "--sparse", "--sparse-version=1.0"],
        ["--format=pax", "--xattrs", "--xattrs-include=*"],
    ],
    ids=" ".join,
)
def test_trees_packed_by_gnu_tar(tmp_path: Path, options: list[str]) -> None:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d" / "plain").write_bytes(b"plain\n" * 999)
    (source / "d" / ("n" * 90)).write_bytes(b"long")
    (source / "d" / "link").symlink_to("../elsewhere")
    (source / "d" / "hard").hardlink_to(source / "d" / "plain")
    os.mkfifo(source / "pipe")
    for name, pieces in {
        "holes": [(0, 5), (1 << 20, 3), (5 << 20, 70_000)],
        "many": [(at << 16, 4096) for at in range(60)],
        "none": [],
    }.items():
        with (source / name).open("wb") as data:
            for offset, length in pieces:
                data.seek(offset)
                data.write(b"p" * length)
            data.truncate(6 << 20)
    os.setxattr(source / "d" / "plain", "user.kept", b"x")
    made = gnu_tar(source, "--numeric-owner", *options)
    ours = written(made, tmp_path / "ours")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    subprocess.run(["tar", "-C", theirs, "--xattrs", "--xattrs-include=*", "-xpf", "-"], input=made, check=True, capture_output=True)
    assert ours == seen(theirs)
    if "--sparse" in options:
        assert (tmp_path / "ours" / "none").stat().st_blocks == 0


@pytest.mark.parametrize("dialect", ["gnu", "0.0", "0.1", "1.0"])
def test_holes_stay_holes(tmp_path: Path, dialect: str) -> None:
    made = sparse(b"s", dialect) + sparse(b"t", dialect) + END
    assert write(trees([made])[0], tmp_path / "made", Owners((os.geteuid(), os.getegid()))) == 2 * len(PIECES)
    assert (tmp_path / "made" / "s").read_bytes() == (tmp_path / "made" / "t").read_bytes() == HOLED


@as_root
def test_whiteouts_are_devices_and_marks_are_nothing(tmp_path: Path) -> None:
    stack = [tar(file("a/b", b"1"), file("a/c", b"2"), file("d")), tar(opaque("a"), file("a/c", b"3"), whiteout("d"))]
    write(trees(stack)[1], tmp_path / "made")
    found = seen(tmp_path / "made")
    assert set(found) == {b".", b"a", b"a/b", b"a/c", b"d"}
    for path in (b"a/b", b"d"):
        assert (found[path].kind, found[path].device) == (stat.S_IFCHR, 0)


def test_a_plain_user_gets_all_files_and_no_devices(shared: Path) -> None:
    made = tar(
        *(evolve(member, xattrs={}) for member in ALL_KINDS),
        file("user", b"u", xattrs={"user.a": b"1", "security.capability": CAPABILITY, "trusted.c": b"1"}),
        whiteout("gone"),
    )
    with user() as owners:
        found = written(made, shared / "made", owners)
        assert {item.owner for item in found.values()} == {owners.one}
    assert b"null" not in found
    assert b"disk" not in found
    assert found[b"gone"].device == 0
    assert found[b"user"].xattrs == (("user.a", b"1"),)
    assert found[b"pipe"].kind == stat.S_IFIFO


def test_a_plain_user_sets_attributes_of_files_that_nobody_may_write(shared: Path) -> None:
    with user() as owners:
        found = written(
            tar(file("a", b"x", 0o444, xattrs={"user.a": b"1"}), directory("d", 0o555, xattrs={"user.a": b"1"})), shared / "made", owners
        )
    assert found[b"a"].xattrs == found[b"d"].xattrs == (("user.a", b"1"),)


@pytest.mark.parametrize("link", [hardlink("e", "d"), hardlink("e", "h")])
def test_hard_links_to_devices_that_are_left_out_are_left_out_too(shared: Path, link: Member) -> None:
    made = tar(device("d", 1, 3), hardlink("h", "d"), link, file("f"))
    with user() as owners:
        assert set(written(made, shared / "made", owners)) == {b".", b"f"}


@as_root
def test_root_keeps_a_users_store_his(tmp_path: Path) -> None:
    found = written(tar(*ALL_KINDS), tmp_path / "made", Owners((USER, USER)))
    assert {item.owner for item in found.values()} == {(USER, USER)}
    assert b"null" not in found


@pytest.mark.parametrize("path", ["/".join(["a"] * 2048), "/".join(["p" * 255] * 15) + "/" + "q" * 255])
def test_the_longest_names(tmp_path: Path, path: str) -> None:
    tree = trees([tar(file(path, b"x"))])[0]
    top = tmp_path / "made"
    owners = Owners((os.geteuid(), os.getegid()))
    write(tree, top, owners)
    handle = os.open(top, os.O_RDONLY)
    assert os.stat(path, dir_fd=handle).st_size == 1
    os.close(handle)
    discard(top)


def test_an_attribute_that_the_file_system_refuses_is_named(tmp_path: Path) -> None:
    tree = trees([tar(file("a", xattrs={"user." + "n" * 251: b"1"}))])[0]
    with pytest.raises(OSError, match=r"\(extended attribute user\.nnn"):
        write(tree, tmp_path / "made", Owners((os.geteuid(), os.getegid())))


@pytest.mark.parametrize(
    "second",
    [
        tar(symlink("a", "../outside"), file("a/b", b"1"), file("c", b"2")),
        tar(file("a/b", b"1"), symlink("c", "../outside"), file("c/d")),
        tar(file("a/b", b"1"), symlink("x", "../outside"), hardlink("c", "x/secret")),
        tar(file("a/b", b"1"), file("c", b"2"), file("a/b", b"again")),
        tar(file("a/b", b"1"), file("../outside/new", b"2")),
        tar(file("a/b", b"1" * 99999), file("c", b"2")),
        FIRST[:600],
    ],
)
def test_a_blob_that_changes_between_the_readings_does_not_get_out(tmp_path: Path, second: bytes) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    before = seen(outside)
    with pytest.raises((ContentError, OSError)):
        write(changing(FIRST, blob_of(second)), tmp_path / "made", Owners((os.geteuid(), os.getegid())))
    assert seen(outside) == before


def test_numbers_that_no_system_call_takes_are_never_written(tmp_path: Path) -> None:
    made = patched(patched(tar(device("d", 1, 3))[:512], 329, base256(1 << 50, 8)), 337, base256(1, 8)) + END
    with pytest.raises(ContentError):
        written(made, tmp_path / "made")
