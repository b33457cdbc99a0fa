"""Stores of the present converter, of both generations: each of their defects that can be seen on a disk is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.verification.problem import Reach
from cstore.verification.store import verify
from tests.converter import Flaw, flat, layered
from tests.images import Image, file, tar, whiteout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cstore.verification.problem import Problem

    Images = Mapping[str, Image] | Sequence[tuple[str, Image]]

ONE, TWO = "registry.example.org/team/one:1", "registry.example.org/team/two:1"
BASE, MORE = tar(file("base", b"base\n")), tar(file("more", b"more\n"))
PLAIN = Image(layers=(BASE, MORE))
REPEATED = Image(layers=(BASE, tar(), MORE, tar()))
HIDING = Image(layers=(BASE, tar(whiteout("base"))))
ELSEWHERE = Image(layers=(tar(file("other", b"other\n")), MORE))
"""An image with a layer of the plain one on another base."""

ALWAYS = "V40 V41 V44 V59 V66 V71 V74 V92"
"""No digest, no big data in the record, relative symlinks, no `empty`, no tar-split, empty locks, markers in trees."""


def found(store: Path) -> list[Problem]:
    return list(verify(store, deep=True))


def codes(store: Path) -> set[str]:
    return {problem.code for problem in found(store)}


@pytest.mark.parametrize(
    ("make", "more"), [(layered, "V39 V90"), (flat, "V36")], ids=["2024: diff IDs for layer IDs", "2026: one layer for several"]
)
def test_what_every_such_store_has(tmp_path: Path, make: Callable[..., Path], more: str) -> None:
    assert codes(make(tmp_path / "repository", {ONE: PLAIN})) == {*ALWAYS.split(), *more.split()}


CASES: dict[str, tuple[Callable[..., Path], Images, tuple[Flaw, ...], str]] = {
    "2024: a layer on two bases": (layered, {ONE: PLAIN, TWO: ELSEWHERE}, (), "V20 V37 V82"),
    "2024: a layer that comes twice in an image": (layered, {ONE: REPEATED}, (), "V15 V20"),
    "2024: a tag that moved": (layered, [(ONE, PLAIN), (ONE, ELSEWHERE)], (), "V20 V84 V85"),
    "2024: whiteouts as files": (layered, {ONE: HIDING}, (), "V61"),
    "2024: a link without l/": (layered, {ONE: PLAIN, TWO: Image(layers=(BASE, MORE, tar()))}, (Flaw.LOWER_WITHOUT_L,), "V55"),
    "2024: a manifest that is not where it should be": (layered, {ONE: PLAIN}, (Flaw.DANGLING_MANIFEST,), "V31"),
    "2024: a manifest that is an image index": (layered, {ONE: PLAIN}, (Flaw.INDEX_AS_MANIFEST,), "V33"),
    "2024: a config that is gone": (layered, {ONE: PLAIN}, (Flaw.LOST_CONFIG,), "V32"),
    "2024: a tree that is gone": (layered, {ONE: PLAIN}, (Flaw.LOST_TREE,), "V57 V95"),
    "2024: a name without a tag": (layered, {ONE: PLAIN}, (Flaw.NO_TAG,), "V45"),
    "2024: an index that is cut": (layered, {ONE: PLAIN}, (Flaw.DAMAGED_IMAGES,), "V1"),
    "2026: a tag that moved": (flat, [(ONE, PLAIN), (ONE, HIDING)], (), "V3"),
    "2026: the manifest of another architecture": (flat, {ONE: PLAIN}, (Flaw.OTHER_MANIFEST,), "V35"),
    "2026: an image that stands there twice": (flat, {ONE: PLAIN}, (Flaw.TWO_RECORDS,), "V3 V11"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_some_of_them_have_too(tmp_path: Path, name: str) -> None:
    make, images, flaws, expected = CASES[name]
    assert codes(make(tmp_path / "repository", images, *flaws)) >= set(expected.split())


def test_a_sound_image_of_such_a_store_can_be_run(tmp_path: Path) -> None:
    """So says podman, to which such an image is given by the tests of adopting and repairing."""
    problems = found(layered(tmp_path / "repository", {ONE: PLAIN}))
    assert [problem for problem in problems if problem.reach in (Reach.STORE, Reach.IMAGE)] == []
