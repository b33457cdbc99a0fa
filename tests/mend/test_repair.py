"""Repair mends what follows from what the store has, leaves the rest as it is, and has nothing to do a second time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from cstore.mend.repair import MENDED
from cstore.publish.repair import repair
from cstore.verification.store import verify
from tests.verification.defects import DEFECTS, NOWHERE, Defect

if TYPE_CHECKING:
    from tests.verification.target import Target

NOW = dt.timedelta(0)
LATER = dt.date(2100, 1, 1)
ALSO_MENDED = {"V31", "V37", "V43"}
"""Rules of which repair mends what breaks them where something else still tells what is right, as it does here."""
EXCEPTIONS = {"a record is null": True, "layers.lock is a directory": False, "a name is empty": True}
"""Defects that are mended, or are not, unlike others of their rule."""

INSTEAD = {"diff is a relative symlink": {"V60"}, "a size is a fraction": {"V73", "V78"}}
"""What is wrong afterwards that was not, or could not be seen, before: a relative symlink becomes an absolute one."""


def content(target: Target) -> dict[str, bytes]:
    """Return what is below the `diff`s."""
    return {
        str(path.relative_to(target.root)): path.read_bytes()
        for path in target.root.glob("overlay/*/diff/**/*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: f"{defect.code} {defect.name}")
def test_a_defect_is_mended_or_stays(target: Target, defect: Defect) -> None:
    defect.plant(target)
    before = {problem.code for problem in verify(target.root, deep=True)}
    trees = content(target)
    repair(target.root, NOW, LATER)
    after = {problem.code for problem in verify(target.root, deep=True)}
    is_mended = EXCEPTIONS.get(defect.name, defect.code in MENDED | ALSO_MENDED)
    assert (defect.code in after) != is_mended
    # Layers that turn out to be unused are noted as retired.
    assert after - before - {"V86"} == INSTEAD.get(defect.name, set())
    assert content(target).items() >= {path: data for path, data in trees.items() if NOWHERE not in path}.items()
    assert not repair(target.root, NOW, LATER).delta
