"""Which layers are left without use, and what is read to learn it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from cstore.index.gojson import encode
from cstore.index.index import Index, own_form
from cstore.leaving import Leaving
from cstore.model.about import About
from cstore.model.chain import LayerID
from cstore.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

A, B, C, D = (LayerID(letter * 64) for letter in "abcd")
CREATED = "2026-01-02T03:04:05Z"
FORK = {A: None, B: A, C: B, D: B}


def index(name: str, records: list[dict[str, Any]]) -> Index:
    return Index.read(name, own_form([encode(record) for record in records]))


def store(parents: Mapping[LayerID, LayerID | None], images: Mapping[str, LayerID | list[LayerID]]) -> Store:
    """Return a store of layers with these parents, and images of these top layers, or mapped ones."""
    layers = [{"id": layer, **({"parent": parent} if parent else {}), "created": CREATED} for layer, parent in parents.items()]
    records = [{"id": image, "mapped-layers" if isinstance(top, list) else "layer": top} for image, top in images.items()]
    new = Store.new(Path("nowhere"), About())
    return evolve(new, images=index("images", records), layers=index("layers", layers), is_new=False)


@pytest.mark.parametrize(
    ("images", "gone", "needed", "unused", "left"),
    [
        pytest.param({"1": C}, {"1"}, (), {D}, [[C, B, A]], id="all"),
        pytest.param({"1": C, "2": D}, {"1"}, (), set(), [[C]], id="another image is on the fork"),
        pytest.param({"1": C, "2": D}, {"1", "2"}, (), set(), [[C], [D, B, A]], id="both go"),
        pytest.param({"1": C, "2": [B]}, {"1"}, (), {D}, [[C]], id="a mapped layer"),
        pytest.param({"1": C, "2": C}, {"1"}, (), {D}, [[]], id="an image of the same layers stays"),
        pytest.param({"1": C}, {"1"}, (C, B, A), {D}, [[]], id="an image that comes needs them"),
        pytest.param({"1": C}, {"1"}, (), set(), [[C]], id="a layer of nobody is no retired one"),
        pytest.param({"1": C, "2": C}, {"1", "2"}, (), {D}, [[C, B, A], [C, B, A]], id="what is shared is told for each"),
        pytest.param({"1": LayerID("e" * 64)}, {"1"}, (), set(), [[]], id="no record"),
    ],
)
def test_what_is_left(
    images: dict[str, LayerID | list[LayerID]], gone: set[str], needed: tuple[LayerID, ...], unused: set[LayerID], left: list[list[LayerID]]
) -> None:
    leaving = Leaving(store(FORK, images), gone, needed, unused)
    tops = [images[image] for image in sorted(gone)]
    assert [leaving.left_by(top) for top in tops if not isinstance(top, list)] == left


def test_a_loop_ends() -> None:
    assert Leaving(store({A: B, B: A}, {"1": A}), {"1"}, (), {A, B}).left_by(A) == [A, B]


def test_what_lies_on_a_shared_layer_is_looked_at_once_for_any_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    tops = [LayerID(f"{number:064x}") for number in range(50)]
    looked = []
    having = Index.having

    def counted(self: Index, text: str, *members: str) -> Iterator[dict[str, Any]]:
        for value in having(self, text, *members):
            looked.append(value["id"])
            yield value

    monkeypatch.setattr(Index, "having", counted)
    images: dict[str, LayerID | list[LayerID]] = {f"image {top}": top for top in tops}
    leaving = Leaving(store({A: None, **dict.fromkeys(tops, A)}, images), set(images), (), set())
    assert [len(leaving.left_by(top)) for top in tops] == [1] * (len(tops) - 1) + [2]
    assert len(looked) <= 2 * len(tops), "each image and each layer once"
