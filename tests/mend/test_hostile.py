"""Whatever a converter's repository holds, adopting from it gives a delta, reasons, or one sentence."""

from __future__ import annotations

import os
import random
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cstore.errors import StoreError
from cstore.mend.adopt import find, plan_adopt
from cstore.mend.converter import Converter, Origin
from cstore.model.about import About
from cstore.model.platform import Platform
from cstore.store import Store
from tests.converter import flat, layered
from tests.images import Image, file, tar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("MUTATIONS", "400"))
IMAGES = {
    "registry.example.org/team/app:1": Image(layers=(tar(file("base", b"base")), tar(file("top", b"top")))),
    "registry.example.org/team/other:1": Image(layers=(tar(file("base", b"base")),), family="docker"),
}
PIECES = (b"null", b"[]", b"{}", b'"', b"-1", b"1e999", b"\\u0000", b"\xff", b"../../", b"/", b"9" * 30, b"[" * 2000, b'{"a":' * 2000)


def changed(data: bytes, dice: random.Random) -> bytes:
    """Return some bytes with a few of them changed, cut or moved, or others put between them."""
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(len(data) + 1)
        end = min(len(data), place + dice.choice((1, 4, 40)))
        kind = dice.randrange(4)
        if kind == 0:
            data = data[:place] + dice.choice(PIECES) + data[end:]
        elif kind == 1:
            data = data[:place] + dice.randbytes(end - place) + data[end:]
        elif kind == 2:
            data = data[:place]
        else:
            data = data[:place] + data[end:] + data[place:end]
    return data


def wrong(origin: Path, *, copies: bool) -> str:
    """Adopt from a repository, and return what is wrong with how that ends: nothing may be raised but an error of one sentence."""
    start = time.monotonic()
    try:
        store = Store.new("new", About())
        converter = Converter(Origin(origin, origin))
        plan_adopt(store, find(store, converter, Platform("linux", "amd64")), converter.measures, copies=copies)
    except StoreError as error:
        return "several lines" if "\n" in str(error) else ""
    except Exception as error:  # noqa: BLE001 - just these must not be
        return repr(error)
    return "slow" if time.monotonic() - start > 5 else ""


@contextmanager
def replaced(place: Path, by: str, aside: Path) -> Iterator[None]:
    """Have something else at a place for a while."""
    shutil.move(place, aside)
    if by == "a fifo":
        os.mkfifo(place)
    elif by == "a directory":
        place.mkdir()
    elif by == "a symlink to itself":
        place.symlink_to(place.name)
    elif by == "a symlink to /":
        place.symlink_to("/")
    elif by == "an empty file":
        place.touch()
    yield
    if by == "a directory":
        place.rmdir()
    elif by != "nothing":
        place.unlink()
    shutil.move(aside, place)


@pytest.mark.parametrize("make", [layered, flat])
def test_changed_bytes(tmp_path: Path, make: Callable[..., Path]) -> None:
    origin = make(tmp_path / "r", IMAGES)
    images = origin / "overlay-images"
    places = [images / "images.json", *images.glob("*/*"), *(tmp_path / "r/.layers").glob("*/*/.metadata/layers.json")]
    places += (tmp_path / "r/.metadata").rglob("manifest.json")
    files = [place for place in places if place.is_file() and not place.is_symlink()]
    assert len(files) >= 7
    found = {}
    for number in range(ROUNDS):
        dice = random.Random(number)  # noqa: S311 - the same mutations each time
        place = dice.choice(files)
        data = place.read_bytes()
        place.write_bytes(changed(data, dice))
        found[f"mutation {number} of {place}"] = wrong(origin, copies=dice.random() < 1 / 2)
        place.write_bytes(data)
    assert {place: told for place, told in found.items() if told} == {}


@pytest.mark.parametrize("by", ["nothing", "a fifo", "a directory", "a symlink to itself", "a symlink to /", "an empty file"])
@pytest.mark.parametrize("make", [layered, flat])
def test_other_kinds_of_files(tmp_path: Path, make: Callable[..., Path], by: str) -> None:
    origin = make(tmp_path / "r", IMAGES)
    places = [place for place in (tmp_path / "r").rglob("*") if not place.is_relative_to(tmp_path / "r/.flat")]
    found = {}
    for place in places:
        with replaced(place, by, tmp_path / "aside"):
            found[str(place)] = wrong(origin, copies=True)
    assert {place: told for place, told in found.items() if told} == {}
