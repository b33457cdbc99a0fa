"""Layers that some tools write and not every tool takes: cstore takes and refuses what podman takes and refuses."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from tests.compat.members import add_tar, twice_hidden
from tests.compat.programs import attempt, cstore, require, skopeo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.conftest import Images, Readers
    from tools.make_images import UmociImage

NAME = "localhost/odd:1"


def by_skopeo(image: UmociImage, tmp_path: Path) -> tuple[str, str]:
    """Return the arguments with which skopeo puts an image into a store as podman does."""
    require("skopeo")
    return image.source, f"containers-storage:[overlay@{tmp_path}/theirs+{tmp_path}/run]{NAME}"


def seen_by_both(image: UmociImage, readers: Readers, tmp_path: Path, *command: str) -> tuple[str, str]:
    """Return what a command prints in a container of a store by skopeo, and of one by cstore."""
    skopeo("copy", *by_skopeo(image, tmp_path))
    cstore("add", tmp_path / "ours", image.source, "--name", NAME)
    theirs, ours = (readers(tmp_path / store).container(NAME, *command) for store in ("theirs", "ours"))
    return theirs, ours


def test_whiteouts_below_what_has_become_a_symlink_to_nowhere_are_passed_over(images: Images, tmp_path: Path) -> None:
    # umoci writes both when one change puts something else in place of a directory: the new entry, and whiteouts for what was in it.
    image = images.by_umoci.fork("odd-symlink")
    with image.layer() as tree:
        shutil.rmtree(tree / "opt/deep")
        (tree / "opt/deep").symlink_to("nowhere")
    # podman follows the symlink and finds nothing; cstore never does.
    assert attempt("skopeo", "--insecure-policy", "copy", *by_skopeo(image, tmp_path)).returncode != 0
    done = attempt(sys.executable, "-m", "cstore", "add", tmp_path / "ours", image.source, "--name", NAME)
    assert done.returncode == 0, done.stderr


def test_whiteouts_below_what_has_become_a_file_are_passed_over(images: Images, readers: Readers, tmp_path: Path) -> None:
    image = images.by_umoci.fork("odd-file")
    with image.layer() as tree:
        shutil.rmtree(tree / "opt/deep")
        (tree / "opt/deep").write_text("a file\n")
    theirs, ours = seen_by_both(image, readers, tmp_path, "cat", "/opt/deep")
    assert theirs == ours == "a file\n"


def test_whiteouts_below_what_is_removed_are_passed_over(images: Images, readers: Readers, tmp_path: Path) -> None:
    image = images.by_umoci.fork("odd-twice")
    add_tar(image, twice_hidden())
    theirs, ours = seen_by_both(image, readers, tmp_path, "ls", "/opt")
    assert theirs == ours == "opaque\n"
