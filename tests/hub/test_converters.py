from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cstore.hub.converters import led_to, names_image
from cstore.hub.layout import flat_at
from cstore.model.chain import ImageID
from cstore.model.manifest import Manifest
from tests.converter import flat, layered, remarshalled, tree_of
from tests.images import json_of
from tests.sync.hubs import image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("make", [layered, flat])
def test_the_trees_to_which_its_layers_lead_are_told(tmp_path: Path, make: Callable[..., Path]) -> None:
    """Quote: what they lead to stays, as they do (spec H11)."""
    make(tmp_path / "hub", {"example.org/app:1": image(1)})
    layers = {str(tree_of(tmp_path / "hub", image(1), number).relative_to(tmp_path / "hub")) for number in (0, 1)}
    assert led_to(tmp_path / "hub", "podmanStore") == (layers if make is layered else {flat_at(ImageID(image(1).id))})


@pytest.mark.parametrize("target", ["/srv/elsewhere", "../../../.metadata/x", "../../../../.flat/ab", "", "x"])
def test_symlinks_to_anything_else_lead_to_none(tmp_path: Path, target: str) -> None:
    layer = tmp_path / "podmanStore/overlay/ab"
    layer.mkdir(parents=True)
    if target:
        (layer / "diff").symlink_to(target)
    assert led_to(tmp_path, "podmanStore") == frozenset()
    assert led_to(tmp_path, "podmanStore.arm64") == frozenset()


def test_what_it_noted_of_an_image_is_recognised() -> None:
    """Quote: it is told as unchanged if the converter noted the same config and layers (spec Z10)."""
    made = image(1)
    manifest, other = (Manifest.from_dict(found.manifest) for found in (made, image(2)))
    noted = json.dumps(remarshalled(made.manifest)).encode()
    assert names_image(noted, manifest)
    assert not names_image(noted, other)
    assert not any(
        names_image(data, manifest) for data in (noted[:-1], b"[]", b"{}", b'{"Config": [], "Layers": {}}', json_of(made.manifest))
    )
