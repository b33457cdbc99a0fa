"""The quick rules over what a delta touches, before it is published (spec V1 to V4, V6, V74, V75)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cstore.delta import ReplaceIndex
from cstore.errors import PublishError
from cstore.files import LARGEST_INDEX, UnreadableError
from cstore.index import lock as locks
from cstore.index.gojson import encode
from cstore.model.layout import IMAGES_INDEX, index_of
from cstore.origin import read
from cstore.verification.indexes import check_image_record, check_layer_record, wrong
from cstore.verification.problem import Reach
from cstore.verification.records import Wrong, decoded, read_images, read_layers
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cstore.delta import Delta
    from cstore.verification.problem import Problem

__all__ = ["check_delta", "refuse_unsound"]

_SEARCHES = 64
_CHUNK = 1 << 16


def refuse_unsound(delta: Delta, root: Path) -> None:
    """See that a delta leaves no store that fails every command of every reader.

    Args:
        delta: what is to be published.
        root: the store's directory as it is; there may be none yet.

    Raises:
        PublishError: it would; the error names the problem.
    """

    def old(path: str) -> bytes:
        try:
            return read(root, path, LARGEST_INDEX) or b""
        except UnreadableError:
            return b""

    for found in check_delta(delta, old):
        if found.reach is Reach.STORE:
            raise PublishError(f"{found.path}: {found.subject}: {found.said} (spec {found.code}); nothing was published")


def check_delta(delta: Delta, old: Callable[[str], bytes]) -> Iterator[Problem]:
    """Yield what is wrong with the records that a delta changes or adds, and with the locks that it writes.

    Records that stay as they are are not decoded.

    Args:
        delta: what is to be published.
        old: gives the bytes of an index as it is, by its path; empty where there is none.
    """
    for step in delta:
        if isinstance(step, ReplaceIndex) and index_of(step.path)[1]:
            yield from _check_lock(step)
            yield from _check_index(step, old(step.path))


def _check_lock(step: ReplaceIndex) -> Iterator[Problem]:
    if len(step.lock) != locks.LENGTH:
        yield problem("V74", step.lock_path, step.lock_path, f"expected {locks.LENGTH} bytes, found {len(step.lock)}")
    elif step.lock not in [locks.announced(step.first, own=own) for own in (True, False)]:
        yield problem("V75", step.lock_path, step.lock_path, "expected the lock of its index, found another")


def _check_index(step: ReplaceIndex, old: bytes) -> Iterator[Problem]:
    try:
        values = _changed(old, step.data)
    except ValueError as error:
        yield problem("V1", step.path, step.path, f"expected an array in JSON, found something else ({error})")
        return
    if index_of(step.path)[1] != IMAGES_INDEX:
        for layer in read_layers(values):
            yield from [wrong(layer, step.path)] if isinstance(layer, Wrong) else check_layer_record(layer)
        return
    names = _Names(step.data)
    for image in read_images(values):
        if isinstance(image, Wrong):
            yield wrong(image, step.path)
            continue
        yield from check_image_record(image)
        for name in image.names:
            if names.is_shared(name):
                yield problem("V3", f"image {image.id}", step.path, f'expected "{name}" at one image, found it at several')


def _changed(old: bytes, new: bytes) -> list[object]:
    """Return the records of an index that it did not have before, as far as lines tell.

    Raises:
        ValueError: it is no array in JSON.
    """
    try:
        if new[:2] == b"[\n" and new[-3:] == b"\n]\n":
            start, old_end, new_end = _differing(old, new)
            known = {line.rstrip(b",") for line in old[start:old_end].splitlines()}
            region = new[max(start, 2) : min(new_end, len(new) - 3)].removesuffix(b"\n")
            lines = (line.rstrip(b",") for line in region.split(b"\n") if region)
            return [decoded(line) for line in lines if line not in known]
    except ValueError:
        # Not each record is a line of its own.
        pass
    values = decoded(new)
    if not isinstance(values, list):
        raise ValueError("no array")  # noqa: TRY004 - to the caller it is bad JSON like any other
    return values


def _differing(old: bytes, new: bytes) -> tuple[int, int, int]:
    """Return the first byte of a line before which two indexes are equal, and where in each the lines begin that are equal at the end."""
    shortest = min(len(old), len(new))
    start = 0
    while start < shortest and old[start : start + _CHUNK] == new[start : start + _CHUNK]:
        start += _CHUNK
    start = new.rfind(b"\n", 0, min(start, shortest)) + 1
    after = 0
    while after < shortest - start and _chunk_before(old, after) == _chunk_before(new, after):
        after += _CHUNK
    line = new.find(b"\n", len(new) - min(after, shortest - start))
    left = len(new) - line - 1 if line >= 0 else 0
    return start, len(old) - left, len(new) - left


def _chunk_before(data: bytes, after: int) -> bytes:
    """Return some bytes of an index that end this many before its end."""
    end = len(data) - after
    return data[max(end - _CHUNK, 0) : end]


class _Names:
    """Which names several images of an index have: a few are looked for in its bytes, for more all are read once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._asked = 0
        self._holders: Counter[str] | None = None

    def is_shared(self, name: str) -> bool:
        """Whether several images have a name."""
        self._asked += 1
        if self._asked <= _SEARCHES and self._data.count(encode(name)) == 1:
            return False
        if self._holders is None:
            values = decoded(self._data)
            images = read_images(values if isinstance(values, list) else [])
            self._holders = Counter(name for image in images if not isinstance(image, Wrong) for name in set(image.names))
        return self._holders[name] > 1
