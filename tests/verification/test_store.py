"""Whole stores: those that are sound, those that are none, and what a check of a part leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cstore.cli import main
from cstore.publish.batch import publishing
from cstore.verification.store import verify
from tests.images import Image, tar, write_layout
from tests.property.strategies import layers
from tests.publish.stores import FORMS, SCENARIOS, Scenario, sources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cstore.model.layout import Form
    from tests.images import Member
    from tests.layer.stacks import Content

RETIRED = ("V86",)
"""What is told of layers that were retired, and is no mistake."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return sources(tmp_path_factory.mktemp("made") / "images")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.value))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario.name))
def test_what_cstore_writes_is_sound(tmp_path: Path, made: dict[str, str], scenario: Scenario, form: Form) -> None:
    root = tmp_path / "store"
    scenario.prepare(root, made, form)
    main(scenario.arguments(root, made, form))
    assert [str(problem) for problem in verify(root, deep=True) if problem.code not in RETIRED] == []


@settings(max_examples=60)
@given(st.lists(layers(), min_size=1, max_size=4))
def test_every_image_that_can_be_added_is_sound(
    tmp_path_factory: pytest.TempPathFactory, stack: Sequence[tuple[Content, tuple[Member, ...]]]
) -> None:
    """A tree holds what its layer holds, and hides what it hides."""
    place = tmp_path_factory.mktemp("stack")
    source = write_layout(place / "image", Image(layers=tuple(tar(*members) for _, members in stack), compression="none"))
    with publishing(place / "store") as batch:
        batch.add(source, name="x.example.org/y:1")
    assert [str(problem) for problem in verify(place / "store", deep=True)] == []
