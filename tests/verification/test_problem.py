"""Problems and rules, as they are told."""

from __future__ import annotations

import pytest

from cstore.verification.problem import Break, Problem, Reach, Rule
from cstore.verification.rules import RULES, problem

BREAKS = (Break(("4",), ("images",)), Break(("4", "5", "6"), ("run", "save")))
RULE = Rule("V500", Reach.IMAGE, "something is so", BREAKS)


def test_a_break_is_told_with_its_versions() -> None:
    assert [str(part) for part in BREAKS] == ["images (podman 4)", "run, save (podman 4, 5, 6)"]


@pytest.mark.parametrize(("version", "commands"), [("4", {"images", "run", "save"}), ("5", {"run", "save"}), ("3", set())])
def test_what_is_broken_in_a_version(version: str, commands: set[str]) -> None:
    assert RULE.broken_in(version) == commands


def test_reaches_are_ordered_the_farthest_first() -> None:
    assert [reach.value for reach in sorted(Reach, key=lambda reach: reach.rank)] == ["store", "image", "feature", "note"]


def test_a_problem_for_json() -> None:
    found = Problem(rule=RULE, subject="layer ab", path="overlay/ab", said="expected a, found b")
    assert found.to_dict() == {
        "code": "V500",
        "reach": "image",
        "subject": "layer ab",
        "path": "overlay/ab",
        "said": "expected a, found b",
        "title": "something is so",
        "breaks": [{"podman": ["4"], "commands": ["images"]}, {"podman": ["4", "5", "6"], "commands": ["run", "save"]}],
    }
    assert str(found) == "V500 layer ab: expected a, found b"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("plain é ☃", "plain é ☃"),
        ("\x1b[31m", "\\x1b[31m"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("\udcff", "\\udcff"),
        ("\u202eright", "\\u202eright"),
        ("\x00", "\\x00"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_stumble_over_is_escaped(found: str, told: str) -> None:
    shown = Problem(rule=RULE, subject=found, path=found, said=found)
    assert (shown.subject, shown.path, shown.said) == (told, told, told)
    assert str(shown) == f"V500 {told}: {told}"


def test_a_problem_of_a_rule() -> None:
    found = problem("V3", "image ab", "overlay-images/images.json", "said")
    assert (found.rule, found.code, found.reach) == (RULES["V3"], "V3", Reach.STORE)


def test_all_of_the_store_is_broken_where_the_reach_is_the_store() -> None:
    every = {"images", "run", "save", "build", "pull"}
    assert {code for code, rule in RULES.items() if rule.broken_in("4") == every and rule.reach is Reach.STORE} == {
        code for code, rule in RULES.items() if rule.reach is Reach.STORE
    }


def test_a_note_breaks_nothing() -> None:
    assert [code for code, rule in RULES.items() if rule.reach is Reach.NOTE and rule.breaks] == []
