"""SECURITY.md promises nothing that no test holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
PROMISE = re.compile(r"^\* .*?(?=^\* |\n\n)", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("path", "test"), sorted(set(NAMED.findall(PAGE))))
def test_each_test_that_is_named_exists(path: str, test: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert test in names if test else any(name.startswith("test_") for name in names)


def test_each_promise_names_a_test() -> None:
    promises = PROMISE.findall(PAGE)
    assert len(promises) > 20
    assert [promise for promise in promises if not NAMED.search(promise)] == []


def test_each_attacker_is_told_what_is_not_promised() -> None:
    parts = PAGE.split("\n## ")[1:]
    assert [part.partition("\n")[0] for part in parts if "Not promised: " not in part] == ["Reporting"]
