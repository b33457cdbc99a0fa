"""Makes OCI images for measuring: as many files of one size as are asked for, in one layer or several.

python tools/make_bulk.py DIR --files 100000 --size 2000                       # oci:DIR:bulk, many small files
python tools/make_bulk.py DIR --files 10 --size 500000000 --compression zstd    # a few large ones

The content is made at a few hundred MB/s and always the same for the same arguments. Half of it is letters drawn at random, half repeats
pieces of a text, so that it packs to about 60 %: neither zeros, which unpack for nothing, nor noise, which is only copied.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import random
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import zstandard
from isal import igzip

from tools.layout import put_blob

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["COMPRESSIONS", "Content", "make_bulk"]

COMPRESSIONS = ("gzip", "zstd", "none")
_LEVELS = {"gzip": 1, "zstd": 3}
_MEDIA = {"gzip": "layer.v1.tar+gzip", "zstd": "layer.v1.tar+zstd", "none": "layer.v1.tar"}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_TIME = 1_700_000_000
_IN_DIRECTORY = 100
_PIECE = 1 << 20
_RUN = 64
_LETTERS = bytes(33 + (byte & 63) for byte in range(256))


class Content:
    """An endless text."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._text = self._random.randbytes(1 << 15).translate(_LETTERS)
        self._data = b""
        self._position = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        parts = []
        while size:
            if self._position == len(self._data):
                self._data, self._position = self._more(), 0
            part = self._data[self._position : self._position + size]
            self._position += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _more(self) -> bytes:
        count = _PIECE // (2 * _RUN)
        fresh = self._random.randbytes(count * _RUN).translate(_LETTERS)
        places = memoryview(self._random.randbytes(2 * count)).cast("H")
        parts: list[bytes] = []
        for number in range(count):
            start = places[number] % (len(self._text) - _RUN)
            parts += (fresh[number * _RUN : (number + 1) * _RUN], self._text[start : start + _RUN])
        return b"".join(parts)


class _Hashed:
    """A file that hashes what is written into it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def make_bulk(  # noqa: PLR0913 - keywords
    layout: Path, tag: str, *, files: int, size: int, layers: int = 1, compression: str = "gzip"
) -> str:
    """Make an image in a new OCI layout, and return what cstore calls it.

    Args:
        layout: the directory of the layout; there must be none.
        tag: the image's tag.
        files: how many files it has in all.
        size: the bytes of each.
        layers: among how many layers they are parted.
        compression: `gzip`, `zstd` or `none`.
    """
    (layout / "blobs/sha256").mkdir(parents=True)
    made = [_layer(layout, range(number, files, layers), number, size, compression) for number in range(layers)]
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in made]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put_blob(layout, "config.v1+json", json.dumps(config).encode()),
        "layers": [descriptor for descriptor, _ in made],
    }
    pointer = {
        **put_blob(layout, "manifest.v1+json", json.dumps(manifest).encode()),
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [pointer]}))
    (layout / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return f"oci:{layout}:{tag}"


def _layer(layout: Path, numbers: range, seed: int, size: int, compression: str) -> tuple[dict[str, Any], str]:
    """Write the blob of a layer, and return its descriptor and its diff ID."""
    content = Content(seed)
    place = layout / "new"
    with place.open("wb") as file:
        packed = _Hashed(file)
        with _packing(packed, compression) as stream:
            unpacked = _Hashed(stream)
            _write_tar(unpacked, numbers, size, content)
    place.rename(layout / "blobs/sha256" / packed.digest.removeprefix("sha256:"))
    media = f"application/vnd.oci.image.{_MEDIA[compression]}"
    return {"mediaType": media, "digest": packed.digest, "size": packed.size}, unpacked.digest


@contextmanager
def _packing(file: _Hashed, compression: str) -> Iterator[IO[bytes]]:
    raw = cast("IO[bytes]", file)
    if compression == "gzip":
        with igzip.IGzipFile(filename="", fileobj=raw, mode="wb", compresslevel=_LEVELS["gzip"], mtime=0) as stream:  # type: ignore[no-untyped-call]
            yield cast("IO[bytes]", stream)
    elif compression == "zstd":
        with zstandard.ZstdCompressor(level=_LEVELS["zstd"]).stream_writer(raw, closefd=False) as stream:
            yield cast("IO[bytes]", stream)
    else:
        yield raw


def _write_tar(file: _Hashed, numbers: range, size: int, content: Content) -> None:
    directory = ""
    for count, number in enumerate(numbers):
        above = f"usr/share/bulk-{number // 10_000}/{number // _IN_DIRECTORY:06}"
        if above != directory:
            directory = above
            file.write(_header(f"{directory}/", tarfile.DIRTYPE, 0o755, 0))
        file.write(_header(f"{directory}/file-{number:07}.txt", tarfile.REGTYPE, 0o644 | (count % 7 == 0) * 0o111, size))
        left = size
        while left:
            part = content.read(min(left, _PIECE))
            left -= len(part)
            file.write(part)
        file.write(bytes(-size % tarfile.BLOCKSIZE))
    file.write(bytes(2 * tarfile.BLOCKSIZE))


def _header(name: str, kind: bytes, mode: int, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.mtime = kind, mode, size, _TIME
    return member.tobuf(tarfile.GNU_FORMAT)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layout", type=Path, metavar="DIR", help="a new OCI layout")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=2000, help="bytes of each file")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--compression", choices=COMPRESSIONS, default="gzip")
    asked = parser.parse_args()
    if asked.files < 1 or asked.size < 0 or not 0 < asked.layers <= asked.files:
        parser.error("expected at least one file, and no more layers than files")
    if asked.layout.exists():
        parser.error(f"expected nothing at {asked.layout}, found something")
    print(make_bulk(asked.layout, "bulk", files=asked.files, size=asked.size, layers=asked.layers, compression=asked.compression))


if __name__ == "__main__":
    main()
