"""Layers of hostile images, by the known classes of attacks on what unpacks them: each refused, or unpacked to just this tree.

What `test_bad_layers.py` refuses is not tried again here. Nothing outside of the store changes in any case.
"""

from __future__ import annotations

import gzip
import os
import stat
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError, PublishError, StoreError
from cstore.publish.batch import publishing
from tests.images import (
    BLOCK,
    END,
    Image,
    device,
    directory,
    fifo,
    file,
    hardlink,
    header,
    json_of,
    opaque,
    padded,
    put_blob,
    put_image,
    put_index,
    symlink,
    tar,
    whiteout,
    write_layout,
)
from tests.layer.tars import base256, long_name, octal, old_sparse, patched, pax, sealed

if TYPE_CHECKING:
    from pathlib import Path

NAME = "registry.example.org/hostile:1"
LOWER = tar(
    directory("d"),
    file("d/a", b"good"),
    symlink("out", "../../../../../outside"),
    symlink("etc", "/etc"),
    directory("full"),
    file("full/x"),
)
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and gives files away")
SMUGGLED = header(b"smuggled", 4) + padded(b"evil")
DEEP = b"/".join([b"d"] * 10_000)
LOOPS = tar(symlink("a", "b"), symlink("b", "a"), symlink("self", "self"), symlink("up", "../../../../../../.."), file("f"))

REFUSED: dict[str, tuple[bytes, str]] = {
    "CVE-2021-29136, a symlink in the place of the top": (
        tar(symlink(".", "/etc"), file("passwd")),
        'member ".": expected the top directory once, found it twice or as something else',
    ),
    "the same, called ./": (tar(symlink("./", "../outside")), "expected the top directory once"),
    "the same, called /": (tar(symlink("/", "../outside")), "expected the top directory once"),
    "CVE-2021-32803, a directory that becomes a symlink": (
        tar(directory("d"), symlink("d", "/etc"), file("d/passwd")),
        'member "d": expected a name once, found it twice',
    ),
    "CVE-2018-1002200, a symlink with a slash behind it": (
        tar(symlink("l/", "/etc"), file("l/passwd")),
        'member "l": expected a directory',
    ),
    "CVE-2014-6407, a symlink and a hard link to it": (
        tar(symlink("l", "../outside/secret"), hardlink("h", "l"), file("h/x")),
        'member "h": expected a directory, since other members are in it, found a hard link',
    ),
    "a hard link out by PAX": (
        pax({b"linkpath": b"/etc/shadow"}) + header(b"h", kind=b"1", target=b"d") + END,
        "target: expected a relative name",
    ),
    "a hard link to itself": (tar(hardlink("h", "h")), 'member "h": expected a hard link to an earlier file'),
    "hard links in a circle": (tar(hardlink("a", "b"), hardlink("b", "a")), 'member "a": expected a hard link to an earlier file'),
    "a hard link to the top": (
        tar(hardlink("h", ".")),
        'member "h": expected a hard link to an earlier file of this layer, found one to ""',
    ),
    "a file that becomes a directory": (tar(file("f"), directory("f")), 'member "f/": expected a name once, found it twice'),
    "a whiteout of dot": (tar(file("d/.wh..")), 'expected the whiteout of a name, found "d/.wh.."'),
    "a whiteout that leads up": (tar(file("../.wh.x")), 'expected a name inside the layer, found "../.wh.x"'),
    "an opaque mark that leads up": (tar(file("../.wh..wh..opq")), "expected a name inside the layer"),
    "an empty name": (header(b"") + END, 'expected a relative name, found ""'),
    "a NUL in a name": (pax({b"path": b"a\0b"}) + header(b"x") + END, 'expected text in "path" of an extended header, found a NUL byte'),
    "CVE-2022-2879, an extended header without end": (
        patched(header(b"x", kind=b"x"), 124, octal(1 << 30)),
        "expected a header of up to 1048576 bytes, found one of 1073741824",
    ),
    "a long name without end": (long_name(b"n" * (2 << 20)), "expected a header of up to 1048576 bytes"),
    "a name of 64 kB": (long_name(b"n" * 65_000) + header(b"x") + END, "expected a name of up to 4095 bytes"),
    "10,000 levels": (long_name(DEEP) + header(b"x") + END, "expected a name of up to 4095 bytes"),
    "a symlink's text of 5 kB": (tar(symlink("l", "x" * 5000)), "expected a symlink's text of 1 to 4095 bytes, found 5000"),
    "a checksum of nothing": (
        header(b"a")[:148] + b"        " + header(b"a")[156:],
        "expected a tar header, found a block with a wrong checksum",
    ),
    "a checksum over another block": (
        header(b"a")[:148] + header(b"b")[148:156] + header(b"a")[156:],
        "found a block with a wrong checksum",
    ),
    "a size beyond all numbers by PAX": (pax({b"size": b"9" * 20}) + header(b"f") + END, "expected a size from 0 to 9223372036854775807"),
    "a negative size by PAX": (pax({b"size": b"-1"}) + header(b"f") + END, 'expected a number in an extended header, found "-1"'),
    "an owner beyond 32 bits": (
        patched(header(b"f"), 108, base256(1 << 32, 8)) + END,
        "expected an owner from 0 to 4294967294, found 4294967296",
    ),
    "an owner that means nobody by PAX": (pax({b"uid": b"4294967295"}) + header(b"f") + END, "expected an owner from 0 to 4294967294"),
    "a sparse map beyond the file": (
        old_sparse(b"f", [(octal(0), octal(99))], octal(9), b"x" * 99) + END,
        "expected pieces of a sparse file in order",
    ),
    "a record of PAX of no length": (patched(header(b"x", 3, kind=b"x"), 0, b"x") + padded(b"0 \n") + END, "expected a record of"),
    "one block of zeros amid members": (header(b"a") + bytes(BLOCK) + SMUGGLED, "expected a second block of zeros"),
}


def tree(top: Path) -> dict[str, str]:
    """Return what is below a directory: kind, mode and content of each path; implied modes are left out."""
    found = {}
    for place in sorted(top.rglob("*")):
        status = place.lstat()
        kind = stat.S_IFMT(status.st_mode)
        said = {stat.S_IFDIR: "directory", stat.S_IFIFO: "fifo", stat.S_IFBLK: "block", stat.S_IFCHR: "character"}.get(kind, "")
        if stat.S_ISLNK(status.st_mode):
            said = f"-> {place.readlink()}"
        elif stat.S_ISREG(status.st_mode):
            said = f"{stat.S_IMODE(status.st_mode):o} {place.read_bytes()!r}"
        elif kind in (stat.S_IFBLK, stat.S_IFCHR):
            said += f" {os.major(status.st_rdev)}/{os.minor(status.st_rdev)}"
        found[os.fsencode(place.relative_to(top)).decode("utf-8", "backslashreplace")] = said
    return found


EMPTY = "644 b''"
GONE = "character 0/0"
TAKEN: dict[str, tuple[bytes, dict[str, str]]] = {
    "CVE-2018-15664, a path through a symlink of a lower layer": (
        tar(file("out/new", b"x"), file("etc/passwd", b"p")),
        {"etc": "directory", "etc/passwd": "644 b'p'", "out": "directory", "out/new": "644 b'x'"},
    ),
    "an opaque mark at a symlink of a lower layer": (tar(opaque("out"), file("f")), {"f": EMPTY, "out": "directory"}),
    "a whiteout through a symlink of a lower layer": (tar(whiteout("out/secret")), {"out": "directory", "out/secret": GONE}),
    "a directory of a lower layer that becomes a symlink": (tar(symlink("d", "/etc")), {"d": "-> /etc"}),
    "an opaque directory becomes whiteouts": (tar(opaque("full"), file("full/y")), {"full": "directory", "full/x": GONE, "full/y": EMPTY}),
    "marks of AUFS": (tar(directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", b"x"), file(".wh..wh.aufs"), file("f")), {"f": EMPTY}),
    "CVE-2021-37701, names that differ in case only": (
        tar(directory("D"), symlink("d", ".."), file("D/x", b"x")),
        {"D": "directory", "D/x": "644 b'x'", "d": "-> .."},
    ),
    "CVE-2021-37712, names that Unicode takes for one": (
        tar(directory("caf\u00e9"), symlink("cafe\u0301", "/etc"), file("caf\u00e9/x")),
        {"cafe\u0301": "-> /etc", "caf\u00e9": "directory", "caf\u00e9/x": EMPTY},
    ),
    "CVE-2021-32804, a backslash": (tar(file("a\\..\\..\\b", b"x")), {"a\\..\\..\\b": "644 b'x'"}),
    "a name that is no UTF-8": (tar(file(b"\xff\xfe")), {"\\xff\\xfe": EMPTY}),
    "names with control characters": (tar(file("a\nb\x1b[2Jc")), {"a\nb\x1b[2Jc": EMPTY}),
    "setuid and bits beyond the mode": (
        header(b"s", mode=b"7774755\0") + patched(header(b"m"), 100, base256(1 << 40 | 0o600, 8)) + END,
        {"m": "600 b''", "s": "4755 b''"},
    ),
    "symlinks in circles": (LOOPS, {"a": "-> b", "b": "-> a", "f": EMPTY, "self": "-> self", "up": "-> ../../../../../../.."}),
    "CVE-2025-62518, a size by PAX over a smaller one in the header": (
        pax({b"size": b"%d" % len(SMUGGLED)}) + header(b"outer", 0) + SMUGGLED + END,
        {"outer": f"644 {SMUGGLED!r}"},
    ),
    "the same the other way round": (
        pax({b"size": b"0"}) + header(b"outer", len(SMUGGLED)) + SMUGGLED + END,
        {"outer": EMPTY, "smuggled": "644 b'evil'"},
    ),
    "a hard link with a size": (
        header(b"f") + header(b"h", len(SMUGGLED), kind=b"1", target=b"f") + SMUGGLED + END,
        {"f": EMPTY, "h": EMPTY, "smuggled": "644 b'evil'"},
    ),
    "CVE-2025-45582, a second archive behind the end": (tar(file("f")) + tar(symlink("l", "/etc"), file("l/x")), {"f": EMPTY}),
    "a global header for all": (pax({b"path": b"/etc/passwd", b"size": b"9999"}, b"g") + header(b"f") + END, {"f": EMPTY}),
    "a thousand long names for one member": (long_name(b"x") * 1000 + long_name(b"f") + header(b"y") + END, {"f": EMPTY}),
    "a header of blanks": (sealed(header(b"f")[:100] + b" " * 48 + header(b"f")[148:]), {"f": "0 b''"}),
    "a hole of a gigabyte": (old_sparse(b"f", [(octal(0), octal(1)), (octal(1 << 30), octal(0))], octal(1 << 30), b"x") + END, {}),
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that is none of the store's business, with a file."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret").write_bytes(b"secret")
    return place


def add(tmp_path: Path, *layers: bytes) -> Path:
    """Add an image of these layers to a store, and return the tree of the top one."""
    image = Image(layers=layers)
    write_layout(tmp_path / "image", image)
    with publishing(tmp_path / "store") as batch:
        batch.add(f"oci:{tmp_path}/image", name=NAME)
    (found,) = [place for place in (tmp_path / "store/overlay").iterdir() if (place / "lower").exists() and place.name != "l"]
    return found / "diff"


def untouched(outside: Path) -> bool:
    return {place.name: place.read_bytes() for place in outside.iterdir()} == {"secret": b"secret"} and outside.stat().st_nlink == 2


@pytest.mark.parametrize(("layer", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path: Path, outside: Path, layer: bytes, said: str) -> None:
    with pytest.raises(ContentError) as error:
        add(tmp_path, LOWER, layer)
    assert said in str(error.value)
    assert not (tmp_path / "store").exists()
    assert untouched(outside)


@ROOT
@pytest.mark.parametrize(("layer", "expected"), TAKEN.values(), ids=TAKEN)
def test_what_is_taken_as_just_this_tree(tmp_path: Path, outside: Path, layer: bytes, expected: dict[str, str]) -> None:
    top = add(tmp_path, LOWER, layer)
    assert (tree(top) if expected else {}) == expected
    assert untouched(outside)


@ROOT
def test_a_hole_takes_no_room(tmp_path: Path) -> None:
    layer, _ = TAKEN["a hole of a gigabyte"]
    status = (add(tmp_path, LOWER, layer) / "f").stat()
    assert status.st_size == 1 << 30
    assert status.st_blocks * 512 < 1 << 20


@ROOT
def test_a_hole_that_no_file_system_holds_is_refused_and_undone(tmp_path: Path, outside: Path) -> None:
    with pytest.raises(PublishError, match=r"/diff/: expected to write the store, found: "):
        add(tmp_path, LOWER, old_sparse(b"f", [(octal(0), octal(1))], base256((1 << 63) - 1, 12), b"x") + END)
    assert not (tmp_path / "store").exists()
    assert untouched(outside)


@ROOT
def test_devices_and_fifos_are_made_but_not_opened(tmp_path: Path) -> None:
    top = add(tmp_path, LOWER, tar(device("sda", 8, 0, b"4"), device("zero", 1, 5), fifo("pipe"), file("suid", b"x", 0o6755)))
    assert tree(top) == {"pipe": "fifo", "sda": "block 8/0", "suid": "6755 b'x'", "zero": "character 1/5"}


@ROOT
def test_attributes_that_would_tell_overlay_something_are_left_out(tmp_path: Path) -> None:
    said = {"trusted.overlay.redirect": b"/../../etc", "trusted.overlay.opaque": b"x", "user.overlay.metacopy": b"", "user.kept": b"1"}
    top = add(tmp_path, LOWER, tar(directory("d", xattrs=said), file("f", xattrs={"security.selinux": b"x", **said})))
    assert [os.listxattr(top / name) for name in ("d", "f")] == [["user.kept"]] * 2


@ROOT
@pytest.mark.parametrize(("name", "value"), [("user.big", b"x" * 70_000), ("user." + "n" * 300, b"x")])
def test_attributes_that_no_file_system_holds_are_refused_and_undone(tmp_path: Path, outside: Path, name: str, value: bytes) -> None:
    with pytest.raises(StoreError, match="extended attribute"):
        add(tmp_path, LOWER, tar(file("f", xattrs={name: value})))
    assert not (tmp_path / "store").exists()
    assert untouched(outside)


def packed(tmp_path: Path, blob: bytes, tar: bytes) -> Path:
    """Add an image whose only layer is just this blob, which is promised to hold that tar."""
    image, layout = Image(layers=(LOWER, tar)), tmp_path / "image"
    put_image(layout, image)
    manifest = image.manifest
    manifest["layers"][1] = put_blob(layout, blob, image.media_type("gzip"))
    put_index(layout, [put_blob(layout, json_of(manifest), image.media_type("manifest"))])
    with publishing(tmp_path / "store") as batch:
        batch.add(f"oci:{layout}", name=NAME)
    (found,) = [place for place in (tmp_path / "store/overlay").iterdir() if (place / "lower").exists() and place.name != "l"]
    return found / "diff"


def test_gzip_of_several_members_is_one_stream(tmp_path: Path) -> None:
    layer = tar(file("f", b"x" * 5000))
    assert tree(packed(tmp_path, gzip.compress(layer[:700]) + gzip.compress(layer[700:]), layer)) == {"f": f"644 {b'x' * 5000!r}"}


@pytest.mark.parametrize("garbage", [b"garbage", b"\x1f\x8b\x08garbage", gzip.compress(tar(file("smuggled")))])
def test_what_follows_a_gzip_stream_is_no_other_layer(tmp_path: Path, garbage: bytes) -> None:
    layer = tar(file("f"))
    with pytest.raises(ContentError):
        packed(tmp_path, gzip.compress(layer) + garbage, layer)
    assert not (tmp_path / "store").exists()
