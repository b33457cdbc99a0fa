"""Symlinks that stay inside the store, or inside the repository that holds it, are followed as readers follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.verification.store import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.verification.target import Target

PLACES: dict[str, Callable[[Target], Path]] = {
    "images.json": lambda target: target.index("images"),
    "images.lock": lambda target: target.lock("images"),
    "overlay-images": lambda target: target.root / "overlay-images",
    "overlay-layers": lambda target: target.root / "overlay-layers",
    "overlay": lambda target: target.root / "overlay",
    "overlay/l": lambda target: target.root / "overlay/l",
    "a layer": lambda target: target.layer(target.top),
    "a link": lambda target: target.layer(target.top) / "link",
    "a lower": lambda target: target.layer(target.top) / "lower",
    "an image": lambda target: target.root / "overlay-images" / target.image["id"],
    "a manifest": lambda target: target.item("manifest"),
    "a tar-split": lambda target: target.tar_split(target.top),
    "cstore.json": lambda target: target.root / "cstore.json",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("where", ["beside it", "in the repository"])
def test_a_symlink_that_stays_inside_is_no_problem(target: Target, place: str, where: str) -> None:
    path = PLACES[place](target)
    away = path.with_name(f"{path.name}-away") if where == "beside it" else target.root.parent / "away"
    path.rename(away)
    path.symlink_to(away.name if where == "beside it" else away)
    assert [str(problem) for problem in verify(target.root, deep=True) if problem.code not in ("V82", "V84")] == []
