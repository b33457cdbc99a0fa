"""Writes large stores for benchmarks and tests, as cstore would write them, without making images first.

    make_store.py DIRECTORY [--images N] [--layers N] [--depth N] [--form direct|sharded]

Images come in families: with `--layers 8`, eight images share a chain of eight layers, and each has seven layers of its own on top, so
that 10,000 images have 80,000 layers. `--depth` adds one image of that many layers. Each layer holds a directory and a file of nine
bytes. The same arguments give the same store; files belong to whoever makes it, and the layers say so.
"""

# Text, not `Path`: there are many thousand layers.
# ruff: noqa: PTH101, PTH102, PTH103, PTH123, PTH211

from __future__ import annotations

import argparse
import io
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field, frozen
from fastcrc import crc64

from cstore.index.gojson import encode
from cstore.index.index import Index
from cstore.layer.tarsplit import SplitWriter
from cstore.model.about import About
from cstore.model.big_data import big_data_of
from cstore.model.chain import ImageID, LayerID, layer_id
from cstore.model.digest import Digest
from cstore.model.image import ImageRecord
from cstore.model.layer import LayerRecord
from cstore.model.layout import ABOUT, IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK, LINKS, Form, Layout, Link, link_candidates
from cstore.model.manifest import OCI_CONFIG, OCI_MANIFEST
from cstore.model.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CREATED", "DEEP", "layer_tar", "make_store", "name_of"]

CREATED = "2023-11-14T22:13:20Z"
DEEP = "registry.example.org/deep:1"
"""The name of the image that `depth` adds."""

_TIME = 1_700_000_000
_TAR = "application/vnd.oci.image.layer.v1.tar"
_FILE = "etc/layer"
_BLOCK = tarfile.BLOCKSIZE


def name_of(number: int) -> str:
    """Return the name of an image, by its number from 0 on."""
    return f"registry.example.org/team-{number % 100:02}/image-{number:05}:1"


def make_store(root: Path, *, images: int, layers: int = 8, depth: int = 0, form: Form = Form.DIRECT) -> None:
    """Write a store in a new directory.

    Args:
        root: the directory; the one above it must be there.
        images: how many, apart from the deep one.
        layers: how many there are for each image, once each family is complete.
        depth: the layers of one more image; 0 for none.
        form: of the store.
    """
    store = _Store(root, Layout(form))
    for number in range(images):
        if number % layers == 0:
            shared = store.stack(None, layers)
        store.image(name_of(number), store.stack(shared[-1], layers - 1) or shared)
    if depth:
        store.image(DEEP, store.stack(None, depth))
    store.finish()


def layer_tar(number: int) -> bytes:
    """Return the tar of a layer, by its number from 0 on in the order in which the layers are written."""
    return _HEAD + _content(number) + _TAIL


def _content(number: int) -> bytes:
    return f"{number:08}\n".encode()


def _head() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, kind, mode, size in (("etc", tarfile.DIRTYPE, 0o755, 0), (_FILE, tarfile.REGTYPE, 0o644, _SIZE)):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.size, member.mtime = kind, mode, size, _TIME
            member.uid, member.gid = os.geteuid(), os.getegid()
            tar.addfile(member, io.BytesIO(bytes(size)))
    return made.getvalue()[: 2 * _BLOCK]


_SIZE = len(_content(0))
_HEAD = _head()
_TAIL = bytes(-_SIZE % _BLOCK + 2 * _BLOCK)
_TAR_SIZE = len(_HEAD) + _SIZE + len(_TAIL)


@frozen
class _Layer:
    """A layer that was written."""

    id: LayerID
    diff_id: Digest
    link: Link
    below: tuple[_Layer, ...]
    """The nearest first."""


@define
class _Store:
    """A store that is being written."""

    _root: Path
    _layout: Layout
    _links: set[Link] = field(factory=set)
    _layers: list[bytes] = field(factory=list)
    _ids: list[LayerID] = field(factory=list)
    _images: list[bytes] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        os.umask(0o022)
        self._root.mkdir()
        for room in ("overlay-images", "overlay-layers", "overlay", LINKS):
            (self._root / room).mkdir()

    def stack(self, below: _Layer | None, count: int) -> list[_Layer]:
        """Write layers, one on the other, and return them."""
        made: list[_Layer] = []
        for _ in range(count):
            below = self._layer(below)
            made.append(below)
        return made

    def image(self, name: str, top: Sequence[_Layer]) -> None:
        """Write an image, given the layers of its chain down from the last of these."""
        layers = [*top[-1].below[::-1], top[-1]]
        rootfs = {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]}
        config = encode({"created": CREATED, "architecture": "amd64", "os": "linux", "config": {"Labels": {"of": name}}, "rootfs": rootfs})
        config_digest = Digest.of(config)
        blobs = [{"mediaType": _TAR, "digest": str(layer.diff_id), "size": _TAR_SIZE} for layer in layers]
        described = {"mediaType": OCI_CONFIG, "digest": str(config_digest), "size": len(config)}
        manifest = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": blobs})
        items = big_data_of(config_digest, config, manifest, None)
        identity = ImageID(config_digest.hex)
        (self._root / self._layout.image(identity)).mkdir()
        for key, data in items.items():
            (self._root / self._layout.big_data(identity, key)).write_bytes(data)
        record = ImageRecord(
            id=identity,
            digest=Digest.of(manifest),
            names=(name,),
            layer=layers[-1].id,
            big_data_names=tuple(items),
            big_data_sizes={key: len(data) for key, data in items.items()},
            big_data_digests={key: Digest.of(data) for key, data in items.items()},
            created=Timestamp(CREATED),
        )
        self._images.append(encode(record.to_dict()))

    def finish(self) -> None:
        """Write the indexes, and what the store says of itself."""
        for index, path, lock in (
            (Index.empty("layers").edited({}, self._layers), LAYERS_INDEX, LAYERS_LOCK),
            (Index.empty("images").edited({}, self._images), IMAGES_INDEX, IMAGES_LOCK),
        ):
            (self._root / path).write_bytes(index.data)
            (self._root / lock).write_bytes(index.lock)
        (self._root / ABOUT).write_bytes(encode(About(form=self._layout.form).to_dict()) + b"\n")
        for marker in self._layout.catalogs(self._ids):
            (self._root / marker).touch()

    def _layer(self, below: _Layer | None) -> _Layer:
        content = _content(len(self._ids))
        diff_id = Digest.of(_HEAD + content + _TAIL)
        identity = layer_id(below.id if below else None, diff_id)
        link = next(link for link in link_candidates(identity) if link not in self._links)
        self._links.add(link)
        layer = _Layer(identity, diff_id, link, (below, *below.below) if below else ())
        self._write_tree(layer, content)
        self._write_tar_split(layer, content)
        record = LayerRecord(
            id=identity,
            parent=below.id if below else None,
            created=Timestamp(CREATED),
            compressed_diff_digest=diff_id,
            compressed_size=_TAR_SIZE,
            diff_digest=diff_id,
            diff_size=_TAR_SIZE,
            uidset=(os.geteuid(),),
            gidset=(os.getegid(),),
        )
        self._ids.append(identity)
        self._layers.append(encode(record.to_dict()))
        return layer

    def _write_tree(self, layer: _Layer, content: bytes) -> None:
        top = f"{self._root}/{self._layout.tree(layer.id)}"
        os.makedirs(f"{top}/diff/etc")
        _write(f"{top}/diff/{_FILE}", content)
        for name, seconds in ((_FILE, _TIME), ("etc", _TIME), ("", 0)):
            os.utime(f"{top}/diff/{name}", (seconds, seconds))
        os.chmod(f"{top}/diff", 0o555)  # noqa: S103 - as podman gives it to a top directory that no layer describes
        _write(f"{top}/link", layer.link.encode())
        if layer.below:
            _write(f"{top}/lower", ":".join(f"l/{lower.link}" for lower in layer.below).encode())
            _write(f"{top}/lower-layers", ":".join(lower.id for lower in layer.below).encode())
        else:
            os.mkdir(f"{top}/empty")
        os.symlink(self._layout.link_target(layer.id), f"{self._root}/{self._layout.link(layer.link)}")
        if (target := self._layout.layer_target(layer.id)) is not None:
            os.symlink(target, f"{self._root}/{self._layout.layer(layer.id)}")

    def _write_tar_split(self, layer: _Layer, content: bytes) -> None:
        made = io.BytesIO()
        split = SplitWriter(made)
        split.raw(_HEAD)
        split.file(_FILE.encode(), len(content), crc64.go_iso(content))
        split.raw(_TAIL)
        split.finish()
        _write(f"{self._root}/{self._layout.tar_split(layer.id)}", made.getvalue())


def _write(path: str, data: bytes) -> None:
    with open(path, "xb", buffering=0) as file:
        file.write(data)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="1000 unless told")
    parser.add_argument("--layers", type=int, default=8, metavar="N", help="layers for each image, at least 1; 8 unless told")
    parser.add_argument("--depth", type=int, default=0, metavar="N", help="layers of one more image; none unless told")
    parser.add_argument("--form", choices=[form.value for form in Form], default="direct")
    asked = parser.parse_args()
    if asked.images < 0 or asked.layers < 1 or asked.depth < 0:
        parser.error("expected no negative number, and at least one layer for each image")
    make_store(asked.directory, images=asked.images, layers=asked.layers, depth=asked.depth, form=Form(asked.form))


if __name__ == "__main__":
    main()
