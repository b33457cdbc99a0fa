"""Each rule is a statement of `spec/verify.md`, and each of these is a rule."""

from __future__ import annotations

import re
from pathlib import Path

from cstore.verification.rules import RULES

SPEC = Path(__file__).parents[2] / "spec"
STATEMENT = re.compile(r"^\*\*(V[0-9]+)\*\* \((\w+)\)", re.MULTILINE)


def test_each_rule_is_a_statement_with_its_reach() -> None:
    stated = STATEMENT.findall((SPEC / "verify.md").read_text())
    assert sorted(stated) == sorted((code, rule.reach.value) for code, rule in RULES.items())


def test_what_is_broken_stands_in_the_table() -> None:
    rows = re.findall(r"^\| (V[0-9]+) \|[^|]*\| (\w+) \|", (SPEC / "verify-table.md").read_text(), re.MULTILINE)
    assert rows
    assert [row for row in rows if RULES[row[0]].reach.value != row[1]] == []
