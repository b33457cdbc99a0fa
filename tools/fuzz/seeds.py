"""What fuzzing begins with: small sound inputs of each target, made anew each time."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING

import zstandard

from cstore.index.index import own_form
from cstore.layer.blob import BlobReader
from cstore.layer.scan import scan
from cstore.model.digest import Digest
from cstore.model.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor
from tests.images import Image, directory, docker_archive, file, hardlink, json_of, oci_archive, opaque, symlink, tar, whiteout
from tests.layer.tars import DIALECTS, ENDS
from tools.make_store import make_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["seeds"]

_NAMES = (
    "debian",
    "localhost/a/b:v1",
    "docker.io/library/debian@sha256:" + "0" * 64,
    "linux/arm64/v8",
    "2023-11-14T22:13:20.1+01:00",
    "a_b-c",
)
_WISHLISTS = (
    """version: 1
user: unpacker
cvmfs_repo: 'unpacked.example.org/a'
output_format: '$(scheme)://registry.example.org/thin/$(image)'
input:
    - 'https://registry.hub.docker.com/library/centos:centos7 '
    - "a.org:5000/b/c@sha256:%s"   # comment
ignoreErrors: ['a.org/[a-z]*/c?:*']
"""
    % ("0" * 64),
    """version: 1
input:
- &x
  image: a.org/b:*1*
  newest: 3
  semver: ">=1.2, <2 || ^1.4.x || ~2-rc.1 || 1 - 3"
  exclude: ['*-rc*', "*-dev"]
  platforms: linux/amd64, linux/arm64/v8
  forms: [podman, flat]
- {<<: *x, image: docker://a.org/c, newest: 1}
""",
    '{"version": 1, "input": [{"image": "a", "platform": "linux/arm64", "other": [1, {}]}]}',
)
_DIFF = "sha256:" + "1" * 64
_LAYER = tar(directory("d"), file("d/f", b"content"), hardlink("d/h", "d/f"), symlink("l", "/d"), whiteout("d/gone"), opaque("d"))
_CONFIG: dict[str, object] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2023-11-14T22:13:20Z",
    "rootfs": {"type": "layers", "diff_ids": [_DIFF]},
}


def seeds(target: str, scratch: Path) -> list[bytes]:
    """Return the inputs that the fuzzing of a target begins with.

    Args:
        target: its name.
        scratch: an empty directory to make them in.
    """
    make: dict[str, Callable[[Path], Iterator[bytes]]] = {
        "index": _indexes,
        "claimed_index": _indexes,
        "records": _records,
        "manifests": _manifests,
        "names": lambda _scratch: iter(map(str.encode, _NAMES)),
        "layout": lambda _scratch: iter([_layout()]),
        "archive": _archives,
        "layer": lambda _scratch: iter([_LAYER, *(members + end for members in DIALECTS.values() for end in [*ENDS.values()][:1])]),
        "blob": lambda _scratch: iter([_LAYER, gzip.compress(_LAYER, mtime=0), zstandard.compress(_LAYER), zstandard.compress(b"") * 2]),
        "tar_split": _splits,
        "store": _stores,
        "journal": lambda _scratch: iter([_journal()]),
        "wishlist": lambda _scratch: iter(map(str.encode, _WISHLISTS)),
    }
    return list(make[target](scratch))


def _files(scratch: Path) -> Iterator[bytes]:
    make_store(scratch / "store", images=2, layers=2)
    yield from (place.read_bytes() for place in sorted((scratch / "store").rglob("*")) if place.is_file() and not place.is_symlink())


def _indexes(scratch: Path) -> Iterator[bytes]:
    made = [data for data in _files(scratch) if data.startswith(b"[\n")]
    yield from made
    yield from (json.dumps(json.loads(data), indent=1).encode() for data in made)
    yield own_form([])
    yield own_form([b'{"id":"a\\u003c","names":["\\\\"]}', '{"id":"ü","x":[1.5e3,null]}'.encode()])


def _records(scratch: Path) -> Iterator[bytes]:
    files = [*_files(scratch)]
    for data in files:
        if data.startswith(b"[\n"):
            yield from map(json_of, json.loads(data)[:1])
    yield b'{"version":1,"layout":"direct","retired":{"%s":"2026-01-02"}}' % (b"1" * 64)


def _manifests(_scratch: Path) -> Iterator[bytes]:
    for family in ("oci", "docker"):
        image = Image(layers=(_LAYER,), family=family, history=[{"created": "2023-11-14T22:13:20Z"}])
        descriptor = {"mediaType": image.media_type("manifest"), "digest": image.digest, "size": 9, "annotations": {"a": "b"}}
        entry = {**descriptor, "platform": {"os": "linux", "architecture": "amd64"}}
        yield from map(json_of, (image.manifest, image.config, descriptor, {"schemaVersion": 2, "manifests": [entry]}))


def _layout() -> bytes:
    def pointer(number: int, media_type: str, **more: object) -> dict[str, object]:
        return {"mediaType": media_type, "digest": f"@{number}", "size": f"#{number}", **more}

    platform = {"os": "linux", "architecture": "amd64"}
    documents: list[dict[str, object]] = [
        {"imageLayoutVersion": "1.0.0"},
        {"schemaVersion": 2, "manifests": [pointer(1, OCI_INDEX, annotations={"org.opencontainers.image.ref.name": "v1"})]},
        {"schemaVersion": 2, "manifests": [pointer(2, OCI_MANIFEST, platform=platform)]},
        {
            "schemaVersion": 2,
            "config": pointer(3, OCI_CONFIG),
            "layers": [pointer(4, "application/vnd.oci.image.layer.v1.tar")],
        },
        _CONFIG,
    ]
    joined = b"\n---\n".join(map(json_of, documents)) + b"\n---\nlayer"
    for number in range(1, 5):
        joined = joined.replace(b'"#%d"' % number, b"#%d" % number)
    return joined


def _archives(scratch: Path) -> Iterator[bytes]:
    image = Image(layers=(tar(file("f", b"x")),))
    oci_archive(scratch / "oci.tar", image)
    yield b"0" + (scratch / "oci.tar").read_bytes()
    docker_archive(scratch / "docker.tar", {"localhost/a:1": image})
    yield b"1" + (scratch / "docker.tar").read_bytes()


def _splits(_scratch: Path) -> Iterator[bytes]:
    for members in (_LAYER, *DIALECTS.values()):
        reader = BlobReader(
            io.BytesIO(members), Descriptor(media_type="", digest=Digest.of(members), size=len(members)), Digest.of(members)
        )
        found = scan(reader, "layer")
        with found.tar_split as made:
            made.seek(0)
            yield gzip.decompress(made.read())


def _stores(scratch: Path) -> Iterator[bytes]:
    make_store(scratch / "store", images=1, layers=2)
    places = sorted(place for place in (scratch / "store").rglob("*") if place.is_file() and not place.is_symlink())
    yield from (bytes([number]) + place.read_bytes() for number, place in enumerate(places))


def _journal() -> bytes:
    return json_of(
        {
            "version": 1,
            "puts": ["new/file"],
            "replaced": ["a"],
            "removes": ["b/d"],
            "old_locks": {"b/c": "00ff"},
            "new_locks": {"b/c": "ff00"},
            "decisive": "a",
            "sha256": Digest.of(b"a").hex,
            "directories": ["new"],
        }
    )
