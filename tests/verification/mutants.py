"""Mutants: a file of a store with something changed in it, at random but always the same for the same seed and number."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from random import Random
from typing import TYPE_CHECKING

from attrs import frozen

from tests.verification.mutant_json import in_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Mutant", "mutant"]


@frozen
class Mutant:
    """What a file is to hold instead."""

    name: str
    """What was done, for whoever has to look at it."""
    data: bytes


def mutant(path: str, data: bytes, seed: int, number: int) -> Mutant:
    """Return the mutant of a number; it may be what the file holds already."""
    random = Random(f"{seed}/{number}/{path}")  # noqa: S311 - tests want the same every time
    names = []
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        change = random.choice(_ways(path))
        names.append(change.__name__.strip("_"))
        data = change(random, data)
    return Mutant(f"{path}: {', '.join(names)}", data)


def _ways(path: str) -> Sequence[Callable[[Random, bytes], bytes]]:
    name = path.rpartition("/")[2]
    if name.endswith(".gz"):
        return (*_BYTES, _in_line, _in_line, _in_lines, _in_payload, _in_payload)
    if name.endswith(".json") or name == "manifest" or name.startswith("="):
        return (*_BYTES[:4], *([in_json] * len(_BYTES)))
    return _BYTES


def _place(random: Random, data: bytes) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 1, 2, 8, 64, 512)))


def _flip(random: Random, data: bytes) -> bytes:
    start, _ = _place(random, data)
    return data[:start] + bytes(byte ^ (1 << random.randrange(8)) for byte in data[start : start + 1]) + data[start + 1 :]


def _insert(random: Random, data: bytes) -> bytes:
    start, _ = _place(random, data)
    what = random.choice((random.randbytes(random.choice((1, 8, 600))), *_TEXTS))
    return data[:start] + what + data[start:]


def _delete(random: Random, data: bytes) -> bytes:
    start, end = _place(random, data)
    return data[:start] + data[end:]


def _duplicate(random: Random, data: bytes) -> bytes:
    start, end = _place(random, data)
    return data[:end] + data[start:end] * random.choice((1, 1, 2, 100)) + data[end:]


def _truncate(random: Random, data: bytes) -> bytes:
    return data[: random.choice((0, random.randrange(len(data) + 1)))]


def _swap(random: Random, data: bytes) -> bytes:
    (start, end), (_, far) = sorted((_place(random, data), _place(random, data)))
    far = max(end, far)
    return data[:start] + data[end:far] + data[start:end] + data[far:]


def _overwrite(random: Random, data: bytes) -> bytes:
    start, end = _place(random, data)
    return data[:start] + random.choice((bytes(end - start), random.randbytes(end - start), b"9" * (end - start))) + data[end:]


_TEXTS = (b"\xff\xfe", b"\0", b"\n", b"../", b"/", b":", b"l/", b'"', b"{", b"}" * 9, b"[" * 2000, b"null", b"-", b"1e400", b"\xed\xa0\x80")
_BYTES = (_flip, _insert, _delete, _duplicate, _truncate, _swap, _overwrite)


_MANY = 500


def _in_line(random: Random, data: bytes) -> bytes:
    """Change the JSON of a line of a tar-split."""
    return _repacked(data, random, lambda lines, at: [*lines[:at], in_json(random, lines[at]), *lines[at + 1 :]])


def _in_lines(random: Random, data: bytes) -> bytes:
    """Change the lines of a tar-split: leave one out, or have it twice, or at another place."""

    def change(lines: list[bytes], at: int) -> list[bytes]:
        rest = lines[:at] + lines[at + 1 :]
        # What is large takes its time, and is no mutant.
        return random.choice((rest, [*lines, lines[at]], [lines[at], *rest], lines * 50 if len(lines) < _MANY else rest))

    return _repacked(data, random, change)


def _in_payload(random: Random, data: bytes) -> bytes:
    """Change the tar of which a line of a tar-split holds a part."""

    def change(lines: list[bytes], at: int) -> list[bytes]:
        try:
            value = json.loads(lines[at])
            payload = base64.b64decode(value["payload"])
            return [
                *lines[:at],
                json.dumps({**value, "payload": base64.b64encode(_in_tar(random, payload)).decode()}).encode(),
                *lines[at + 1 :],
            ]
        except (ValueError, TypeError, KeyError, RecursionError):
            return lines

    return _repacked(data, random, change)


def _in_tar(random: Random, tar: bytes) -> bytes:
    """Change the header of a member so that its checksum still holds, or any bytes."""
    if random.random() < 0.3 or len(tar) < 512:
        return random.choice(_BYTES)(random, tar)
    start = random.randrange(len(tar) // 512) * 512
    header = bytearray(tar[start : start + 512])
    at, length = random.choice(
        ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (329, 8), (345, 155))
    )
    values = (
        bytes(length),
        random.randbytes(length),
        b"7" * length,
        b"\x80" + b"\xff" * (length - 1),
        b"../" * 40,
        b".wh..wh..opq",
        b"x",
        b"g",
        b"L",
        b"1",
    )
    header[at : at + length] = random.choice(values)[:length].ljust(length, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()[:8]
    return tar[:start] + bytes(header) + tar[start + 512 :]


def _repacked(data: bytes, random: Random, change: Callable[[list[bytes], int], list[bytes]]) -> bytes:
    try:
        lines = gzip.decompress(data).splitlines()
    except (OSError, EOFError, zlib.error):
        return data
    if not lines:
        return data
    return gzip.compress(b"\n".join(change(lines, random.randrange(len(lines)))) + b"\n", mtime=0)
