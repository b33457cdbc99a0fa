from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.errors import FormatError, StoreError
from cstore.hub.layout import HubLayout
from cstore.hub.obstacles import refuse_obstacles
from cstore.hub.reading import HubReading
from cstore.model.offer import ALL_OFFERS, Offer
from cstore.model.platform import Platform
from cstore.model.remote import RemoteName

if TYPE_CHECKING:
    from pathlib import Path

NAME = RemoteName.parse("example.org/atlas/a:1")
LAYOUT = HubLayout(Platform.parse("linux/amd64"))
AT = "example.org/atlas/a:1"
WAYS = [
    (AT, "a directory", "a symlink or nothing at a public name, found a directory"),
    (AT, "a file", "a symlink or nothing at a public name, found a file"),
    ("example.org/atlas", "a symlink", "a directory on the way to a public name, found a symlink"),
    ("example.org", "a file", "a directory on the way to a public name, found a file"),
    (f".metadata/{AT}", "a symlink", "a directory on the way to what describes a name, found a symlink"),
    (".metadata/example.org", "a file", "a directory on the way to what describes a name, found a file"),
    (f".metadata/{AT}/manifest.json", "a directory", "a file or nothing where a name is described, found a directory"),
    (f".metadata/{AT}/index.json", "a symlink", "a file or nothing where a name is described, found a symlink"),
]


def put(place: Path, what: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if what == "a directory":
        place.mkdir()
    elif what == "a file":
        place.write_bytes(b"")
    else:
        place.symlink_to("elsewhere")


@pytest.mark.parametrize(("path", "what", "error"), WAYS)
def test_nothing_else_is_put_aside(path: str, what: str, error: str, tmp_path: Path) -> None:
    """Quote: a public name puts nothing aside but another symlink (spec H7)."""
    put(tmp_path / path, what)
    with pytest.raises(StoreError) as caught:
        refuse_obstacles(HubReading(tmp_path), LAYOUT, NAME, ALL_OFFERS)
    assert str(caught.value) == f"{tmp_path}/{path}: expected {error}"
    other = Offer.METADATA if path.startswith("example.org") else Offer.FLAT
    refuse_obstacles(HubReading(tmp_path), LAYOUT, NAME, {other})


def test_what_is_a_names_own_is_no_obstacle(tmp_path: Path) -> None:
    put(tmp_path / AT, "a symlink")
    put(tmp_path / f".metadata/{AT}/manifest.json", "a file")
    refuse_obstacles(HubReading(tmp_path), LAYOUT, NAME, ALL_OFFERS)


@pytest.mark.parametrize("text", ["example.org/a:1/b:2", "a:1/b:2/c", "localhost/a:1/b"])
def test_no_name_is_below_another(text: str) -> None:
    """Only a registry has a colon, and a name is more than a registry, so that no name can be the directory of another."""
    try:
        name = RemoteName.parse(text)
    except FormatError:
        return
    assert ":" not in name.repository
