"""Each rule: the defect that breaks it is found, under its code, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cstore.verification.rules import RULES
from cstore.verification.store import verify
from tests.verification.defects import DEFECTS, Defect

if TYPE_CHECKING:
    from tests.verification.target import Target

SPEC = Path(__file__).parents[2] / "spec/verify.md"
ELSEWHERE = {"V16", "V17", "V46", "V91", "V93", "V94", *(f"V10{number}" for number in range(1, 7))}
"""Rules whose defects are planted by tests of their own."""


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: f"{defect.code} {defect.name}")
def test_a_defect_is_found_under_its_code(target: Target, defect: Defect) -> None:
    defect.plant(target)
    found = {problem.code for problem in verify(target.root, deep=defect.is_deep)}
    assert found == {defect.code, *defect.also}
    if defect.is_deep:
        assert [str(problem) for problem in verify(target.root)] == []


def test_every_rule_has_a_defect() -> None:
    assert {defect.code for defect in DEFECTS} | ELSEWHERE == set(RULES)
