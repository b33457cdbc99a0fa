"""What is left when cstore dies, or when the system refuses something, at any moment of a change.

The moments are the system calls that write below the store. There are some 1,250 of them in these changes; the tests try a part, the
same at each run. CRASH_POINTS=9999 tries all.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from attrs import frozen

from cstore.cli import main
from tests.publish.disturb import Point, killed, points, refused
from tests.publish.soundness import is_visible, names, problems
from tests.publish.stores import FORMS, SCENARIOS, Scenario, copy, listing, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cstore.model.layout import Form

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which kills a program at a chosen system call")

AS_MANY = int(os.environ.get("CRASH_POINTS", "8"))
"""Moments tried for each change, form and kind of ending."""

EACH_CHANGE = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
EACH_FORM = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.value)


@frozen
class Change:
    """A change with a store to try it on, and what that store is before and afterwards."""

    scenario: Scenario
    form: Form
    made: dict[str, str]
    place: Path
    moments: tuple[Point, ...]

    @classmethod
    def of(cls, scenario: Scenario, form: Form, place: Path) -> Change:
        made = sources(place / "images")
        for name in ("before", "after"):
            scenario.prepare(place / name, made, form)
        moments = points(scenario.arguments(place / "after", made, form), place / "after", place / "log")
        return cls(scenario, form, made, place, tuple(moments))

    @property
    def before(self) -> Path:
        return self.place / "before"

    @property
    def after(self) -> Path:
        return self.place / "after"

    def arguments(self, root: Path) -> list[str]:
        return self.scenario.arguments(root, self.made, self.form)

    def copy(self, name: str) -> Path:
        root = self.place / name
        if self.before.exists():
            copy(self.before, root)
        return root


@EACH_FORM
@EACH_CHANGE
def test_killed_at_any_call(tmp_path: Path, scenario: Scenario, form: Form) -> None:
    change = Change.of(scenario, form, tmp_path)
    assert _tried(change, killed_at, first=0) == []


@EACH_FORM
@EACH_CHANGE
def test_refused_any_call(tmp_path: Path, scenario: Scenario, form: Form) -> None:
    change = Change.of(scenario, form, tmp_path)
    assert _tried(change, refused_at, first=1) == []


def killed_at(change: Change, number: int) -> list[str]:
    """Return what is wrong after a kill at one moment, and after the run that follows."""
    root = change.copy(f"killed-{number}")
    killed(change.arguments(root), change.moments[number], change.place / f"log-{number}")
    found = list(_unsound(change, root))
    there = names(root)
    if there not in (names(change.before), names(change.after)):
        found.append(f"the store is neither the old nor the new one: {there}")
    code = _again(change.arguments(root))
    is_removed_already = there == names(change.after) and change.scenario.verb[0] == "remove"
    if code != (3 if is_removed_already else 0):
        found.append(f"the run that follows ends with {code}")
    return [*found, *_difference(root, change.after)]


def refused_at(change: Change, number: int) -> list[str]:
    """Return what is wrong after an error at one moment."""
    root = change.copy(f"refused-{number}")
    point = change.moments[number]
    done = refused(change.arguments(root), point, point.errors[number % len(point.errors)], change.place / f"log-{number}")
    found = list(_unsound(change, root))
    if done.code == 0:
        _again(change.arguments(root))
        return [*found, *_difference(root, change.after)]
    lines = [line for line in done.said.splitlines() if not line.startswith(("verifying ", "unpacking "))]
    if done.code != 3 or len(lines) != 1 or not lines[0].startswith("cstore: "):
        found.append(f"exit code {done.code}: {done.said}")
    return [*found, *_difference(root, change.before)]


def _tried(change: Change, attempt: Callable[[Change, int], list[str]], first: int) -> list[str]:
    """Return what is wrong at some moments of a change, spread evenly; others for each change and form."""
    total = len(change.moments)
    step = max(total // AS_MANY, 1)
    offset = (SCENARIOS.index(change.scenario) * 5 + FORMS.index(change.form) * 3 + first * 2) % step
    numbers = range(offset, total, step)
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda number: attempt(change, number), numbers)
        return [f"{change.moments[number]}: {wrong}" for number, found in zip(numbers, results, strict=True) for wrong in found]


def _unsound(change: Change, root: Path) -> Iterator[str]:
    """Yield what a reader would stumble over; in a new store he sees nothing before both indexes are there."""
    if is_visible(root):
        yield from problems(root)
    elif change.scenario.before:
        yield "the store is gone"


def _difference(root: Path, expected: Path) -> Iterator[str]:
    found, wanted = listing(root), listing(expected)
    for path in sorted(found.keys() | wanted.keys()):
        if found.get(path) != wanted.get(path):
            yield f"{path or 'the store'}: expected {str(wanted.get(path))[:120]}, found {str(found.get(path))[:120]}"


def _again(arguments: list[str]) -> object:
    """Run the command line undisturbed, and return its exit code."""
    try:
        main(arguments)
    except SystemExit as end:
        return end.code
    return 0
