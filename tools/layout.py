"""Writes OCI layouts, without any library of cstore's, of layers that are at hand as tars."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["put_blob", "put_image", "write_layout"]

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
    blobs = [put_blob(layout, kind, gzip.compress(layer, mtime=0) if gzipped else layer) for layer in layers]
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    listed = put_image(layout, "latest", [*zip(blobs, diff_ids, strict=True)], config=config, architecture=architecture)
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [listed]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{layout}:latest"


def put_image(
    layout: Path,
    tag: str,
    layers: Sequence[tuple[Mapping[str, Any], str]],
    *,
    config: Mapping[str, Any] | None = None,
    architecture: str = "amd64",
) -> dict[str, Any]:
    """Write the config and the manifest of an image, and return how the layout's index lists it.

    Args:
        layout: where its layers are already.
        tag: under which it is listed.
        layers: the descriptor and the diff ID of each, the base first.
        config: what a container of it takes as given, such as `Cmd`.
        architecture: in Go's words.
    """
    described = {
        "created": _CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": dict(config or {}),
        "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": put_blob(layout, "config.v1+json", json.dumps(described).encode()),
        "layers": [descriptor for descriptor, _ in layers],
    }
    listed = put_blob(layout, "manifest.v1+json", json.dumps(manifest).encode())
    return {**listed, "annotations": {"org.opencontainers.image.ref.name": tag}}


def put_blob(layout: Path, kind: str, data: bytes) -> dict[str, Any]:
    """Write a blob and return its descriptor."""
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": f"{_OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}
