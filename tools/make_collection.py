"""Makes OCI images as a repository of containers has them: many that share bases, in layers of hundreds of files, small and large.

    make_collection.py DIR [--images N] [--layers N] [--files N]

DIR gets an OCI layout for each ten images, `app-0`, `app-1` and so on, with the tags `v0` to `v9`, and one more image `moved`: `v0` with
another last layer. The images of a layout share a base of two layers. Layers above delete and replace files of those below, and every
eighth has an opaque directory. All is the same for the same arguments.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import tarfile
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from attrs import frozen
from isal import igzip

from tools.layout import put_blob, put_image
from tools.make_bulk import Content

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BASE", "MOVED", "Collected", "collection", "make_collection"]

MOVED = "moved"
"""The tag of the image to which `v0` of `app-0` can be moved."""
_TOGETHER = 10
BASE = 2
"""Layers of a base."""
_DIRECTORIES = ("usr/bin", "usr/lib/x86_64", "usr/share/doc", "opt/app", "etc", "var/lib/app")
_SMALLEST, _LARGEST = 100, 64_000
_LARGE = (1_000_000, 4_000_000)
_POOL = 1 << 24
_OPAQUE = 8
_TIME = 1_700_000_000
_OCI = "application/vnd.oci.image"


@frozen
class Collected:
    """One image of a collection."""

    repository: str
    """The name of its layout."""
    tag: str
    layers: int
    """How many are its own."""


def collection(images: int, layers: int) -> tuple[Collected, ...]:
    """Return the images of a collection.

    Args:
        images: how many.
        layers: how many there are in all, by the number of images; those of a base count once.
    """
    bases = BASE * -(-images // _TOGETHER)
    least, more = divmod(images * layers - bases, images)
    return tuple(Collected(f"app-{number // _TOGETHER}", f"v{number % _TOGETHER}", least + (number < more)) for number in range(images))


def make_collection(place: Path, *, images: int, layers: int, files: int) -> None:
    """Write the layouts of a collection below a directory.

    Args:
        place: the directory.
        images: how many.
        layers: how many there are in all, by the number of images.
        files: in each layer.
    """
    made = _Maker(files)
    listed: dict[str, list[dict[str, Any]]] = {}
    bases: dict[str, list[_Layer]] = {}
    for image in collection(images, layers):
        layout = place / image.repository
        if image.repository not in bases:
            (layout / "blobs/sha256").mkdir(parents=True)
            bases[image.repository] = [made.layer(layout, []) for _ in range(BASE)]
        chain = [*bases[image.repository]]
        for _ in range(image.layers):
            chain.append(made.layer(layout, chain))
        listed.setdefault(image.repository, []).append(_image(layout, image.tag, chain))
        if len(listed) == 1 and image.tag == "v0":
            moved = [*chain[:-1], made.layer(layout, chain[:-1])]
            listed[image.repository].append(_image(layout, MOVED, moved))
    for repository, manifests in listed.items():
        (place / repository / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
        (place / repository / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


@frozen
class _Layer:
    descriptor: dict[str, Any]
    diff_id: str
    paths: tuple[str, ...]
    """Its files."""


class _Maker:
    """Makes layers, no two of which are the same."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._pool = Content(0).read(_POOL)
        self._random = random.Random(0)  # noqa: S311 - not for secrets
        self._count = 0

    def layer(self, layout: Path, below: Sequence[_Layer]) -> _Layer:
        """Write a layer that stands on others, and return what a manifest says of it."""
        self._count += 1
        data = io.BytesIO()
        paths = []
        with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for directory in sorted({*_DIRECTORIES, *(str(above) for name in _DIRECTORIES for above in PurePath(name).parents)} - {"."}):
                _add(tar, directory, kind=tarfile.DIRTYPE)
            if below and self._count % _OPAQUE == 0:
                _add(tar, f"{_DIRECTORIES[-1]}/.wh..wh..opq")
            known = [path for layer in below for path in layer.paths]
            changed = self._random.sample(known, min(6, len(known)))
            for path in changed[:3]:
                above, _, name = path.rpartition("/")
                _add(tar, f"{above}/.wh.{name}")
            for number in range(self._files):
                path = f"{_DIRECTORIES[number % len(_DIRECTORIES)]}/{self._count}-{number}"
                _add(tar, path, self._content(is_large=number == self._files - 1))
                paths.append(path)
            for path in changed[3:]:
                _add(tar, path, self._content(is_large=False))
        blob = igzip.compress(data.getvalue(), 1, mtime=0)
        diff_id = f"sha256:{hashlib.sha256(data.getvalue()).hexdigest()}"
        return _Layer(put_blob(layout, "layer.v1.tar+gzip", blob), diff_id, tuple(paths))

    def _content(self, *, is_large: bool) -> bytes:
        """Return the content of a file; most are small."""
        size = self._random.randint(*_LARGE) if is_large else int(_SMALLEST * (_LARGEST / _SMALLEST) ** self._random.random())
        begin = self._random.randrange(len(self._pool) - size)
        return self._pool[begin : begin + size]


def _add(tar: tarfile.TarFile, path: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> None:
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.size, member.mtime = kind, 0o755, len(content), _TIME
    tar.addfile(member, io.BytesIO(content))


def _image(layout: Path, tag: str, chain: Sequence[_Layer]) -> dict[str, Any]:
    config = {"Env": ["PATH=/usr/bin"], "Cmd": ["/usr/bin/app"]}
    return put_image(layout, tag, [(layer.descriptor, layer.diff_id) for layer in chain], config=config)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path, metavar="DIR", help="where the layouts go")
    parser.add_argument("--images", type=int, default=10, metavar="N", help="10 unless told")
    parser.add_argument("--layers", type=int, default=5, metavar="N", help="in all, for each image; 5 unless told")
    parser.add_argument("--files", type=int, default=200, metavar="N", help="in each layer; 200 unless told")
    asked = parser.parse_args()
    if asked.images < 1 or asked.layers <= BASE or asked.files < 1:
        parser.error(f"expected images, more than {BASE} layers for each, and files, found fewer")
    make_collection(asked.place, images=asked.images, layers=asked.layers, files=asked.files)


if __name__ == "__main__":
    main()
