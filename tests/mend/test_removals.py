"""Nothing is removed but what certainly belongs to nothing."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from cstore.publish.repair import repair
from cstore.verification.store import verify
from tests.compat.mounts import private_mounts
from tests.publish.stores import exact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.verification.target import Target

LATER = dt.date(2100, 1, 1)
NOWHERE = "f" * 64


def mended(target: Target) -> list[str]:
    """Mend a store, and return the paths of what was done."""
    return [step.path for step in repair(target.root, dt.timedelta(0), LATER).delta]


def led_by(place: Path, name: str) -> None:
    """Move what is at a place to another name beside it, and let a symlink lead there."""
    place.rename(place.with_name(name))
    place.symlink_to(name)


def led_to_nobodys(target: Target) -> None:
    target.layer(NOWHERE).mkdir()
    shutil.move(target.diff(target.top), target.layer(NOWHERE) / "diff")
    target.diff(target.top).symlink_to(f"../{NOWHERE}/diff")


def led_on(target: Target) -> None:
    led_by(target.item("manifest"), "manifest.real")
    led_by(target.item("manifest.real"), "manifest.further")


LED: dict[str, Callable[[Target], object]] = {
    "manifest": lambda target: led_by(target.item("manifest"), "manifest.real"),
    "manifest by two": led_on,
    "directory of an image": lambda target: led_by(target.item("manifest").parent, NOWHERE),
    "directory of a layer": lambda target: led_by(target.layer(target.top), NOWHERE),
    "tar-split": lambda target: led_by(target.tar_split(target.top), f"{NOWHERE}.tar-split.gz"),
    "diff": led_to_nobodys,
}


@pytest.mark.parametrize("name", LED)
def test_what_a_symlink_leads_to_stays(target: Target, name: str) -> None:
    LED[name](target)
    before = set(target.root.rglob("*"))
    mended(target)
    assert set(target.root.rglob("*")) >= before


@pytest.mark.parametrize("rooms", [("overlay",), ("overlay/l",), ("overlay-images",), ("overlay-layers",), ("overlay", "overlay-images")])
def test_nothing_is_done_below_a_symlink_and_all_else_is(target: Target, rooms: tuple[str, ...]) -> None:
    (target.layer(target.top) / "lower").unlink()
    target.link(target.middle).unlink()
    (target.layer(target.middle) / "link").unlink()
    (target.root / "overlay/l/NOBODY").symlink_to("../nowhere/diff")
    target.lock("images").write_bytes(b"")
    target.lock("layers").write_bytes(b"")
    target.item("more").touch()
    for room in rooms:
        led_by(target.root / room, f"{room.rpartition('/')[2]}.real")
    done = mended(target)
    assert not [path for path in done for room in rooms if path.startswith(f"{room}/")]
    assert ("overlay-images/images.json" in done) == ("overlay-images" not in rooms)
    assert ("overlay-layers/layers.json" in done) == ("overlay-layers" not in rooms)
    assert not mended(target)


def test_a_layers_directory_elsewhere_is_left_alone(target: Target) -> None:
    (target.layer(target.top) / "lower").unlink()
    (target.root / "elsewhere").mkdir()
    shutil.move(target.layer(target.top), target.root / "elsewhere")
    target.layer(target.top).symlink_to(f"../elsewhere/{target.top}")
    target.lock("images").write_bytes(b"")
    assert mended(target) == ["overlay-images/images.json"]


@pytest.mark.parametrize("name", ["link", "lower", "lower-layers"])
def test_a_directory_in_the_place_of_a_file_keeps_nothing_else_from_being_mended(target: Target, name: str) -> None:
    place = target.layer(target.top) / name
    place.unlink()
    (place / "inner").mkdir(parents=True)
    target.lock("images").write_bytes(b"")
    assert mended(target)[-1] == "overlay-images/images.json"
    assert (place / "inner").is_dir()


@pytest.mark.parametrize("path", ["work/work", "work", "merged"])
def test_what_overlay_left_goes(target: Target, path: str) -> None:
    (target.layer(target.top) / path).mkdir(parents=True)
    assert mended(target) == [f"overlay/{target.top}/{path.partition('/')[0]}"]
    assert list(verify(target.root)) == []


@pytest.mark.parametrize("path", ["work/more", "work/work/more", "merged/more", "merged/work"])
def test_what_holds_more_stays(target: Target, path: str) -> None:
    (target.layer(target.top) / path).mkdir(parents=True)
    before = exact(target.root)
    assert mended(target) == []
    assert exact(target.root) == before


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_what_is_no_directory_is_not_overlays(target: Target, kind: str) -> None:
    place = target.layer(target.top) / "work"
    place.touch() if kind == "file" else place.symlink_to("diff")
    assert mended(target) == []


def test_what_is_mounted_stays(target: Target) -> None:
    merged = target.layer(target.top) / "merged"
    merged.mkdir()
    with private_mounts():
        subprocess.run(["mount", "-t", "tmpfs", "none", str(merged)], check=True)
        assert mended(target) == []
        subprocess.run(["umount", str(merged)], check=True)


def test_where_an_image_has_lost_its_id_nothing_is_removed(target: Target) -> None:
    image = target.image["id"]
    target.edit_image(lambda record: record.pop("id"))
    mended(target)
    assert (target.root / "overlay-images" / image / "manifest").is_file()
    assert not mended(target)
