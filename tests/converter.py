"""Repositories as CernVM-FS's present converter lays them out, in both of its generations, with the defects that they have.

    store = layered(tmp_path / "repository", {"registry.example.org/app:1": Image(layers=(base, top))})
    store = flat(tmp_path / "repository", {"registry.example.org/app:1": image}, Flaw.LOST_MANIFEST)

`layered` makes what the generation of 2024 publishes, `flat` what that of 2026 does; both return the store, `podmanStore`, below
which and beside which everything is. Defects that these programs cannot help come by themselves: whiteouts as files, one owner for
all, empty locks, layers listed once for each image, links that nothing names any more, cycles where an image has a layer twice, two
images of one name. `Flaw`s are planted besides; those of an image in the last one.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from attrs import define, field

from tests.images import digest_of, json_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.images import Image

__all__ = ["CONVERTER", "Flaw", "config_file", "flat", "flat_id", "layered", "remarshalled", "tree_of"]

CONVERTER = (998, 997)
"""The user and group to whom all that the converter ingests belongs."""

_CREATED = "2024-10-01T12:00:{:02d}.000000001Z"
_DOT_FILES = {".exec": 0o755, ".run": 0o755, ".shell": 0o755, "singularity": 0o755, "environment": 0o644}


class Flaw(Enum):
    """A defect that only some of these repositories have."""

    AS_IN_IMAGE = auto()
    """Not a flaw: files have the owners of the image, as a later `ingest -k` gives them."""
    NO_CATALOGS = auto()
    """Not a flaw: no `.cvmfscatalog` within the trees of layers."""
    LOWER_WITHOUT_L = auto()
    """A link that was there before stands in `lower` without `l/`, and is not made anew."""
    TWO_RECORDS = auto()
    """The image stands in images.json twice."""
    LOST_MANIFEST = auto()
    """The manifest is gone."""
    UNNOTED = auto()
    """What was noted of the manifest beside the store is gone."""
    LOST_CONFIG = auto()
    """The config is gone."""
    WRONG_CONFIG = auto()
    """The config has other bytes."""
    OTHER_MANIFEST = auto()
    """The manifest is that of the image for another architecture."""
    INDEX_AS_MANIFEST = auto()
    """The manifest is an image index."""
    DANGLING_MANIFEST = auto()
    """The manifest is a symlink with a digest in its text, where there is nothing."""
    LOST_TREE = auto()
    """The tree of the image's top layer is gone, so that `diff` dangles."""
    CUT_TREE = auto()
    """The top layer was ingested from a stream that ended too early, and has the diff ID of that."""
    UNMEASURED = auto()
    """Nothing is noted of the image's top layer: the run that ingested it was cut."""
    NO_LAYERS = auto()
    """There are no trees of layers, only the flat tree."""
    NO_TAG = auto()
    """The image was asked for by its digest, and its name has neither a tag nor that."""
    DAMAGED_IMAGES = auto()
    """images.json is cut."""


def layered(repository: Path, images: Mapping[str, Image] | Sequence[tuple[str, Image]], *flaws: Flaw) -> Path:
    """Make the repository that the generation of 2024 publishes of some images, by their names, and return its store."""
    made = _Layered(repository, frozenset(flaws))
    return made.convert([*images.items()] if isinstance(images, Mapping) else images)


def flat(repository: Path, images: Mapping[str, Image] | Sequence[tuple[str, Image]], *flaws: Flaw) -> Path:
    """Make the repository that the generation of 2026 publishes of some images, by their names, and return its store."""
    made = _Flat(repository, frozenset(flaws))
    return made.convert([*images.items()] if isinstance(images, Mapping) else images)


def flat_id(image: Image) -> str:
    """Return the ID of the one layer that the generation of 2026 invents for an image."""
    return hashlib.sha256(f"cvmfs-flat-layer:{image.id}".encode()).hexdigest()


def tree_of(repository: Path, image: Image, number: int) -> Path:
    """Return where the tree of one of an image's layers lies."""
    return _layer_place(repository, image, number) / "layerfs"


@define
class _Repository:
    """What both generations publish beside their stores."""

    root: Path
    flaws: frozenset[Flaw]
    layer_records: list[dict[str, Any]] = field(factory=list)
    image_records: list[dict[str, Any]] = field(factory=list)
    random: int = 0
    moment: int = 0

    @property
    def store(self) -> Path:
        return self.root / "podmanStore"

    def convert(self, images: Sequence[tuple[str, Image]]) -> Path:
        for name, image in images:
            if Flaw.NO_LAYERS not in self.flaws:
                self.ingest(image)
            self.note(name, image)
            self.flatten(name, image)
            self.store_image(name, image)
        self.write_indexes()
        self.plant(*images[-1])
        return self.store

    def store_image(self, name: str, image: Image) -> None:
        raise NotImplementedError

    def ingest(self, image: Image) -> None:
        """Ingest each layer that is not there yet: whatever the tar holds, whiteouts as files, all of one owner."""
        _put(self.root / ".layers/.cvmfscatalog")
        for number, tar in enumerate(image.layers):
            place = _layer_place(self.root, image, number)
            _put(place.parent / ".cvmfscatalog")
            if not place.exists():
                self.unpack(tar, place / "layerfs")
                if Flaw.NO_CATALOGS not in self.flaws:
                    _put(place / "layerfs/.cvmfscatalog")
                    self.give(place / "layerfs/.cvmfscatalog")
                _put(place / ".metadata/layers.json", json_of([self.layer_info(image, number)]))
            origin = place / ".metadata/origin.json"
            there = json.loads(origin.read_bytes())["origin"] if origin.exists() else []
            _put(origin, json_of({"origin": [*there, f"sha256:{image.id}"]}))

    def layer_info(self, image: Image, number: int) -> dict[str, Any]:
        tar, blob = image.layers[number], image.blobs[number]
        return {
            "id": digest_of(tar).removeprefix("sha256:"),
            "created": self.now(),
            "compressed-diff-digest": digest_of(blob),
            "compressed-size": len(blob),
            "diff-digest": digest_of(tar),
            "diff-size": len(tar),
        }

    def note(self, name: str, image: Image) -> None:
        """Note the manifest, as the converter's program writes what it has decoded."""
        _put(self.root / f".metadata/{name}/manifest.json", json.dumps(remarshalled(image.manifest)).encode())

    def flatten(self, name: str, image: Image) -> None:
        """Merge all layers into one tree, with the files that Singularity wants, and the symlink by which the public finds it."""
        _put(self.root / ".flat/.cvmfscatalog")
        place = self.root / f".flat/{image.id[:2]}/{image.id}"
        if not place.exists():
            place.mkdir(parents=True)
            for tar in image.layers:
                self.unpack(tar, place, merges=True)
            for dot_file, mode in _DOT_FILES.items():
                _put(place / ".singularity.d" / dot_file.lstrip("."), b"#!/bin/sh\n")
                (place / ".singularity.d" / dot_file.lstrip(".")).chmod(mode)
                (place / dot_file).symlink_to(f".singularity.d/{dot_file.lstrip('.')}")
            _put(place / ".cvmfscatalog")
        public = self.root / name
        public.parent.mkdir(parents=True, exist_ok=True)
        public.unlink(missing_ok=True)
        public.symlink_to(f"{'../' * name.count('/')}.flat/{image.id[:2]}/{image.id}")

    def unpack(self, tar: bytes, place: Path, *, merges: bool = False) -> None:
        place.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
            for member in opened:
                path = place / member.name
                if merges and _whited(path):
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                self.unpack_member(opened, member, path, place)
        for path in [place, *place.rglob("*")]:
            self.give(path)

    def unpack_member(self, opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path, place: Path) -> None:
        if not member.isdir() and os.path.lexists(path):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if member.isdir():
            path.mkdir(exist_ok=True)
        elif member.issym():
            path.symlink_to(member.linkname)
        elif member.islnk():
            os.link(place / member.linkname, path, follow_symlinks=False)
        elif member.ischr() or member.isblk() or member.isfifo():
            kind = stat.S_IFIFO if member.isfifo() else stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            os.mknod(path, kind | 0o600, os.makedev(member.devmajor, member.devminor))
        else:
            content = opened.extractfile(member)
            path.write_bytes(content.read() if content else b"")
        if os.geteuid() == 0:
            os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if not member.issym():
            path.chmod(member.mode)
            os.utime(path, (member.mtime, member.mtime))

    def give(self, path: Path) -> None:
        """Give a file to the converter's user; an ingest keeps the mode, which `chown` would not."""
        if Flaw.AS_IN_IMAGE in self.flaws or os.geteuid() != 0:
            return
        told = path.lstat()
        os.chown(path, *CONVERTER, follow_symlinks=False)
        if not stat.S_ISLNK(told.st_mode):
            path.chmod(stat.S_IMODE(told.st_mode))

    def write_indexes(self) -> None:
        for room, name, records in (("layers", "layers", self.layer_records), ("images", "images", self.image_records)):
            _put(self.store / f"overlay-{room}/{name}.json", json.dumps(records, indent=1).encode())
            _put(self.store / f"overlay-{room}/{name}.lock")

    def plant(self, name: str, image: Image) -> None:
        """Plant the flaws of the last image, after all was written."""
        place = self.store / f"overlay-images/{image.id}"
        noted = self.root / f".metadata/{name.partition('@')[0]}/manifest.json"
        top = _layer_place(self.root, image, len(image.layers) - 1) if image.layers else self.root
        plain = json_of({**image.manifest, "config": {**image.manifest["config"], "digest": digest_of(b"another architecture")}})
        index = json_of({"schemaVersion": 2, "mediaType": image.media_type("index"), "manifests": []})
        planted: dict[Flaw, Callable[[], object]] = {
            Flaw.LOST_MANIFEST: (place / "manifest").unlink,
            Flaw.UNNOTED: noted.unlink,
            Flaw.LOST_CONFIG: (place / config_file(image)).unlink,
            Flaw.WRONG_CONFIG: lambda: (place / config_file(image)).write_bytes(b"{}"),
            Flaw.OTHER_MANIFEST: lambda: _put_in_place(place / "manifest", plain),
            Flaw.INDEX_AS_MANIFEST: lambda: _put_in_place(place / "manifest", index),
            Flaw.LOST_TREE: lambda: shutil.rmtree(top / "layerfs"),
            Flaw.CUT_TREE: lambda: _put(top / ".metadata/layers.json", json_of([{**_first(top), "diff-digest": digest_of(b"cut")}])),
            Flaw.UNMEASURED: lambda: shutil.rmtree(top / ".metadata"),
            Flaw.DAMAGED_IMAGES: lambda: os.truncate(self.store / "overlay-images/images.json", 20),
        }
        for flaw in sorted(self.flaws & planted.keys(), key=lambda flaw: flaw.value):
            planted[flaw]()

    def new_link(self) -> str:
        """Return a link of 26 characters, as if it were random."""
        self.random += 1
        return base64.b32encode(hashlib.sha256(f"link {self.random}".encode()).digest()[:16]).decode().rstrip("=")

    def now(self) -> str:
        self.moment += 1
        return _CREATED.format(self.moment % 60)

    def put_record(self, name: str, image: Image, layer: str | None) -> None:
        said = name.partition("@")[0].rpartition(":")[0] if Flaw.NO_TAG in self.flaws else name.partition("@")[0]
        record = {"id": image.id, "names": [said], "layer": layer, "created": self.now()}
        self.image_records += [record] * (2 if Flaw.TWO_RECORDS in self.flaws else 1)


@define
class _Layered(_Repository):
    """The generation of 2024: a layer of the store for each diff ID."""

    def store_image(self, name: str, image: Image) -> None:
        for room in ("", "overlay/", "overlay-images/", "overlay-layers/"):
            _put(self.store / f"{room}.cvmfscatalog")
        ids = [diff_id.removeprefix("sha256:") for diff_id in image.diff_ids]
        parents = dict(zip(ids, [None, *ids], strict=False))
        for number, identity in enumerate(ids):
            info = self.layer_info(image, number)
            self.layer_records.append({**info, **({"parent": parents[identity]} if parents[identity] else {})})
        below: list[str] = []
        for number, identity in enumerate(ids):
            below = [self.put_layer(image, number, identity, below), *below]
        self.put_image(name, image)
        # An image of which a name moved is dropped, with all its names.
        self.image_records = [record for record in self.image_records if name not in record["names"]]
        self.put_record(name, image, ids[-1] if ids else None)

    def put_layer(self, image: Image, number: int, identity: str, below: list[str]) -> str:
        """Write the directory of a layer, and return how the layers above name its link."""
        place = self.store / f"overlay/{identity}"
        place.mkdir(parents=True, exist_ok=True)
        digest = digest_of(image.blobs[number]).removeprefix("sha256:")
        if not (place / "diff").is_symlink():
            (place / "diff").symlink_to(f"../../../.layers/{digest[:2]}/{digest}/layerfs")
        keeps = Flaw.LOWER_WITHOUT_L in self.flaws and (place / "link").exists()
        link = (place / "link").read_text() if keeps else self.new_link()
        _put(place / "link", link.encode())
        if not keeps:
            short = self.store / "overlay/l" / link
            short.parent.mkdir(exist_ok=True)
            short.symlink_to(f"../{identity}/diff")
        if below:
            _put(place / "lower", ":".join(below).encode())
        return link if keeps else f"l/{link}"

    def put_image(self, name: str, image: Image) -> None:
        place = self.store / f"overlay-images/{image.id}"
        _put(place / config_file(image), json_of(image.config))
        reference = f"{name}@{image.digest}" if Flaw.DANGLING_MANIFEST in self.flaws else name
        (place / "manifest").unlink(missing_ok=True)
        (place / "manifest").symlink_to(f"../../../.metadata/{reference}/manifest.json")


@define
class _Flat(_Repository):
    """The generation of 2026: one invented layer for each image, whatever its layers are."""

    def store_image(self, name: str, image: Image) -> None:
        layer = flat_id(image)
        if any(record["id"] == image.id for record in self.image_records):
            # A second tag of an image is never added.
            return
        place = self.store / f"overlay/{layer}"
        (self.store / "overlay/l").mkdir(parents=True, exist_ok=True)
        place.mkdir()
        link = self.new_link()
        (place / "diff").symlink_to(f"../../../.flat/{image.id[:2]}/{image.id}")
        _put(place / "link", link.encode())
        (self.store / "overlay/l" / link).symlink_to(f"../{layer}/diff")
        size = sum(path.lstat().st_size for path in (self.root / f".flat/{image.id[:2]}/{image.id}").rglob("*"))
        self.layer_records.append({"id": layer, "created": self.now(), "diff-digest": f"sha256:{layer}", "diff-size": size})
        _put(self.store / f"overlay-images/{image.id}/manifest", json_of(image.manifest))
        _put(self.store / f"overlay-images/{image.id}/{config_file(image)}", json_of(image.config))
        self.put_record(name, image, layer)


def remarshalled(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest as the converter's program writes it after decoding."""

    def descriptor(value: Mapping[str, Any]) -> dict[str, Any]:
        return {"MediaType": value["mediaType"], "Size": value["size"], "Digest": value["digest"]}

    return {
        "SchemaVersion": manifest["schemaVersion"],
        "MediaType": manifest["mediaType"],
        "Config": descriptor(manifest["config"]),
        "Layers": [descriptor(layer) for layer in manifest["layers"]],
    }


def config_file(image: Image) -> str:
    """Return the file name of an image's config."""
    return "=" + base64.b64encode(f"sha256:{image.id}".encode()).decode()


def _layer_place(repository: Path, image: Image, number: int) -> Path:
    digest = digest_of(image.blobs[number]).removeprefix("sha256:")
    return repository / f".layers/{digest[:2]}/{digest}"


def _first(layer: Path) -> dict[str, Any]:
    (info,) = json.loads((layer / ".metadata/layers.json").read_bytes())
    return dict(info)


def _whited(path: Path) -> bool:
    """Whether a name is a whiteout, which a merged tree obeys."""
    if not path.name.startswith(".wh."):
        return False
    if not path.parent.is_dir():
        return True
    gone = [*path.parent.iterdir()] if path.name == ".wh..wh..opq" else [path.with_name(path.name.removeprefix(".wh."))]
    for hidden in gone:
        if hidden.is_dir() and not hidden.is_symlink():
            shutil.rmtree(hidden)
        else:
            hidden.unlink(missing_ok=True)
    return True


def _put(path: Path, data: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _put_in_place(path: Path, data: bytes) -> None:
    """Put a file in place of a symlink too."""
    path.unlink()
    path.write_bytes(data)
