"""Problems as people read them, and as one line of JSON each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.cli import show
from cstore.verification.problem import Reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cstore.verification.problem import Problem, Rule

__all__ = ["by_rule", "json_line", "problem_line", "report_lines", "summary"]

_REACHES = {
    Reach.STORE: "every command of every reader fails",
    Reach.IMAGE: "an image cannot be run, is not what it says, or is pulled again",
    Reach.FEATURE: "something else does not work",
    Reach.NOTE: "nothing fails for readers",
}


def by_rule(problems: Iterable[Problem]) -> dict[Rule, list[Problem]]:
    """Return the problems of each rule: the rules of the farthest reach first, then in the order in which they were found."""
    groups: dict[Rule, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.rule, []).append(problem)
    return dict(sorted(groups.items(), key=lambda group: group[0].reach.rank))


def report_lines(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield the lines of a report: a heading for each reach, one for each rule with what it breaks, and a line for each problem."""
    reach = None
    for rule, found in by_rule(problems).items():
        if rule.reach != reach:
            reach = rule.reach
            yield f"{reach.value}: {_REACHES[reach]}"
        broken = "; ".join(map(str, rule.breaks))
        yield f"  {rule.code} {rule.title}" + (f"; broken otherwise: {broken}" if broken else "")
        yield from (f"    {problem_line(problem)}" for problem in found)


def problem_line(problem: Problem) -> str:
    """Return a problem on one line, without its rule: its subject, what was expected and found, and where that is."""
    line = f"{problem.subject}: {problem.said}"
    return line if problem.path in ("", problem.subject) else f"{line} ({problem.path})"


def summary(problems: Sequence[Problem]) -> str:
    """Return how many problems there are of each reach, as in `3 problems: 1 store, 2 feature`."""
    counts = ((reach, sum(problem.reach == reach for problem in problems)) for reach in Reach)
    return f"{show.count(len(problems), 'problem')}: " + ", ".join(f"{number} {reach.value}" for reach, number in counts if number)


def json_line(problem: Problem) -> str:
    """Return a problem as one line of JSON."""
    return show.as_json(problem.to_dict())
