"""Rules about what lies in a store and belongs to nothing (spec V71, V81 to V88)."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cstore.files import UnreadableError, kind_of
from cstore.model.chain import LayerID, is_id
from cstore.model.layout import LAYERS_INDEX, TAR_SPLIT, WORK, Form
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from cstore.files import Directory
    from cstore.verification.overlay import Overlay
    from cstore.verification.problem import Problem
    from cstore.verification.survey import Survey

__all__ = ["check_orphans", "check_retired", "check_tar_splits", "check_unfinished"]


def check_tar_splits(survey: Survey, directory: Directory | None, layers: Sequence[str]) -> Iterator[Problem]:
    """Check that layers have their tar-split; it is not read."""
    for layer in layers:
        name = f"{layer}{TAR_SPLIT}"
        status = directory.status(name) if directory is not None else None
        if status is not None and directory is not None and stat.S_ISLNK(status.st_mode) and _is_followed(directory, name):
            continue
        if status is None or not stat.S_ISREG(status.st_mode):
            found = kind_of(status.st_mode) if status is not None else "nothing"
            yield problem("V71", f"layer {layer}", f"overlay-layers/{name}", f"expected a file, found {found}")
        elif directory is not None:
            survey.access.see(directory, name, status)


def _is_followed(directory: Directory, name: str) -> bool:
    """Whether a symlink leads to a file of the repository."""
    try:
        os.close(directory.open(name))
    except UnreadableError:
        return False
    return True


def check_orphans(survey: Survey, overlay: Overlay) -> Iterator[Problem]:
    """Check that layers' directories, links and tar-splits and images' directories are those of records."""
    rooms = ["overlay", *(f"pool/{shard}" for shard in _names(overlay, "pool"))] if survey.form is Form.SHARDED else ["overlay"]
    for room in rooms:
        for name in _names(overlay, room):
            if is_id(name) and name not in survey.layers:
                yield problem(
                    "V81", f"{room}/{name}", f"{room}/{name}", "expected the directory of a layer, found one that layers.json does not name"
                )
    links = set(survey.links.values())
    for name in _names(overlay, "overlay/l"):
        if name not in links:
            yield problem("V82", f"overlay/l/{name}", f"overlay/l/{name}", "expected the link of a layer, found one that no layer has")
    for name in _names(overlay, "overlay-layers"):
        if name.endswith(TAR_SPLIT) and name.removesuffix(TAR_SPLIT) not in survey.layers:
            yield problem("V83", f"overlay-layers/{name}", f"overlay-layers/{name}", "expected the tar-split of a layer, found another")
    for name in _names(overlay, "overlay-images"):
        if is_id(name) and name not in survey.images:
            yield problem("V84", f"overlay-images/{name}", f"overlay-images/{name}", "expected the directory of an image, found another")


def check_retired(survey: Survey, containers: Collection[str]) -> Iterator[Problem]:
    """Check that every layer is used, by an image or by a container of podman's, or noted as retired."""
    used, retired = survey.used() | {*containers}, survey.about.retired if survey.about else {}
    for layer in survey.layers:
        since = retired.get(LayerID(layer))
        if layer in used:
            continue
        if since is None:
            yield problem(
                "V85", f"layer {layer}", LAYERS_INDEX, "expected an image that uses it, or a day on which it was retired, found neither"
            )
        else:
            yield problem("V86", f"layer {layer}", "cstore.json", f"expected an image that uses it, found it retired since {since}")


def check_unfinished(overlay: Overlay) -> Iterator[Problem]:
    """Check that no change of cstore's was interrupted."""
    if overlay.room(WORK) is not None:
        yield problem("V87", WORK, WORK, "expected no change under way, found one that was interrupted or still goes on")


def _names(overlay: Overlay, room: str) -> list[str]:
    directory = overlay.room(room)
    return list(directory.entries()) if directory is not None else []
