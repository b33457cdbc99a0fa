"""Opaque directories, which the attributes of a tree may make of what the layer does not, and may not of what it does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from cstore.verification.store import verify
from tests.images import Image, directory, file, opaque, tar, write_layout
from tests.verification.target import VICTIM, Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOTH = ("trusted.overlay.opaque", "user.overlay.opaque")


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Target]:
    """Makes a store of an image with these three layers."""

    def make(*layers: bytes) -> Target:
        layout = write_layout(tmp_path / "image", Image(layers=layers))
        with publishing(tmp_path / "store") as batch:
            batch.add(layout, name=VICTIM)
        return Target(tmp_path / "store")

    return make


def make_opaque(path: Path, *attributes: str) -> None:
    for attribute in attributes:
        os.setxattr(path, attribute, b"y")


def problems(target: Target) -> list[str]:
    return [f"{problem.code} {problem.said}" for problem in verify(target.root, deep=True)]


BASE = tar(directory("a"), file("a/old"), file("a/kept"), directory("a/sub"), file("a/sub/old"))


def test_attributes_hide_what_the_layer_hides(made: Callable[..., Target]) -> None:
    target = made(BASE, tar(file("x")), tar(directory("a"), opaque("a"), file("a/new")))
    for whiteout in (place for place in (target.diff(target.top) / "a").iterdir() if place.name != "new"):
        whiteout.unlink()
    assert [text[:3] for text in problems(target)] == ["V64"]
    make_opaque(target.diff(target.top) / "a", *BOTH)
    assert problems(target) == []


def test_attributes_hide_what_the_layer_does_not_hide(made: Callable[..., Target]) -> None:
    target = made(BASE, tar(file("x")), tar(directory("a"), file("a/kept", b"new")))
    make_opaque(target.diff(target.top) / "a", *BOTH)
    hidden = "expected what is below, found it hidden by an opaque directory"
    assert problems(target) == [f"V64 a/old: {hidden}; a/sub: {hidden}"]


@pytest.mark.parametrize("layer", [0, 2], ids=["in the base layer", "above nothing"])
def test_attributes_that_hide_nothing_are_no_problem(made: Callable[..., Target], layer: int) -> None:
    target = made(BASE, tar(file("x")), tar(directory("b"), file("b/new")))
    make_opaque(target.diff(target.chain[layer]) / ("a" if layer == 0 else "b"), *BOTH)
    assert problems(target) == []
