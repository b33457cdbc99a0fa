"""OCI image layouts, in a directory or in an archive (spec S1 to S4)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cstore.errors import FormatError, SourceError
from cstore.index.gojson import decode
from cstore.model.fields import Fields
from cstore.model.manifest import Descriptor, ImageIndex, Manifest
from cstore.model.reference import Reference
from cstore.source.chosen import chosen_manifest
from cstore.source.files import ArchiveFiles, DirectoryFiles, read_document
from cstore.source.image import SourceImage, nothing, read_blob

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from cstore.model.digest import Digest
    from cstore.model.platform import Platform
    from cstore.source.files import Files

__all__ = ["from_archive", "from_directory"]

_TAG = "org.opencontainers.image.ref.name"
_FULL_NAME = "io.containerd.image.name"


def from_directory(path: str, tag: str, platform: Platform) -> SourceImage:
    """Open an image of an OCI layout directory; without a tag it must hold only one.

    Raises:
        SourceError: no layout, no such image, or none that a store can hold.
        FormatError: a file of it is malformed.
    """
    root = Path(path)
    try:
        is_there = root.is_dir()
    except OSError as error:
        raise SourceError(f"oci:{path}: expected a directory, found: {error.strerror}") from None
    if not is_there:
        raise SourceError(f"oci:{path}: expected a directory, found none")
    return _image(DirectoryFiles(root), f"oci:{path}", root, tag, platform)


def from_archive(path: str, tag: str, platform: Platform) -> SourceImage:
    """Open an image of an archived OCI layout; without a tag it must hold only one.

    Raises:
        SourceError: no archive, no layout in it, no such image, or none that a store can hold.
        FormatError: a file of it is malformed.
    """
    files = ArchiveFiles(Path(path))
    try:
        return _image(files, f"oci-archive:{path}", Path(path), tag, platform)
    except BaseException:
        files.close()
        raise


def _image(files: Files, at: str, path: Path, tag: str, platform: Platform) -> SourceImage:
    layout = Fields(_document(files, "oci-layout", at), f"{at}: oci-layout")
    if (version := layout.text("imageLayoutVersion")) != "1.0.0":
        raise FormatError(layout.at("imageLayoutVersion"), f'expected "1.0.0", found "{version}"')
    top = ImageIndex.from_dict(_document(files, "index.json", at), f"{at}: index.json")
    tagged = _tagged(top, tag, at)
    data, index = chosen_manifest(tagged, partial(_read, files, at), platform, at)
    config = Manifest.from_dict(decode(data, f"{at}: manifest"), f"{at}: manifest").config
    return SourceImage.read(
        at=at,
        names=_names(tagged, path, tag),
        manifest=data,
        index=index,
        config=read_blob(files, _blob(config.digest), config.digest, config.size, f"{at}: config"),
        open_blob=partial(_open, files),
        close=files.close,
    )


def _read(files: Files, at: str, descriptor: Descriptor) -> bytes:
    return read_blob(files, _blob(descriptor.digest), descriptor.digest, descriptor.size, f"{at}: blob {descriptor.digest}")


def _tagged(top: ImageIndex, tag: str, at: str) -> Descriptor:
    there = {item.annotations[_TAG] for item in top.manifests if _TAG in item.annotations}
    found = [item for item in top.manifests if not tag or item.annotations.get(_TAG) == tag]
    if len({item.digest for item in found}) == 1:
        return found[0]
    tags = ", ".join(sorted(there)) or "none"
    if tag and not found:
        raise SourceError(f'{at}: expected an image with the tag "{tag}", found the tags: {tags}')
    raise SourceError(f"{at}: expected one image, found {len(found)}; name one of the tags: {tags}")


def _names(chosen: Descriptor, path: Path, tag: str) -> tuple[str, ...]:
    """Return the name that the layout gives to an image: a full one, or one made of the file's name and the tag."""
    tag = tag or chosen.annotations.get(_TAG, "")
    full = chosen.annotations.get(_FULL_NAME) or (tag if "/" in tag else "")
    stem = path.name.lower().removesuffix(".tar").removesuffix(".oci")
    try:
        return (str(Reference.parse(full or f"localhost/{stem}:{tag or 'latest'}")),)
    except FormatError:
        return ()


def _document(files: Files, path: str, at: str) -> object:
    return decode(read_document(files, path, at), f"{at}: {path}")


def _open(files: Files, descriptor: Descriptor, _tick: Callable[[], object] = nothing) -> IO[bytes]:
    return files.open(_blob(descriptor.digest))


def _blob(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"
