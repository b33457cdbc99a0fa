from __future__ import annotations

import io

import pytest
from attrs import evolve

from cstore.errors import ContentError
from cstore.layer.blob import BlobReader
from cstore.layer.entry import Entry, Kind
from cstore.layer.scan import kept_xattrs, scan
from tests.images import Member, device, directory, fifo, file, hardlink, opaque, symlink, tar, whiteout
from tests.layer.stacks import nodes, trees
from tests.layer.tars import DIALECTS, PIECES, blob_of


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_a_layer_is_measured_to_be(compression: str) -> None:
    made = tar(
        file("a/b", b"12345", uid=7, gid=70),
        hardlink("c", "a/b", uid=3, gid=70),
        symlink("d", "c"),
        whiteout("e/f"),
        file(".wh..wh.aufs", b"reserved", uid=99),
        device("null", 1, 3, uid=5),
        device("hidden", 0, 0),
    )
    found = blob_of(made, compression).scan()
    found.tar_split.close()
    assert found.compression == compression
    assert found.diff_size == len(made)
    assert found.uids == (0, 3, 5, 7)
    assert found.gids == (0, 70)
    assert found.entries == 5 + len([b"a", b"e"]) + len([b"e/f"])
    assert found.content == 5
    assert found.devices == ("null",)


def test_what_cernvm_fs_would_take_for_something_else_is_named() -> None:
    made = (
        file("a/.cvmfscatalog"),
        directory(".cvmfs"),
        file(".cvmfsgraft-x"),
        file("a.cvmfs"),
        symlink("s", "/$(HOME)/x"),
        symlink("t", "$x)"),
        fifo("p"),
        device("c", 1, 3),
        device("w", 0, 0),
    )
    found = blob_of(tar(*made)).scan()
    found.tar_split.close()
    assert found.reserved == ("a/.cvmfscatalog", ".cvmfs", ".cvmfsgraft-x")
    assert found.variables == ("s",)
    assert found.special == 3
    assert found.devices == ("c",)


def test_holes_are_not_counted_as_content() -> None:
    found = blob_of(DIALECTS["gnu sparse"]).scan()
    found.tar_split.close()
    assert found.content == len(PIECES)


def test_attributes_that_are_left_out_or_need_root_are_counted() -> None:
    xattrs = {
        "user.a": b"1",
        "security.capability": b"2",
        "security.selinux": b"3",
        "trusted.overlay.opaque": b"y",
        "user.overlay.redirect": b"/etc",
        "user.fuseoverlayfs.whiteout": b"y",
        "trusted.other": b"4",
    }
    found = blob_of(tar(directory("d", xattrs=xattrs), file("f", xattrs={"user.b": b""}))).scan()
    found.tar_split.close()
    assert (found.xattrs, found.dropped_xattrs, found.privileged_xattrs) == (4, 4, 2)


@pytest.mark.parametrize(
    ("name", "is_kept"),
    [
        ("user.a", True),
        ("user.overlay", True),
        ("security.capability", True),
        ("security.ima", True),
        ("system.posix_acl_access", True),
        ("trusted.overlays", True),
        ("security.selinux", False),
        ("trusted.overlay.metacopy", False),
        ("trusted.overlay.overlay.whiteout", False),
        ("user.overlay.whiteouts", False),
        ("user.fuseoverlayfs.opaque", False),
    ],
)
def test_attributes_that_files_get(name: str, is_kept: bool) -> None:  # noqa: FBT001 - a column
    entry = Entry(b"a", Kind.FILE, 0, 0, 0, 0, xattrs=((name, b"x"), ("user.z", b"")))
    assert (name in dict(kept_xattrs(entry))) is is_kept
    assert "user.z" in dict(kept_xattrs(entry))


@pytest.mark.parametrize("kind", [Kind.SYMLINK, Kind.FIFO, Kind.CHARACTER, Kind.BLOCK])
def test_linux_has_attributes_of_users_on_files_and_directories_only(kind: Kind) -> None:
    entry = Entry(b"a", kind, 0, 0, 0, 0, xattrs=(("user.a", b"1"), ("trusted.b", b"2")))
    assert kept_xattrs(entry) == (("trusted.b", b"2"),)


@pytest.mark.parametrize(
    "made", [(), (file("a"),), (opaque("x/y"),), (opaque("x"), whiteout("x")), (whiteout("a"), file("a/b")), (whiteout("x/y/z"),)]
)
def test_entries_are_as_many_as_a_base_layer_writes(made: tuple[Member, ...]) -> None:
    found = blob_of(tar(*made)).scan()
    found.tar_split.close()
    assert found.entries == len(nodes(trees([tar(*made)])[0].walk())) - 1


def test_what_comes_after_the_end_is_kept_and_verified() -> None:
    made = blob_of(tar(file("a", b"x")) + b"garbage" * 20_000, "gzip")
    found = made.scan()
    found.tar_split.close()
    assert found.diff_size == len(tar(file("a", b"x"))) + 140_000
    with pytest.raises(ContentError, match="expected diff ID"):
        evolve(made, diff_id=blob_of(b"").diff_id).scan()


def test_errors_name_the_layer_and_the_member() -> None:
    made = blob_of(tar(file("a"), file("a")))
    reader = BlobReader(io.BytesIO(made.data), made.descriptor, made.diff_id)
    with pytest.raises(ContentError, match=r'^oci:x: layers\[3\]: member "a": expected a name once, found it twice$'):
        scan(reader, "oci:x: layers[3]")
    reader.close()


def test_the_tar_split_can_be_opened_again_and_again() -> None:
    found = blob_of(tar(file("a", b"x"))).scan()
    first = found.open_tar_split().read()
    assert len(first) == found.tar_split_size
    assert found.open_tar_split().read() == first
    found.tar_split.close()
