"""Rules about the big data of an image (spec V31 to V35, V40 to V44)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from attrs import define

from cstore.errors import FormatError, SourceError
from cstore.files import UnreadableError
from cstore.model.digest import Digest, found
from cstore.model.layout import IMAGES_INDEX, big_data_file
from cstore.model.manifest import Config, Manifest
from cstore.verification.indexes import is_digest
from cstore.verification.items import Items
from cstore.verification.records import decoded, folded
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.files import Directory
    from cstore.verification.agreement import Agreement
    from cstore.verification.problem import Problem
    from cstore.verification.records import Image
    from cstore.verification.survey import Survey

__all__ = ["Images", "digest_like", "item_files", "parsed"]

_MANIFEST = "manifest"
_LEVELS = 3
_MEMBERS = {
    name.casefold(): name
    for name in (
        *("schemaVersion", "mediaType", "config", "layers", "digest", "size", "manifests"),
        *("rootfs", "diff_ids", "history", "created", "empty_layer", "os", "architecture", "variant"),
    )
}
"""The members of manifests and configs that are read."""


@define
class Images:
    """Checks one image after the other."""

    _survey: Survey
    _is_deep: bool
    _agreement: Agreement

    def check(self, images: Directory | None, image: Image) -> Iterator[Problem]:
        """Check an image; `images` is the directory `overlay-images`."""
        path = f"overlay-images/{image.id}"
        directory = images.inside(image.id) if images else None
        try:
            if directory is not None:
                self._survey.access.see(directory)
                yield from self._check_files(image, directory)
            items = Items(path, directory, images.found(image.id) if images else "nothing")
            yield from self._check(image, items)
        finally:
            if directory is not None:
                directory.close()

    def _check_files(self, image: Image, directory: Directory) -> Iterator[Problem]:
        names = directory.entries()
        known = item_files(image) | {directory.target(name) or "" for name in names}
        for name in names:
            self._survey.access.see(directory, name)
            if name not in known:
                place = directory.place(name)
                yield problem("V84", place, place, "expected an item of big data, found a file that the image's record does not name")

    def _check(self, image: Image, items: Items) -> Iterator[Problem]:
        subject, config_key = f"image {image.id}", f"sha256:{image.id}"
        kept: dict[str, bytes] = {}
        missing: list[Problem] = []
        for code, key in (("V31", _MANIFEST), ("V32", config_key)):
            try:
                kept[key] = items.read(key)
            except UnreadableError as error:
                missing.append(problem(code, subject, items.place(key), f"expected a file, found {error}"))
        if not image.layer and _is_list(kept.get(_MANIFEST)):
            # `podman manifest create` makes such a record, which is no image that could be run.
            return
        yield from missing
        yield from self._check_record(image, kept)
        yield from self._check_items(image, items, kept)
        if (config := kept.get(config_key)) is not None and (digest := hashlib.sha256(config).hexdigest()) != image.id:
            yield problem("V34", subject, items.place(config_key), f"expected the config sha256:{image.id}, found sha256:{digest}")
        read: list[Manifest | Config] = []
        for key, kind in ((_MANIFEST, Manifest), (config_key, Config)):
            try:
                read += [parsed(kind, kept[key])] if key in kept else []
            except (FormatError, ValueError) as error:
                what = "manifest" if kind is Manifest else "config"
                yield problem("V33", subject, items.place(key), f"expected the {what} of an image, found something else ({error})")
            except SourceError:
                # One that cstore does not add, such as schema 1; podman may know it.
                continue
        manifest = next((part for part in read if isinstance(part, Manifest)), None)
        if manifest is not None and manifest.config.digest.hex != image.id:
            yield problem("V35", subject, items.place(_MANIFEST), f"expected the config sha256:{image.id}, found {manifest.config.digest}")
        yield from self._agreement.check(image, manifest, next((part for part in read if isinstance(part, Config)), None))

    def _check_record(self, image: Image, kept: dict[str, bytes]) -> Iterator[Problem]:
        """Check what the record says of the manifest, and of its items as a whole."""
        subject = f"image {image.id}"
        if _MANIFEST in kept:
            actual = str(Digest.of(kept[_MANIFEST]))
            listed = [key.removeprefix("manifest-") for key in image.big_data if key.startswith("manifest-")]
            if image.digest not in (actual, *listed) and (not image.digest or is_digest(image.digest)):
                yield problem("V40", subject, IMAGES_INDEX, f"expected the digest {actual}, found {found(image.digest or None)}")
            if f"manifest-{actual}" not in image.big_data:
                yield problem("V44", subject, IMAGES_INDEX, f"expected manifest-{actual} among the big data, found no such name")
        named, sized, digested = set(image.big_data), set(image.sizes), set(image.digests)
        if not named or not named == sized == digested:
            said = f"{len(named)} names, {len(sized)} sizes and {len(digested)} digests"
            yield problem("V41", subject, IMAGES_INDEX, f"expected a name, a size and a digest for each item of big data, found {said}")

    def _check_items(self, image: Image, items: Items, kept: dict[str, bytes]) -> Iterator[Problem]:
        """Check each item that the record lists against its size, and its digest if that is asked."""
        subject = f"image {image.id}"
        for key in dict.fromkeys([*image.big_data, *image.sizes]):
            size, digest = image.sizes.get(key), image.digests.get(key, "") if self._is_deep else ""
            try:
                actual = len(kept[key]) if key in kept else items.size(key)
                data = kept.get(key) or (items.read(key) if digest else b"")
            except UnreadableError as error:
                if key not in (_MANIFEST, f"sha256:{image.id}"):
                    yield problem("V42", subject, items.place(key), f"expected a file, found {error}")
                continue
            if size is not None and actual != size:
                yield problem("V42", subject, items.place(key), f"expected {size} bytes, found {actual}")
            if digest and digest != (other := digest_like(digest, data)):
                yield problem("V43", subject, items.place(key), f"expected the digest {digest}, found {other}")


def parsed(kind: type[Manifest | Config], data: bytes) -> Manifest | Config:
    """Read a manifest or a config as Go does.

    Raises:
        FormatError: it is none.
        ValueError: it is no JSON.
        SourceError: it is one that cstore does not add.
    """
    value = folded(decoded(data), _MEMBERS, _LEVELS)
    if kind is Manifest and isinstance(value, dict) and "manifests" in value and "layers" not in value:
        raise FormatError("", "expected one image, found an image index")
    return kind.from_dict(value)


def _is_list(data: bytes | None) -> bool:
    """Whether a manifest is a list of manifests."""
    try:
        value = None if data is None else decoded(data)
    except ValueError:
        return False
    return isinstance(value, dict) and "manifests" in value and "layers" not in value


def item_files(image: Image) -> set[str]:
    """Return the names of the files that an image's big data may have."""
    return {_file(key) for key in (*image.big_data, *image.sizes, _MANIFEST, f"sha256:{image.id}")}


def _file(key: str) -> str:
    try:
        return big_data_file(key)
    except (FormatError, UnicodeEncodeError):
        return ""


def digest_like(digest: str, data: bytes) -> str:
    """Return the digest of some bytes with the algorithm of another."""
    try:
        wanted = Digest.parse(digest)
    except FormatError:
        return str(Digest.of(data))
    made = wanted.hasher()
    made.update(data)
    return f"{wanted.algorithm}:{made.hexdigest()}"
