"""What fuzzing has found so far, read again: the kept corpus, and each input that once broke a promise, by its name.

How it is made and grows: `python -m tools.fuzz TARGET --seconds N`, then `--keep`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.verification.patience import patience
from tools.fuzz.kept import FINDINGS, kept
from tools.fuzz.seeds import seeds
from tools.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

FOUND = sorted(place for place in FINDINGS.glob("*/*") if place.is_file())


@pytest.mark.parametrize("target", TARGETS)
def test_the_kept_corpus(tmp_path: Path, target: str) -> None:
    inputs = kept(target)
    assert inputs
    for name, data in inputs.items():
        with patience(20):
            try:
                TARGETS[target](data, tmp_path)
            except Exception as error:
                error.add_note(f"input {name} of {target}: {data[:200]!r}")
                raise


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_are_sound(tmp_path: Path, target: str) -> None:
    for name in ("made", "place"):
        (tmp_path / name).mkdir()
    for data in seeds(target, tmp_path / "made"):
        TARGETS[target](data, tmp_path / "place")


@pytest.mark.parametrize("place", FOUND, ids=lambda place: f"{place.parent.name}: {place.name}")
def test_what_once_broke_a_promise(tmp_path: Path, place: Path) -> None:
    with patience(20):
        TARGETS[place.parent.name](place.read_bytes(), tmp_path)


def test_the_corpus_stays_small() -> None:
    sizes = [place.stat().st_size for place in FINDINGS.parent.rglob("*") if place.is_file()]
    assert sum(sizes) < 400_000
