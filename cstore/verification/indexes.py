"""Rules about the indexes, their locks and their records (spec V1 to V6, V11, V12, V18 to V22, V45, V74, V75, V77, V78, V89)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cstore.errors import FormatError
from cstore.files import LARGEST_INDEX, UnreadableError
from cstore.index import lock as locks
from cstore.model.chain import is_id
from cstore.model.digest import Digest, found
from cstore.model.layout import IMAGES_INDEX, LAYERS_INDEX
from cstore.model.reference import Reference
from cstore.verification.records import Image, Layer, Wrong, decoded
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cstore.files import Directory
    from cstore.verification.problem import Problem

__all__ = ["check_image_record", "check_layer_record", "check_lock", "check_names", "is_digest", "is_object", "twice", "values_of", "wrong"]


def values_of(directory: Directory, index: str, problems: list[Problem]) -> tuple[bytes, list[object]]:
    """Return the bytes of an index and its records as JSON has them; none where readers get none."""
    path = directory.place(index)
    data = b""
    try:
        if directory.found(index) != "nothing":
            data = directory.read(index, LARGEST_INDEX)
        value = decoded(data) if data else None
    except UnreadableError as error:
        problems.append(problem("V1", path, path, f"expected a file with an array, found {error}"))
        value = None
    except ValueError as error:
        problems.append(problem("V1", path, path, f"expected JSON, found {len(data)} bytes that are none ({error})"))
        value = None
    if value is None or isinstance(value, list):
        return data, value or []
    problems.append(problem("V1", path, path, f"expected an array, found {found(value)}"))
    return data, []


def wrong(item: Wrong, path: str) -> Problem:
    """Return the problem of a record that cannot be decoded."""
    return problem("V1" if item.at.endswith("]") else "V2", item.at, path, item.said)


def check_lock(directory: Directory, name: str, index: bytes) -> Iterator[Problem]:
    """Check the lock of an index, given the bytes of that."""
    path = directory.place(name)
    try:
        held = directory.read(name, 1 << 16)
    except UnreadableError as error:
        yield problem("V5", path, path, f"expected a lock file, found {error}")
        return
    if len(held) < locks.LENGTH:
        yield problem("V74", path, path, f"expected {locks.LENGTH} bytes, found {len(held)}")
    elif locks.told(index, held[: locks.LENGTH]) is locks.Told.STALE:
        yield problem("V75", path, path, "expected the lock of its index as it is, found that of another state")


def check_names(images: Iterable[Image], layers: Iterable[Layer]) -> Iterator[Problem]:
    """Check that names of images and of layers are there once."""
    holders: dict[str, Image] = {}
    for image in images:
        for name in image.names:
            first = holders.setdefault(name, image)
            if first is not image:
                yield problem("V3", f"image {image.id}", IMAGES_INDEX, f'expected "{name}" at one image, found it at {first.id} too')
    counts = Counter(name for layer in layers for name in layer.members.get("names") or ())
    for name, count in counts.items():
        if count > 1:
            yield problem("V6", f"layer name {name}", LAYERS_INDEX, f"expected the name once, found it {count} times")


def check_image_record(image: Image) -> Iterator[Problem]:
    """Check what a record of images.json says by itself."""
    subject, path = f"image {image.id}", IMAGES_INDEX
    if not is_id(image.id):
        yield problem("V12", image.at, path, f"expected an ID of 64 hexadecimal digits, found {found(image.id)}")
    digests = {"digest": image.digest, **{f"big-data-digests[{key!r}]": text for key, text in image.digests.items() if _is_manifest(key)}}
    for place, text in digests.items():
        if text and not is_digest(text):
            yield problem("V4", subject, path, f"expected a digest as {place}, found {found(text)}")
        elif not text and place != "digest":
            yield problem("V4", subject, path, f"expected a digest as {place}, found an empty text")
    metadata = image.members.get("metadata") or "{}"
    if not is_object(metadata):
        yield problem("V22", subject, path, f"expected an object in JSON as metadata, found {found(metadata)}")
    yield from _check_names(image)
    if image.members.get("mapped-layers"):
        yield problem("V89", subject, path, "expected no mapped layers, found some")


def _check_names(image: Image) -> Iterator[Problem]:
    subject, path = f"image {image.id}", IMAGES_INDEX
    for name in image.names:
        qualified = _qualified(name)
        if not qualified:
            yield problem("V23", subject, path, f"expected the name of an image, found {found(name)}")
        elif qualified != name:
            yield problem("V45", subject, path, f'expected the name {qualified}, found "{name}"')


def check_layer_record(layer: Layer) -> Iterator[Problem]:
    """Check what a record of layers.json says by itself."""
    subject, path, members = f"layer {layer.id}", LAYERS_INDEX, layer.members
    if not is_id(layer.id):
        yield problem("V21", layer.at, path, f"expected an ID of 64 hexadecimal digits, found {found(layer.id)}")
    if (members.get("flags") or {}).get("incomplete") is True:
        yield problem("V18", subject, path, "expected a layer that is complete, found one flagged as incomplete")
    if members.get("toc-digest") and not layer.diff_digest:
        yield problem("V47", subject, path, "expected a digest as diff-digest, found only that of a table of contents")
    elif not is_digest(layer.diff_digest):
        yield problem("V19", subject, path, f"expected a digest as diff-digest, found {found(layer.diff_digest or None)}")
    if layer.diff_digest and layer.diff_size <= 0:
        yield problem("V78", subject, path, f"expected the bytes of its tar as diff-size, found {layer.diff_size}")
    for member in ("mountlabel", "uidmap", "gidmap"):
        if members.get(member):
            yield problem("V77", subject, path, f"expected no {member}, found one")
    for member in ("names", "metadata", "big-data-names"):
        if members.get(member):
            yield problem("V89", subject, path, f"expected no {member}, found some")


def twice(kind: str, records: Iterable[Image] | Iterable[Layer], path: str) -> Iterator[Problem]:
    """Check that each ID has one record."""
    counts = Counter(record.id for record in records)
    for identity, count in counts.items():
        if count > 1:
            code = "V11" if kind == "image" else "V20"
            yield problem(code, f"{kind} {identity}", path, f"expected one record, found {count}, of which readers take one or another")


def _is_manifest(key: str) -> bool:
    return key.startswith("manifest")


def is_object(text: str) -> bool:
    """Whether a text is an object in JSON, as the metadata of an image have to be (spec I7)."""
    try:
        return isinstance(decoded(text.encode("utf-8", "replace")), dict)
    except ValueError:
        return False


def is_digest(text: str) -> bool:
    """Whether a text is a digest of an algorithm that readers know."""
    try:
        Digest.parse(text)
    except FormatError:
        return False
    return True


def _qualified(name: str) -> str:
    """Return a name as podman completes it; empty where it would take it for none."""
    repository, at, digest = name.partition("@")
    head, colon, tag = repository.rpartition(":")
    if at and colon and "/" not in tag:
        # With both a tag and a digest it is stored as it is.
        return name if _completed(f"{head}@{digest}") else ""
    return _completed(name)


def _completed(name: str) -> str:
    try:
        return str(Reference.parse(name))
    except FormatError:
        return ""
