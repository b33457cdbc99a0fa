"""Writes OCI layouts, without any library of cstore's, of layers that are at hand as tars."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["write_layout"]

_OCI = "application/vnd.oci.image"
_CREATED = "2023-11-14T22:13:20Z"


def write_layout(
    layout: Path,
    layers: Sequence[bytes],
    *,
    config: Mapping[str, Any] | None = None,
    architecture: str = "amd64",
    gzipped: bool = False,
) -> str:
    """Write an OCI layout with one image, `latest`, in a new directory, and return the image as cstore and skopeo call it.

    Args:
        layout: the directory.
        layers: the tars of the layers, the base first.
        config: what a container of it takes as given, such as `Cmd`.
        architecture: in Go's words.
        gzipped: whether the blobs of the layers are.
    """
    (layout / "blobs/sha256").mkdir(parents=True)
    kind = "layer.v1.tar+gzip" if gzipped else "layer.v1.tar"
    blobs = [_put(layout, kind, gzip.compress(layer, mtime=0) if gzipped else layer) for layer in layers]
    described = {
        "created": _CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": dict(config or {}),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": _put(layout, "config.v1+json", json.dumps(described).encode()),
        "layers": blobs,
    }
    listed = _put(layout, "manifest.v1+json", json.dumps(manifest).encode())
    listed["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [listed]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{layout}:latest"


def _put(layout: Path, kind: str, data: bytes) -> dict[str, Any]:
    """Write a blob and return its descriptor."""
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": f"{_OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}
