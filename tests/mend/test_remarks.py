from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cstore.mend.converter import Converter, Origin
from cstore.mend.remarks import remarks_on
from tests.converter import Flaw, flat, layered, tree_of
from tests.images import Image, file, tar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "registry.example.org/team/app:1"
REWRITTEN = "the registry's manifest is not kept, so its digest is unknown"
OWNED = "its files belong to user 998, whatever the image says"
MARKED = "containers see .cvmfscatalog"
IMAGE = Image(layers=(tar(file("a")), tar(file("b"))))

CASES = [
    pytest.param(layered, NAME, (), [REWRITTEN, OWNED, MARKED], [REWRITTEN, OWNED], id="2024"),
    pytest.param(flat, NAME, (), [OWNED, MARKED], [OWNED], id="2026"),
    pytest.param(flat, NAME, (Flaw.LOST_MANIFEST,), [REWRITTEN, OWNED, MARKED], [REWRITTEN, OWNED], id="2026 without its manifest"),
    pytest.param(flat, NAME, (Flaw.AS_IN_IMAGE,), [MARKED], [], id="owners as in the image"),
    pytest.param(flat, NAME, (Flaw.AS_IN_IMAGE, Flaw.NO_CATALOGS), [], [], id="nothing to say"),
    pytest.param(
        flat,
        "registry.hub.docker.com/library/app:1",
        (Flaw.AS_IN_IMAGE, Flaw.NO_CATALOGS),
        ["it is called docker.io/library/app:1, not registry.hub.docker.com/library/app:1"],
        ["it is called docker.io/library/app:1, not registry.hub.docker.com/library/app:1"],
        id="a name that podman completes",
    ),
]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
@pytest.mark.parametrize(("make", "name", "flaws", "lying", "copied"), CASES)
def test_what_is_said_of_an_image(  # noqa: PLR0913, PLR0917 - a table
    tmp_path: Path, make: Callable[..., Path], name: str, flaws: tuple[Flaw, ...], lying: list[str], copied: list[str]
) -> None:
    store = make(tmp_path / "r", {name: IMAGE}, *flaws)
    converter = Converter(Origin(store, store))
    image = converter.read(converter.images()[0][0])
    assert list(remarks_on(image, copies=False)) == lying
    assert list(remarks_on(image, copies=True)) == copied


def test_long_lists_are_cut(tmp_path: Path) -> None:
    store = flat(tmp_path / "r", {NAME: IMAGE}, Flaw.AS_IN_IMAGE)
    for name in "bcdefg":
        (tree_of(tmp_path / "r", IMAGE, 0) / name).mkdir()
        (tree_of(tmp_path / "r", IMAGE, 0) / name / ".cvmfscatalog").touch()
    converter = Converter(Origin(store, store))
    image = converter.read(converter.images()[0][0])
    expected = "containers see .cvmfscatalog, b/.cvmfscatalog, c/.cvmfscatalog, d/.cvmfscatalog, e/.cvmfscatalog and more"
    assert expected in remarks_on(image, copies=False)
