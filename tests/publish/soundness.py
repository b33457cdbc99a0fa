"""An independent judge of stores: it reads them with nothing of cstore and tells what a reader would stumble over."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INDEXES = ("overlay-layers/layers.json", "overlay-images/images.json")


def is_visible(root: Path) -> bool:
    """Whether readers can open the store at all."""
    return all((root / index).exists() for index in INDEXES)


def names(root: Path) -> dict[str, str]:
    """Return what a reader sees: the ID of the image behind each name."""
    return {name: image["id"] for image in _images(root) for name in image.get("names", [])} if is_visible(root) else {}


def problems(root: Path) -> list[str]:
    """Return all that is wrong with a store for readers, its locks included, in whatever moment of a change."""
    layers, images = _layers(root), _images(root)
    found = [*_duplicates("layer", [layer["id"] for layer in layers]), *_duplicates("image", [image["id"] for image in images])]
    found += _duplicates("name", [name for image in images for name in image.get("names", [])])
    by_id = {layer["id"]: layer for layer in layers}
    for layer in layers:
        found += _layer(root, layer, by_id)
    for image in images:
        found += _image(root, image, by_id)
    found += _modes(root, by_id, [image["id"] for image in images])
    for index in INDEXES:
        lock = root / index.replace(".json", ".lock")
        if not lock.is_file() or len(lock.read_bytes()) != 64:
            found.append(f"{lock.name} has no 64 bytes")
    return found


def unfinished(root: Path) -> list[str]:
    """Return what is left of a change that did not end: things that no index names, and locks that do not announce theirs."""
    layers = {layer["id"] for layer in _layers(root)}
    links = {(root / "overlay" / layer / "link").read_text() for layer in layers}
    images = {image["id"] for image in _images(root)}
    known = {
        ".": {"overlay", "overlay-images", "overlay-layers", "cstore.json", *(["pool"] if (root / "pool").exists() else [])},
        "overlay": {"l", *layers},
        "overlay/l": links,
        "overlay-layers": {"layers.json", "layers.lock", *(f"{layer}.tar-split.gz" for layer in layers)},
        "overlay-images": {"images.json", "images.lock", *images},
    }
    for shard in sorted((root / "pool").glob("*")):
        known[f"pool/{shard.name}"] = {layer for layer in layers if layer.startswith(shard.name)}
    found = [
        f"{directory}/{name} is left over"
        for directory, expected in known.items()
        for name in sorted(place.name for place in (root / directory).iterdir())
        if name not in expected and (name != ".cvmfscatalog" or directory == "." or "pool" not in known["."])
    ]
    for index in INDEXES:
        announced = (root / index.replace(".json", ".lock")).read_bytes()[:32]
        if announced != hashlib.sha256((root / index).read_bytes()).digest():
            found.append(f"the lock beside {index} does not announce it")
    return found


def _layers(root: Path) -> list[dict[str, Any]]:
    return _index(root / INDEXES[0])


def _images(root: Path) -> list[dict[str, Any]]:
    return _index(root / INDEXES[1])


def _index(path: Path) -> list[dict[str, Any]]:
    records = json.loads(path.read_bytes())
    assert isinstance(records, list)
    return records


def _duplicates(what: str, values: list[str]) -> Iterator[str]:
    return (f"the {what} {value} is there twice" for value in sorted(set(values)) if values.count(value) > 1)


def _below(layer: dict[str, Any], layers: dict[str, dict[str, Any]]) -> list[str]:
    below: list[str] = []
    while (parent := layer.get("parent")) in layers and parent not in below:
        below.append(parent)
        layer = layers[parent]
    return below


def _layer(root: Path, layer: dict[str, Any], layers: dict[str, dict[str, Any]]) -> Iterator[str]:
    identity, parent = layer["id"], layer.get("parent")
    at = f"layer {identity[:8]}"
    place = root / "overlay" / identity
    hexadecimal = layer["diff-digest"].removeprefix("sha256:")
    if identity != (hashlib.sha256(f"{parent}+{hexadecimal}".encode()).hexdigest() if parent else hexadecimal):
        yield f"{at}: ID"
    if parent and parent not in layers:
        yield f"{at}: its parent has no record"
    if place.is_symlink() and str(place.readlink()) != f"../pool/{identity[:2]}/{identity}":
        yield f"{at}: overlay/{identity} leads elsewhere"
    if not (place / "diff").is_dir() or (place / "diff").is_symlink():
        yield f"{at}: diff is no real directory"
        return
    link = _text(place / "link")
    short = root / "overlay/l" / (link or "")
    if not short.is_symlink() or str(short.readlink()) != f"../{identity}/diff":
        yield f"{at}: link {link}"
    below = _below(layer, layers)
    lower = ":".join(f"l/{_text(root / 'overlay' / other / 'link')}" for other in below)
    if _text(place / "lower") != (lower or None) or _text(place / "lower-layers") != (":".join(below) or None):
        yield f"{at}: lower or lower-layers"
    if (place / "empty").is_dir() == bool(parent):
        yield f"{at}: empty"
    if {entry.name for entry in place.iterdir()} - {"diff", "link", "lower", "lower-layers", "empty", ".cvmfscatalog"}:
        yield f"{at}: more than belongs there"
    if any(name.startswith(".wh.") for _, directories, files in os.walk(place / "diff") for name in (*directories, *files)):
        yield f"{at}: a whiteout that overlay does not know"
    yield from _tar_split(root, layer, place / "diff")


def _tar_split(root: Path, layer: dict[str, Any], diff: Path) -> Iterator[str]:
    """Put the tar together again, as `podman save` does."""
    path = root / "overlay-layers" / f"{layer['id']}.tar-split.gz"
    if not path.is_file():
        yield f"layer {layer['id'][:8]}: no tar-split"
        return
    made = bytearray()
    for line in gzip.decompress(path.read_bytes()).splitlines():
        entry = json.loads(line)
        if entry["type"] == 2:
            made += base64.b64decode(entry["payload"])
        elif entry.get("size"):
            name = base64.b64decode(entry["name_raw"]) if "name_raw" in entry else entry["name"].encode()
            made += (diff / os.fsdecode(name)).read_bytes()
    if f"sha256:{hashlib.sha256(made).hexdigest()}" != layer["diff-digest"] or len(made) != layer["diff-size"]:
        yield f"layer {layer['id'][:8]}: the tar-split does not give its tar"


def _image(root: Path, image: dict[str, Any], layers: dict[str, dict[str, Any]]) -> Iterator[str]:
    at = f"image {image['id'][:8]}"
    keys = image["big-data-names"]
    if not set(keys) == set(image["big-data-sizes"]) == set(image["big-data-digests"]):
        yield f"{at}: its big data are not the same everywhere"
    items = {}
    for key in keys:
        name = key if re.fullmatch("[0-9a-z.]+", key) else "=" + base64.b64encode(key.encode()).decode()
        path = root / "overlay-images" / image["id"] / name
        items[key] = path.read_bytes() if path.is_file() else b""
        digest = f"sha256:{hashlib.sha256(items[key]).hexdigest()}"
        if (len(items[key]), digest) != (image["big-data-sizes"][key], image["big-data-digests"][key]):
            yield f"{at}: big data {key}"
    manifest = json.loads(items["manifest"])
    chain = [image["layer"], *_below(layers.get(image["layer"], {}), layers)] if image.get("layer") else []
    if not set(chain) <= set(layers) or [layers[layer]["diff-digest"] for layer in reversed(chain)] != _diff_ids(items, manifest):
        yield f"{at}: its chain of layers"
    if image["id"] != manifest["config"]["digest"].removeprefix("sha256:"):
        yield f"{at}: ID"
    if items[f"manifest-{image['digest']}"] != items["manifest"] and "manifests" not in json.loads(items[f"manifest-{image['digest']}"]):
        yield f"{at}: digest"
    if not image.get("names"):
        yield f"{at}: no name"


def _diff_ids(items: dict[str, bytes], manifest: dict[str, Any]) -> list[str]:
    ids: list[str] = json.loads(items[manifest["config"]["digest"]])["rootfs"]["diff_ids"]
    return ids


def _modes(root: Path, layers: dict[str, dict[str, Any]], images: list[str]) -> Iterator[str]:
    """Yield what other users than the owner cannot read, or what they could change."""
    directories = [root, *(root / name for name in ("overlay", "overlay/l", "overlay-layers", "overlay-images"))]
    directories += [place for layer in layers for place in (root / "overlay" / layer, root / "overlay" / layer / "empty")]
    directories += [root / "overlay-images" / image for image in images]
    directories += [place for place in (root / "pool", *(root / "pool").glob("*")) if place.exists()]
    files = [place for directory in directories if directory.exists() for place in directory.iterdir() if place.is_file()]
    for place, mode in [*((place, 0o755) for place in directories if place.exists()), *((place, 0o644) for place in files)]:
        if stat.S_IMODE(place.stat().st_mode) != mode:
            yield f"{place.relative_to(root)}: mode {stat.S_IMODE(place.stat().st_mode):o}"


def _text(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None
