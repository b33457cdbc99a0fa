"""How records hang together, however they do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cstore.files import Directory
from cstore.model.about import About
from cstore.model.layout import Form
from cstore.verification.records import Image, Layer, read_images, read_layers
from cstore.verification.survey import Access, Survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Directory]:
    opened = Directory.at(tmp_path)
    yield opened
    opened.close()


def surveyed(top: Directory, parents: Mapping[str, str], images: Mapping[str, str] | None = None, about: About | None = None) -> Survey:
    layers = [
        item for item in read_layers([{"id": layer, "parent": parent} for layer, parent in parents.items()]) if isinstance(item, Layer)
    ]
    values: list[object] = [{"id": image, "layer": layer} for image, layer in (images or {}).items()]
    return Survey(
        top=top,
        root=Path("/store"),
        readers_root="/store",
        about=about,
        images={item.id: item for item in read_images(values) if isinstance(item, Image)},
        layers={item.id: item for item in layers},
    )


CHAINS = {
    "base": "",
    "middle": "base",
    "top": "middle",
    "lost": "none",
    "over": "lost",
    "one": "two",
    "two": "one",
    "above": "one",
    "self": "self",
}


@pytest.mark.parametrize(
    ("layer", "below", "is_in_loop"),
    [
        ("base", (), False),
        ("middle", ("base",), False),
        ("top", ("middle", "base"), False),
        ("lost", None, False),
        ("over", None, False),
        ("one", None, True),
        ("two", None, True),
        ("above", None, False),
        ("self", None, True),
        ("none", None, False),
    ],
)
def test_layers_below(top: Directory, layer: str, below: tuple[str, ...] | None, is_in_loop: bool) -> None:  # noqa: FBT001 - of a table
    for order in (CHAINS, dict(reversed(CHAINS.items()))):
        survey = surveyed(top, order)
        assert survey.below(layer) == below
        assert survey.depth(layer) == (None if below is None else len(below))
        assert survey.is_in_loop(layer) == is_in_loop


def test_the_chain_of_an_image_is_base_first(top: Directory) -> None:
    survey = surveyed(top, CHAINS, {"whole": "top", "empty": "", "broken": "over"})
    chains = {image: survey.chain(survey.images[image]) for image in survey.images}
    assert chains == {"whole": ["base", "middle", "top"], "empty": [], "broken": None}


def test_used_layers(top: Directory) -> None:
    assert surveyed(top, CHAINS, {"whole": "middle", "broken": "over", "loop": "above"}).used() == {
        *("base", "middle", "lost", "over"),
        *("one", "two", "above"),
    }


def test_the_form_is_what_the_store_says(top: Directory) -> None:
    assert surveyed(top, {}).form is Form.DIRECT
    assert surveyed(top, {}, about=About(form=Form.SHARDED)).form is Form.SHARDED


def test_what_is_closed_is_counted_and_the_first_of_it_named(top: Directory, tmp_path: Path) -> None:
    access = Access()
    for number in range(5):
        (tmp_path / f"{number}").write_bytes(b"")
        (tmp_path / f"{number}").chmod(0o600)
        access.see(top, f"{number}")
    tmp_path.chmod(0o755)
    access.see(top)
    assert (access.count, access.closed) == (5, ["0", "1", "2"])
