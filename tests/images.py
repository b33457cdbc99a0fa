"""Images for tests: layer tars from their members, OCI layouts and docker archives from layer tars.

    base = tar(directory("etc"), file("etc/motd", b"hello"))
    write_layout(tmp_path / "image", {"v1": Image(layers=(base, tar(whiteout("etc/motd"))), compression="zstd")})

What is made is always the same for the same arguments. To make an image that lies, change `Image.config` or `Image.manifest` and
write the parts with `put_blob` and `put_index`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import zstandard
from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIME = 1_700_000_000
CREATED = "2023-11-14T22:13:20.123456789Z"
TAG = "org.opencontainers.image.ref.name"
BLOCK = 512
END = bytes(2 * BLOCK)
"""The end of a tar."""

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
_MEDIA_TYPES = {
    "oci": {
        "index": f"{OCI}.index.v1+json",
        "manifest": f"{OCI}.manifest.v1+json",
        "config": f"{OCI}.config.v1+json",
        "none": f"{OCI}.layer.v1.tar",
        "gzip": f"{OCI}.layer.v1.tar+gzip",
        "zstd": f"{OCI}.layer.v1.tar+zstd",
    },
    "docker": {
        "index": f"{DOCKER}.distribution.manifest.list.v2+json",
        "manifest": f"{DOCKER}.distribution.manifest.v2+json",
        "config": f"{DOCKER}.container.image.v1+json",
        "none": f"{DOCKER}.image.rootfs.diff.tar",
        "gzip": f"{DOCKER}.image.rootfs.diff.tar.gzip",
        "zstd": f"{DOCKER}.image.rootfs.diff.tar.zstd",
    },
}


@frozen(kw_only=True)
class Member:
    """One member of a layer tar; the functions below make the usual ones."""

    name: str | bytes
    kind: bytes = tarfile.REGTYPE
    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: float = TIME
    target: str | bytes = ""
    """Of a symlink or hard link."""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(factory=dict)
    pax: Mapping[str, str] = field(factory=dict)
    """Further PAX records."""


def file(name: str | bytes, content: bytes = b"", mode: int = 0o644, **more: Any) -> Member:  # noqa: ANN401 - fields of Member
    return Member(name=name, content=content, mode=mode, **more)


def directory(name: str | bytes, mode: int = 0o755, **more: Any) -> Member:  # noqa: ANN401 - fields of Member
    return Member(name=name, kind=tarfile.DIRTYPE, mode=mode, **more)


def symlink(name: str | bytes, target: str | bytes, **more: Any) -> Member:  # noqa: ANN401 - fields of Member
    return Member(name=name, kind=tarfile.SYMTYPE, target=target, mode=0o777, **more)


def hardlink(name: str | bytes, target: str | bytes, **more: Any) -> Member:  # noqa: ANN401 - fields of Member
    return Member(name=name, kind=tarfile.LNKTYPE, target=target, **more)


def device(name: str | bytes, major: int, minor: int, kind: bytes = tarfile.CHRTYPE, **more: Any) -> Member:  # noqa: ANN401 - fields of Member
    return Member(name=name, kind=kind, device=(major, minor), **more)


def fifo(name: str | bytes, **more: Any) -> Member:  # noqa: ANN401 - fields of Member
    return Member(name=name, kind=tarfile.FIFOTYPE, **more)


def whiteout(path: str) -> Member:
    """Hide a path of the layers below."""
    above, slash, name = path.rpartition("/")
    return file(f"{above}{slash}.wh.{name}")


def opaque(path: str) -> Member:
    """Hide all that the layers below have in a directory."""
    return file(f"{path}/.wh..wh..opq" if path else ".wh..wh..opq")


def tar(*members: Member | bytes) -> bytes:
    """Return a tar in PAX format; bytes among the members go in as they are, so they must be whole blocks."""
    made = io.BytesIO()
    for member in members:
        if isinstance(member, bytes):
            made.write(member)
            continue
        info = tarfile.TarInfo(_text(member.name))
        info.type, info.linkname = member.kind, _text(member.target)
        info.mode, info.uid, info.gid, info.mtime = member.mode, member.uid, member.gid, member.mtime
        info.devmajor, info.devminor = member.device
        info.size = len(member.content)
        xattrs = {f"SCHILY.xattr.{name}": _text(value) for name, value in member.xattrs.items()}
        info.pax_headers = {**xattrs, **member.pax}
        made.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        made.write(padded(member.content))
    return made.getvalue() + END


def header(  # noqa: PLR0913 - the fields of a header
    name: bytes,
    size: int = 0,
    *,
    kind: bytes = b"0",
    mode: bytes = b"0000644\0",
    uid: bytes = b"0000000\0",
    gid: bytes = b"0000000\0",
    mtime: bytes = b"14524770400\0",
    target: bytes = b"",
    magic: bytes = b"ustar\x0000",
    rest: bytes = b"",
) -> bytes:
    """Return a raw header block with a good checksum; `rest` is what follows the magic, from the user's name on."""
    block = b"".join(
        [name.ljust(100, b"\0"), mode, uid, gid, b"%011o\0" % size, mtime, b" " * 8, kind, target.ljust(100, b"\0"), magic, rest]
    ).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padded(content: bytes) -> bytes:
    """Fill bytes up to whole blocks."""
    return content + bytes(-len(content) % BLOCK)


@lru_cache(maxsize=64)
def compressed(data: bytes, compression: str) -> bytes:
    """Compress with `gzip`, `zstd` or `none`; what was asked for lately is kept, since an image asks for its blobs again and again."""
    if compression == "gzip":
        return gzip.compress(data, mtime=0)
    return zstandard.ZstdCompressor().compress(data) if compression == "zstd" else data


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def json_of(value: object) -> bytes:
    return json.dumps(value).encode()


@frozen(kw_only=True)
class Image:
    """An image for one platform."""

    layers: tuple[bytes, ...] = ()
    """Layer tars, base first."""
    compression: str | tuple[str, ...] = "gzip"
    """Of all layers, or of each: `gzip`, `zstd` or `none`."""
    family: str = "oci"
    """Whose media types: `oci` or `docker`."""
    platform: str = "linux/amd64"
    created: str | None = CREATED
    history: Sequence[Mapping[str, object]] | None = None
    command: tuple[str, ...] = ("/bin/sh",)
    labels: Mapping[str, str] = field(factory=dict)

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """The layers as they are compressed."""
        how = (self.compression,) * len(self.layers) if isinstance(self.compression, str) else self.compression
        return tuple(compressed(layer, each) for layer, each in zip(self.layers, how, strict=True))

    @property
    def diff_ids(self) -> list[str]:
        return [digest_of(layer) for layer in self.layers]

    @property
    def config(self) -> dict[str, Any]:
        members: dict[str, Any] = {
            **_platform(self.platform),
            "config": {"Cmd": list(self.command), "Labels": dict(self.labels)},
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
        }
        if self.created is not None:
            members["created"] = self.created
        if self.history is not None:
            members["history"] = [dict(item) for item in self.history]
        return members

    @property
    def manifest(self) -> dict[str, Any]:
        how = (self.compression,) * len(self.layers) if isinstance(self.compression, str) else self.compression
        return {
            "schemaVersion": 2,
            "mediaType": self.media_type("manifest"),
            "config": descriptor(json_of(self.config), self.media_type("config")),
            "layers": [descriptor(blob, self.media_type(each)) for blob, each in zip(self.blobs, how, strict=True)],
        }

    @property
    def id(self) -> str:
        """The ID that the image has in a store."""
        return hashlib.sha256(json_of(self.config)).hexdigest()

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return digest_of(json_of(self.manifest))

    def media_type(self, what: str) -> str:
        return _MEDIA_TYPES[self.family][what]


def descriptor(data: bytes, media_type: str, **more: object) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def put_blob(layout: Path, data: bytes, media_type: str, **more: object) -> dict[str, Any]:
    """Write a blob of a layout, and return its descriptor with further members."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    made = descriptor(data, media_type, **more)
    (blobs / made["digest"].removeprefix("sha256:")).write_bytes(data)
    return made


def put_image(layout: Path, image: Image, **more: object) -> dict[str, Any]:
    """Write all blobs of an image, and return the descriptor of its manifest with further members."""
    for blob in (*image.blobs, json_of(image.config)):
        put_blob(layout, blob, "")
    return put_blob(layout, json_of(image.manifest), image.media_type("manifest"), **more)


def image_index(layout: Path, images: Sequence[Image]) -> bytes:
    """Write the images and return an image index of them, which is not written yet."""
    manifests = [put_image(layout, image, platform=_platform(image.platform)) for image in images]
    return json_of({"schemaVersion": 2, "mediaType": images[0].media_type("index"), "manifests": manifests})


def put_index(layout: Path, manifests: Sequence[Mapping[str, object]]) -> None:
    """Write `oci-layout` and `index.json`."""
    (layout / "oci-layout").write_bytes(json_of({"imageLayoutVersion": "1.0.0"}))
    (layout / "index.json").write_bytes(json_of({"schemaVersion": 2, "manifests": list(manifests)}))


def write_layout(layout: Path, images: Image | Mapping[str, Image | Sequence[Image]]) -> str:
    """Write an OCI layout and return it as a source, without a tag.

    Args:
        layout: the directory, which is made.
        images: an image without a tag; or by tag an image, or several for an image index with their platforms.
    """
    layout.mkdir(parents=True, exist_ok=True)
    manifests = []
    for tag, image in {"": images}.items() if isinstance(images, Image) else images.items():
        more = {"annotations": {TAG: tag}} if tag else {}
        if isinstance(image, Image):
            manifests.append(put_image(layout, image, **more))
        else:
            manifests.append(put_blob(layout, image_index(layout, image), image[0].media_type("index"), **more))
    put_index(layout, manifests)
    return f"oci:{layout}"


def oci_archive(path: Path, images: Image | Mapping[str, Image | Sequence[Image]], compression: str = "none") -> str:
    """Write an archived OCI layout and return it as a source; beside it lies a directory with the same content."""
    layout = path.with_name(f"{path.name}.d")
    write_layout(layout, images)
    places = sorted(place for place in layout.rglob("*") if place.is_file())
    members = [file(str(place.relative_to(layout)), place.read_bytes()) for place in places]
    path.write_bytes(compressed(tar(*members), compression))
    return f"oci-archive:{path}"


def docker_archive(path: Path, images: Mapping[str, Image] | Sequence[Image], compression: str = "none") -> str:
    """Write a docker archive and return it as a source.

    Args:
        path: the file.
        images: by name, or without names. An image's layers are compressed as it says.
        compression: of the whole archive.
    """
    named = [([name], image) for name, image in images.items()] if isinstance(images, Mapping) else [([], image) for image in images]
    members: dict[str, bytes] = {}
    saved = []
    for names, image in named:
        layers = [f"{digest.removeprefix('sha256:')}.tar" for digest in image.diff_ids]
        members |= {**dict(zip(layers, image.blobs, strict=True)), f"{image.id}.json": json_of(image.config)}
        saved.append({"Config": f"{image.id}.json", "RepoTags": names, "Layers": layers})
    members["manifest.json"] = json_of(saved)
    path.write_bytes(compressed(tar(*(file(name, content) for name, content in members.items())), compression))
    return f"docker-archive:{path}"


def _platform(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
