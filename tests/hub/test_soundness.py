from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from cstore.hub.layout import flat_at
from cstore.hub.soundness import is_sound_flat, is_sound_layer
from cstore.model.chain import ImageID
from cstore.model.digest import Digest
from tests.converter import Flaw, layered, tree_of
from tests.images import Image, digest_of, directory, file, tar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAIN = Image(layers=(tar(directory("bin"), file("bin/run"), file("top")),))
FLAT = flat_at(ImageID(PLAIN.id))


def empty(place: Path) -> None:
    for path in place.iterdir():
        path.unlink()


def replace_by_file(place: Path) -> None:
    shutil.rmtree(place)
    place.touch()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no files of Apptainer's": lambda flat: shutil.rmtree(flat / ".singularity.d"),
    "none left of them": lambda flat: empty(flat / ".singularity.d"),
    "a whiteout at the top": lambda flat: (flat / ".wh.gone").touch(),
    "a whiteout below": lambda flat: (flat / "bin/.wh.gone").touch(),
    "nothing": shutil.rmtree,
    "a file": replace_by_file,
}


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return layered(tmp_path / "hub", {"example.org/app:1": PLAIN}).parent


def is_sound(hub: Path) -> bool:
    return is_sound_layer(hub, Digest.parse(digest_of(PLAIN.blobs[0])), Digest.parse(digest_of(PLAIN.layers[0])))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_flat_tree_has_files_of_apptainers_and_no_whiteouts(hub: Path, damage: Callable[[Path], object]) -> None:
    """Quote: a flat tree that is there is sound if it has files of Apptainer's (spec H12)."""
    assert is_sound_flat(hub, ImageID(PLAIN.id))
    damage(hub / FLAT)
    assert not is_sound_flat(hub, ImageID(PLAIN.id))


@pytest.mark.parametrize("flaw", [Flaw.CUT_TREE, Flaw.UNMEASURED, Flaw.LOST_TREE], ids=lambda flaw: flaw.name.lower())
def test_a_layer_has_the_diff_that_the_converter_noted(tmp_path: Path, hub: Path, flaw: Flaw) -> None:
    """Quote: the tree of a layer is sound if the converter noted the diff ID of the image's config (spec H13)."""
    assert is_sound(hub)
    assert not is_sound(layered(tmp_path / "flawed", {"example.org/app:1": PLAIN}, flaw).parent)


@pytest.mark.parametrize("note", [b"", b"[]", b"{}", b"[1]", b"[{}]", b"[", None])
def test_a_damaged_note_is_none(hub: Path, note: bytes | None) -> None:
    place = tree_of(hub, PLAIN, 0).with_name(".metadata") / "layers.json"
    place.unlink()
    if note is None:
        os.mkfifo(place)
    else:
        place.write_bytes(note)
    assert not is_sound(hub)


def test_whiteouts_that_are_files_are_unsound_at_any_depth(hub: Path) -> None:
    (tree_of(hub, PLAIN, 0) / "bin/.wh.gone").touch()
    assert not is_sound(hub)
