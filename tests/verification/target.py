"""A sound store with an image in which things are broken, and another one that has nothing to do with it."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from attrs import frozen

from cstore.index.lock import announcement
from cstore.model.layout import big_data_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["BYSTANDER", "VICTIM", "Target"]

VICTIM = "registry.example.org/team/victim:1"
BYSTANDER = "registry.example.org/team/bystander:1"


@frozen
class Target:
    """A store of the direct form, in a repository of its own, with two images that share no layer: one of three layers, and one of one."""

    root: Path

    @property
    def image(self) -> dict[str, Any]:
        """The record of the image in which things are broken."""
        return next(record for record in self.records("images") if VICTIM in record["names"])

    @property
    def bystander(self) -> dict[str, Any]:
        return next(record for record in self.records("images") if BYSTANDER in record["names"])

    @property
    def base(self) -> str:
        return self.chain[0]

    @property
    def middle(self) -> str:
        return self.chain[1]

    @property
    def top(self) -> str:
        return self.chain[2]

    @property
    def chain(self) -> list[str]:
        """The layers of the image, base first."""
        parents = {record["id"]: record.get("parent", "") for record in self.records("layers")}
        chain = [self.image["layer"]]
        while len(chain) < 3:
            chain.append(parents[chain[-1]])
        return chain[::-1]

    def layer(self, layer: str) -> Path:
        return self.root / "overlay" / layer

    def diff(self, layer: str) -> Path:
        return self.layer(layer) / "diff"

    def link(self, layer: str) -> Path:
        link = (self.layer(layer) / "link").read_text()
        return self.root / "overlay/l" / link

    def tar_split(self, layer: str) -> Path:
        return self.root / "overlay-layers" / f"{layer}.tar-split.gz"

    def item(self, key: str) -> Path:
        """Return the file of an item of the image's big data."""
        return self.root / "overlay-images" / str(self.image["id"]) / big_data_file(key)

    @property
    def config_key(self) -> str:
        return f"sha256:{self.image['id']}"

    @property
    def manifest_key(self) -> str:
        return f"manifest-{self.image['digest']}"

    def index(self, name: str) -> Path:
        return self.root / f"overlay-{name}/{name}.json"

    def lock(self, name: str) -> Path:
        return self.root / f"overlay-{name}/{name}.lock"

    def records(self, name: str) -> list[dict[str, Any]]:
        """Return all records of an index."""
        return list(json.loads(self.index(name).read_bytes()))

    def write(self, name: str, data: bytes) -> None:
        """Write an index with the lock that announces it."""
        self.index(name).write_bytes(data)
        self.lock(name).write_bytes(announcement(data, own=False))

    def write_records(self, name: str, records: Sequence[object]) -> None:
        self.write(name, json.dumps(records, separators=(",", ":")).encode())

    def edit(self, name: str, identity: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change a record."""
        records = self.records(name)
        change(next(record for record in records if record["id"] == identity))
        self.write_records(name, records)

    def edit_image(self, change: Callable[[dict[str, Any]], object]) -> None:
        self.edit("images", self.image["id"], change)

    def edit_layer(self, layer: str, change: Callable[[dict[str, Any]], object]) -> None:
        self.edit("layers", layer, change)

    def put_manifest(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Give the image another manifest, with all that follows from it."""
        manifest = json.loads(self.item("manifest").read_bytes())
        change(manifest)
        self.put_manifest_bytes(json.dumps(manifest).encode())

    def put_manifest_bytes(self, data: bytes) -> None:
        old, digest = self.manifest_key, "sha256:" + hashlib.sha256(data).hexdigest()
        self.item(old).unlink()
        for key in ("manifest", f"manifest-{digest}"):
            self.item(key).write_bytes(data)
            os.chmod(self.item(key), 0o644)  # noqa: PTH101 - one call for all kinds of paths

        def follow(record: dict[str, Any]) -> None:
            record["digest"] = digest
            record["big-data-names"] = [f"manifest-{digest}" if key == old else key for key in record["big-data-names"]]
            for member, value in (("big-data-sizes", len(data)), ("big-data-digests", digest)):
                del record[member][old]
                record[member] |= {"manifest": value, f"manifest-{digest}": value}

        self.edit_image(follow)

    def rename_layer(self, layer: str, name: str) -> None:
        """Give the top layer another ID, everywhere."""
        link = self.link(layer)
        self.layer(layer).rename(self.layer(name))
        link.unlink()
        link.symlink_to(f"../{name}/diff")
        self.tar_split(layer).rename(self.tar_split(name))
        self.edit_layer(layer, lambda record: record.update(id=name))
        self.edit_image(lambda record: record.update(layer=name))
