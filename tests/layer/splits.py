"""An assembler of tar-splits that shares nothing with cstore, as podman's makes tars of them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_POLYNOMIAL = 0xD800000000000000
_ALL = (1 << 64) - 1


def _table() -> list[int]:
    made = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)  # noqa: PLW2901 - shifted out bit by bit
        made.append(value)
    return made


_TABLE = _table()


def checksum(data: bytes) -> int:
    """Return the CRC-64 of Go's `crc64.ISO`."""
    crc = _ALL
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ _ALL


def lines(packed: bytes) -> list[dict[str, Any]]:
    """Return the entries of a tar-split."""
    return [json.loads(line) for line in gzip.decompress(packed).splitlines()]


def name_of(entry: Mapping[str, Any]) -> bytes:
    """Return the name of a file that an entry of a tar-split stands for."""
    return base64.b64decode(entry["name_raw"]) if "name_raw" in entry else entry["name"].encode()


def assemble(packed: bytes, files: Mapping[bytes, bytes]) -> bytes:
    """Return the tar that a tar-split describes.

    Args:
        packed: the tar-split.
        files: content by name, both as they are in the tar.
    """
    parts = []
    named = set()
    for number, entry in enumerate(lines(packed)):
        assert entry["position"] == number
        if entry["type"] == 2:
            parts.append(base64.b64decode(entry["payload"], validate=True))
            continue
        assert entry["type"] == 1
        name = name_of(entry)
        assert name not in named, f"{name!r} comes twice"
        named.add(name)
        content = files[name]
        assert len(content) == entry["size"] > 0
        assert base64.b64decode(entry["payload"]) == checksum(content).to_bytes(8, "big")
        parts.append(content)
    return b"".join(parts)


def written(*entries: Mapping[str, object]) -> bytes:
    """Return a tar-split of these entries, whatever they are."""
    return gzip.compress(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))


def raw(data: bytes) -> dict[str, object]:
    """Return the entry for bytes of the tar."""
    return {"type": 2, "payload": base64.b64encode(data).decode(), "position": 0}
