"""Problems as JUnit XML, which CI systems show: a suite for each reach, a test case for each rule."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from cstore.cli import show
from cstore.cli.report import by_rule, problem_line
from cstore.verification.problem import Reach
from cstore.verification.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cstore.verification.problem import Problem, Rule

__all__ = ["as_junit"]


def as_junit(problems: Sequence[Problem], fail_on: Reach) -> str:
    """Return a document in which a rule that holds has passed, and one that does not has failed with its problems.

    Args:
        problems: what was found.
        fail_on: the nearest reach that counts as a failure. A rule of a nearer one has passed, with its problems as output.
    """
    found = by_rule(problems)
    rules = [*RULES.values(), *(rule for rule in found if rule not in RULES.values())]
    failed = [rule for rule in found if rule.reach.rank <= fail_on.rank]
    suites = [line for reach in Reach for line in _suite(reach, rules, found, failed)]
    head = f'<testsuites name="cstore verify" tests="{len(rules)}" failures="{len(failed)}" errors="0">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>"])


def _suite(reach: Reach, rules: Sequence[Rule], found: dict[Rule, list[Problem]], failed: Sequence[Rule]) -> Iterator[str]:
    cases = [rule for rule in rules if rule.reach == reach]
    failures = sum(rule in failed for rule in cases)
    yield f'  <testsuite name="{reach.value}" tests="{len(cases)}" failures="{failures}" errors="0" skipped="0" time="0">'
    for rule in cases:
        case = f'classname="cstore.verify.{reach.value}" name="{escape(f"{rule.code} {rule.title}")}" time="0"'
        if rule not in found:
            yield f"    <testcase {case}/>"
            continue
        lines = _xml_lines(rule, found[rule])
        yield f"    <testcase {case}>"
        if rule in failed:
            message = show.count(len(found[rule]), "problem")
            yield f'      <failure message="{message}" type="{reach.value}">{lines}</failure>'
        else:
            yield f"      <system-out>{lines}</system-out>"
        yield "    </testcase>"
    yield "  </testsuite>"


def _xml_lines(rule: Rule, problems: Sequence[Problem]) -> str:
    """Return the problems of a rule as text, a line for each, after one for what they break.

    They can be printed, and XML can hold whatever can.
    """
    broken = [f"broken: {part}" for part in rule.breaks]
    return escape("\n".join([*broken, *map(problem_line, problems)]))
