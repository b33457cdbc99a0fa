"""Archives as `docker save` and `podman save` write them (spec S5, S6).

They hold no manifest of the registry's kind. Like podman, cstore makes one, byte for byte the same: of schema 2, with the
uncompressed layers.
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from attrs import frozen

from cstore.errors import ContentError, FormatError, SourceError
from cstore.index.gojson import decode, encode
from cstore.layer.blob import DAMAGED, open_tar, unpacked_limit
from cstore.model.digest import Digest, found
from cstore.model.fields import Fields, text
from cstore.model.manifest import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Config, Descriptor
from cstore.model.reference import Reference
from cstore.source.files import ArchiveFiles, read_document
from cstore.source.image import SourceImage, nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cstore.model.platform import Platform

__all__ = ["from_archive"]

_CHUNK = 1 << 20


@frozen
class _Saved:
    """One image of the archive's manifest.json."""

    config: str
    tags: tuple[str, ...]
    layers: tuple[str, ...]

    @classmethod
    def from_dict(cls, value: object, at: str) -> _Saved:
        take = Fields(value, at)
        return cls(take.text("Config"), take.items("RepoTags", _name), take.items("Layers", text))


def from_archive(path: str, name: str, _platform: Platform) -> SourceImage:
    """Open an image of a docker archive; without a name it must hold only one.

    Raises:
        SourceError: no archive, no such image in it, or none that a store can hold.
        FormatError: a file of it is malformed.
    """
    at = f"docker-archive:{path}"
    files = ArchiveFiles(Path(path))
    try:
        saved = _chosen(files, name, at)
        config = read_document(files, saved.config, at)
        diff_ids = Config.from_dict(decode(config, f"{at}: config"), f"{at}: config").diff_ids
        layers = _paired(diff_ids, saved.layers, at)
        sizes = {member: _unpacked_size(files, member) for member in set(saved.layers)}
        return SourceImage.read(
            at=at,
            names=(str(Reference.parse(name)),) if name else saved.tags,
            manifest=_manifest(config, [(diff_id, sizes[layers[diff_id]]) for diff_id in diff_ids]),
            index=None,
            config=config,
            open_blob=partial(_open_layer, files, layers),
            close=files.close,
        )
    except BaseException:
        files.close()
        raise


def _chosen(files: ArchiveFiles, name: str, at: str) -> _Saved:
    where = f"{at}: manifest.json"
    value = decode(read_document(files, "manifest.json", at), where)
    if not isinstance(value, list):
        raise FormatError(where, f"expected an array, found {found(value)}")
    images = [_Saved.from_dict(item, f"{where}[{number}]") for number, item in enumerate(value)]
    tags = ", ".join(sorted(tag for image in images for tag in image.tags)) or "none"
    if name:
        wanted = str(Reference.parse(name))
        images = [image for image in images if wanted in image.tags]
        if not images:
            raise SourceError(f'{at}: expected an image named "{wanted}", found: {tags}')
    elif len(images) != 1:
        raise SourceError(f"{at}: expected one image, found {len(images)}; name one of: {tags}")
    return images[0]


def _paired(diff_ids: tuple[Digest, ...], members: tuple[str, ...], at: str) -> dict[Digest, str]:
    if len(diff_ids) != len(members):
        raise SourceError(f"{at}: expected a layer for each diff ID of the config ({len(diff_ids)}), found {len(members)} layers")
    return dict(zip(diff_ids, members, strict=True))


def _manifest(config: bytes, layers: list[tuple[Digest, int]]) -> bytes:
    """Return the manifest that podman makes for such an image."""

    def descriptor(media_type: str, size: int, digest: Digest) -> dict[str, object]:
        return {"mediaType": media_type, "size": size, "digest": str(digest)}

    return encode(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": descriptor(DOCKER_CONFIG, len(config), Digest.of(config)),
            "layers": [descriptor(DOCKER_LAYER, size, diff_id) for diff_id, size in layers],
        }
    )


def _open_layer(
    files: ArchiveFiles, layers: Mapping[Digest, str], descriptor: Descriptor, _tick: Callable[[], object] = nothing
) -> IO[bytes]:
    return _unpacked(files, layers[descriptor.digest])


def _unpacked(files: ArchiveFiles, member: str) -> IO[bytes]:
    compression, stream = open_tar(cast("io.BufferedReader", files.open(member)))
    return stream if compression == "none" else io.BufferedReader(cast("io.RawIOBase", stream))


def _unpacked_size(files: ArchiveFiles, member: str) -> int:
    """Return the bytes of a layer's tar; only a compressed one must be read for it."""
    with files.open(member) as file:
        compression, stream = open_tar(cast("io.BufferedReader", file))
        if compression == "none":
            return files.size(member)
        size, limit = 0, unpacked_limit(files.size(member))
        try:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise ContentError(f"{member}: expected at most {limit} bytes unpacked, found more")
        except DAMAGED as error:
            raise ContentError(f"{member}: expected {compression} data, found damage ({error})") from None
        return size


def _name(value: object, at: str) -> str:
    return str(Reference.parse(text(value, at)))
