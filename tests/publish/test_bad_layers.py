"""Images with bad layers are added to a real store: a clear error, and the store and all around it byte for byte as it was."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from cstore import publishing
from cstore.errors import ContentError, FormatError, PublishError, StoreError
from cstore.publish.prune import prune
from tests.images import END, Image, device, directory, file, hardlink, header, padded, symlink, tar, whiteout, write_layout
from tests.layer.tars import base256, long_name, old_sparse, patched, pax
from tests.publish.trees import discard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "registry.example.org/team/app:1"
GOOD = tar(directory("d", 0o700), file("d/a", b"good" * 1000), symlink("out", "../outside"), symlink("etc", "/etc"))


def listing(top: Path) -> dict[str, tuple[Any, ...]]:
    """Return everything below a directory, but for the times of directories and locks, which a writer that gives up may touch."""
    found: dict[str, tuple[Any, ...]] = {}
    for place in sorted(top.rglob("*")):
        status = place.lstat()
        content = hashlib.sha256(place.read_bytes()).hexdigest() if place.is_file() and not place.is_symlink() else ""
        when = 0 if place.is_dir() or place.suffix == ".lock" else status.st_mtime_ns
        found[str(place.relative_to(top))] = (status.st_mode, status.st_uid, status.st_nlink, when, status.st_size, content)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one image, beside a directory that is none of its business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    add(tmp_path, Image(layers=(GOOD,)), NAME)
    return tmp_path / "store"


def add(tmp_path: Path, image: Image, name: str) -> None:
    source = write_layout(tmp_path / re.sub("[/:]", "_", name), image)
    with publishing(tmp_path / "store", today=dt.date(2026, 1, 2)) as batch:
        batch.add(source, name=name)


def refused(tmp_path: Path, image: Image) -> StoreError:
    """Return the error with which an image is refused, after a look at what is left of it."""
    before = {part: listing(tmp_path / part) for part in ("store", "outside")}
    with pytest.raises(StoreError) as error:
        add(tmp_path, image, "example.org/bad:1")
    assert {part: listing(tmp_path / part) for part in ("store", "outside")} == before
    return error.value


DEEP = "/".join(["a"] * 1500)
BAD = {
    "dot dot": (tar(file("../outside/new", b"x")), 'expected a name inside the layer, found "../outside/new"'),
    "dot dot inside": (tar(file("d/../../outside/new", b"x")), 'expected a name inside the layer, found "d/../../outside/new"'),
    "absolute": (tar(file("/etc/cstore-was-here", b"x")), 'expected a relative name, found "/etc/cstore-was-here"'),
    "absolute by PAX": (pax({b"path": b"/x"}) + header(b"x") + END, 'expected a relative name, found "/x"'),
    "absolute by GNU": (long_name(b"/x") + header(b"x") + END, 'expected a relative name, found "/x"'),
    "through a symlink": (tar(symlink("l", "../outside"), file("l/new", b"x")), 'member "l": expected a directory'),
    "through a late symlink": (tar(file("l/new", b"x"), symlink("l", "../outside")), 'member "l": expected a directory'),
    "hard link out": (tar(hardlink("h", "../outside/secret")), 'member "h": target: expected a name inside the layer'),
    "absolute hard link": (tar(hardlink("h", "/etc/passwd")), 'member "h": target: expected a relative name, found "/etc/passwd"'),
    "hard link through a symlink": (
        tar(symlink("l", "../outside"), hardlink("h", "l/secret")),
        'member "h": expected a hard link to an earlier file of this layer, found one to "l/secret"',
    ),
    "hard link to a lower layer": (
        tar(hardlink("h", "d/a")),
        'member "h": expected a hard link to an earlier file of this layer, found one to "d/a"',
    ),
    "hard link through a lower layer": (
        tar(hardlink("h", "out/secret")),
        'member "h": expected a hard link to an earlier file of this layer, found one to "out/secret"',
    ),
    "hard link to a later member": (tar(hardlink("h", "f"), file("f")), 'member "h": expected a hard link to an earlier file'),
    "hard link to a directory": (tar(directory("f"), hardlink("h", "f")), 'member "h": expected a hard link to an earlier file'),
    "twice": (tar(file("f", b"1"), file("./f", b"2")), 'member "./f": expected a name once, found it twice'),
    "file over directory": (tar(file("f/g"), file("f")), 'member "f": expected a directory'),
    "below a file": (tar(file("f"), file("f/g")), 'member "f": expected a directory'),
    "long part": (tar(file("p" * 256)), "expected a name of up to 4095 bytes, 255 for each part"),
    "long name": (tar(file("p/" * 2100 + "p")), "expected a name of up to 4095 bytes, 255 for each part"),
    "whiteout of nothing": (tar(file(".wh.")), 'expected the whiteout of a name, found ".wh."'),
    "whiteout of dot dot": (tar(file("d/.wh...")), 'expected the whiteout of a name, found "d/.wh..."'),
    "in a whiteout": (tar(file(".wh.d/a")), 'expected nothing below a whiteout, found ".wh.d/a"'),
    "size without content": (patched(header(b"f"), 124, b"77777777777\0"), "expected the rest of a tar member, found the end of the tar"),
    "huge size": (patched(header(b"f"), 124, base256(1 << 90, 12)), 'member "f": expected a size from 0 to 9223372036854775807'),
    "negative size": (patched(header(b"f"), 124, b"\xff" * 12), 'member "f": expected a size of at least 0, found a negative one'),
    "huge sparse file": (old_sparse(b"f", [], base256(1 << 70, 12), b"") + END, 'member "f": expected a size'),
    "huge device": (patched(header(b"c", kind=b"3"), 329, base256(1 << 50, 8)) + END, 'member "c": expected a device number'),
    "cut": (tar(file("f", b"x" * 2000))[:1500], "expected the rest of a tar member, found the end of the tar"),
    "no tar": (b"<html>404</html>" * 64, "expected a checksum in octal digits"),
    "unknown type": (header(b"f", kind=b"V") + END, 'member "f": expected a file, directory, link or device, found a member of type "V"'),
}


@pytest.mark.parametrize(("layer", "said"), BAD.values(), ids=BAD)
def test_layers_that_no_store_can_hold(tmp_path: Path, store: Path, layer: bytes, said: str) -> None:
    assert store.is_dir()
    error = refused(tmp_path, Image(layers=(GOOD, layer)))
    assert type(error) is ContentError
    assert re.fullmatch(rf"oci:\S+: layers\[1\]: {re.escape(said)}.*", str(error), re.DOTALL)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("layer", [tar(file("f", xattrs={"user." + "n" * 251: b"1"})), tar(file("f", xattrs={"user.n": b"x" * 70_000}))])
def test_what_only_writing_shows(tmp_path: Path, layer: bytes) -> None:
    error = refused(tmp_path, Image(layers=(GOOD, layer)))
    assert type(error) is PublishError
    assert "extended attribute user.n" in str(error)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize(
    "damage", [lambda blob: blob[:-1], lambda blob: blob + b"\0", lambda blob: blob[:50] + b"\xee" + blob[51:], lambda _blob: b""]
)
def test_blobs_that_are_not_the_promised_ones(tmp_path: Path, compression: str, damage: Callable[[bytes], bytes]) -> None:
    image = Image(layers=(GOOD, tar(file("f", bytes(range(256)) * 8))), compression=compression)
    layout = tmp_path / "lying"
    source = write_layout(layout, image)
    place = layout / "blobs" / "sha256" / hashlib.sha256(image.blobs[1]).hexdigest()
    place.write_bytes(damage(place.read_bytes()))
    before = listing(tmp_path / "store")
    with pytest.raises(ContentError), publishing(tmp_path / "store") as batch:
        batch.add(source, name="example.org/bad:1")
    assert listing(tmp_path / "store") == before


def test_a_layer_below_whose_tar_split_is_damaged(tmp_path: Path, store: Path) -> None:
    (split,) = (store / "overlay-layers").glob("*.tar-split.gz")
    split.write_bytes(split.read_bytes()[:60])
    error = refused(tmp_path, Image(layers=(GOOD, tar(file("d/b")))))
    assert type(error) is FormatError
    assert str(error).startswith(f"{split.name}: expected a gzip stream, found damage (")


def test_a_deep_tree_can_be_given_up_again(tmp_path: Path, store: Path) -> None:
    layer = tar(file(f"{DEEP}/f"), file("g", xattrs={"user." + "n" * 251: b"1"}))
    try:
        assert type(refused(tmp_path, Image(layers=(layer,)))) is PublishError
    finally:
        discard(store)


def test_a_deep_tree_can_be_removed(tmp_path: Path, store: Path) -> None:
    before = set((store / "overlay").iterdir())
    add(tmp_path, Image(layers=(tar(file(f"{DEEP}/f")),)), "example.org/deep:1")
    try:
        with publishing(store, today=dt.date(2026, 1, 2)) as batch:
            batch.remove("example.org/deep:1")
        prune(store, dt.timedelta(days=14), dt.date(2026, 3, 1))
        assert set((store / "overlay").iterdir()) == before
    finally:
        discard(store)


@pytest.mark.usefixtures("store")
def test_what_looks_odd_and_is_fine(tmp_path: Path) -> None:
    layer = tar(
        directory("/"),
        file(".wh..wh.aufs", b"x"),
        file("..."),
        symlink("loop", "loop"),
        symlink("etc", "/etc"),
        whiteout("never/there"),
        device("gone", 0, 0),
    )
    add(tmp_path, Image(layers=(GOOD, layer + padded(b"after the end"))), "example.org/odd:1")
