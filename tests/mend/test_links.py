"""Links that can be used stay; others are found again, or made anew."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from cstore.mend.links import Links
from cstore.model.chain import LayerID
from cstore.model.layout import link_candidates
from cstore.origin import Origin
from cstore.verification.overlay import Overlay
from cstore.verification.reading import read_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.verification.target import Target


def unlink(target: Target) -> None:
    (target.layer(target.top) / "link").unlink()


def unlink_all(target: Target) -> None:
    target.link(target.top).unlink()
    unlink(target)


def lead_elsewhere(target: Target) -> None:
    link = target.link(target.top)
    link.unlink()
    link.symlink_to(f"../{target.base}/diff")


def empty_lower(target: Target) -> None:
    (target.layer(target.base) / "lower").touch()


def nothing(_target: Target) -> None:
    return


CASES: tuple[tuple[str, Callable[[Target], None], tuple[str, ...]], ...] = (
    ("all is right", nothing, ()),
    ("the link is known by the symlink that leads to it", unlink, ("PutFile overlay/{top}/link",)),
    ("nothing is known of the link", unlink_all, ("PutFile overlay/{top}/link", "PutSymlink overlay/l/{new}")),
    ("a symlink leads to another layer", lead_elsewhere, ("PutSymlink overlay/l/{new}",)),
    ("a base layer lists layers below", empty_lower, ("Remove overlay/{base}/lower",)),
)


@pytest.mark.parametrize(("name", "plant", "steps"), CASES, ids=[case[0] for case in CASES])
def test_steps(target: Target, name: str, plant: Callable[[Target], None], steps: tuple[str, ...]) -> None:
    plant(target)
    with ExitStack() as opened:
        survey = read_store(target.root, str(target.root), opened).survey
        overlay = Overlay(survey, Origin.of(target.root, str(target.root)))
        opened.callback(overlay.close)
        for layer in survey.layers:
            overlay.read_link(layer)
        links = Links(survey, overlay, {layer: f"overlay/{layer}" for layer in survey.layers})
        made = [f"{type(step).__name__} {step.path}" for step in links.steps()]
    new = next(iter(link_candidates(LayerID(target.top))))
    assert made == [step.format(top=target.top, base=target.base, new=new) for step in steps], name
