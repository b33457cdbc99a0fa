"""The kept corpus: for each target a small archive of inputs that cover much of what fuzzing has found, and findings by their names."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from _typeshed import TraceFunction

    Arc = tuple[str, int, int]

__all__ = ["FINDINGS", "keep", "kept"]

_PLACE = Path(__file__).parents[2] / "tests/fuzz"
FINDINGS = _PLACE / "findings"
"""Inputs that once broke a promise, in a directory for each target, each by a name of its own."""
_CODE = "/cstore/"
_MOST = 30_000
"""Bytes of one input or of one target's archive: what is larger is not worth its place."""


def kept(target: str) -> dict[str, bytes]:
    """Return the kept inputs of a target, by their names."""
    place = _PLACE / "corpus" / f"{target}.zip"
    if not place.exists():
        return {}
    with zipfile.ZipFile(place) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def keep(target: str, inputs: Iterable[bytes], run: Callable[[bytes, Path], None], scratch: Path) -> None:
    """Keep the inputs of a target that cover more of cstore than the smaller ones, as many as have room; same inputs, same bytes.

    Args:
        target: its name.
        inputs: all that are known.
        run: the target.
        scratch: a directory for it.
    """
    place = _PLACE / "corpus" / f"{target}.zip"
    place.parent.mkdir(parents=True, exist_ok=True)
    covered: set[Arc] = set()
    with zipfile.ZipFile(place, "w") as archive:
        for data in sorted(set(inputs), key=lambda data: (len(data), data)):
            arcs = _arcs(lambda data=data: run(data, scratch))  # type: ignore[misc]
            if arcs <= covered:
                continue
            covered |= arcs
            info = zipfile.ZipInfo(hashlib.sha256(data).hexdigest()[:16], (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
            if archive.fp is None or archive.fp.tell() > _MOST:
                break


def _arcs(run: Callable[[], None]) -> set[Arc]:
    """Return which lines of cstore follow on which while something runs."""
    arcs: set[Arc] = set()
    last: dict[int, int] = {}

    def trace(frame: FrameType, event: str, _arg: object) -> TraceFunction | None:
        if _CODE not in frame.f_code.co_filename:
            return None
        if event == "line":
            arcs.add((frame.f_code.co_filename, last.get(id(frame), 0), frame.f_lineno))
            last[id(frame)] = frame.f_lineno
        elif event == "call":
            last[id(frame)] = 0
        return trace

    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    return arcs
