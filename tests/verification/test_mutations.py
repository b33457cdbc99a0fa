"""Whatever bytes a store holds, `verify` yields problems, soon, or says that there is no store.

A sample runs with the other tests; CSTORE_MUTATIONS says how many mutants to try instead, and CSTORE_SEED which ones:

    CSTORE_MUTATIONS=100000 python -m pytest -s tests/verification/test_mutations.py
"""

from __future__ import annotations

import collections
import json
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING

import orjson
import pytest
from attrs import define, field

from cstore.errors import StoreError
from cstore.verification.problem import Problem
from cstore.verification.store import verify
from tests.verification.mutants import mutant
from tests.verification.patience import patience

if TYPE_CHECKING:
    from pathlib import Path

    from tests.verification.target import Target

COUNT = int(os.environ.get("CSTORE_MUTATIONS", "1500"))
SEED = int(os.environ.get("CSTORE_SEED", "1"))
LIMIT = 1.0
"""Seconds that a check may take."""
HANGS = 20
"""Seconds after which a check is given up."""


@define
class Outcome:
    """What the checks of all mutants gave."""

    codes: collections.Counter[str] = field(factory=collections.Counter)
    slowest: tuple[float, str] = (0.0, "")
    failures: list[str] = field(factory=list)

    def check(self, root: Path, name: str) -> None:
        start = time.process_time()
        try:
            with patience(HANGS):
                found = list(verify(root, deep=True))
            self.codes.update({problem.code for problem in found} or {"none"})
            self.failures += [f"{name}: {problem!r} is none" for problem in found if type(problem) is not Problem]
            orjson.dumps([problem.to_dict() for problem in found])
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            if type(error) is StoreError:
                self.codes["StoreError"] += 1
            else:
                self.failures.append(f"{name}\n{traceback.format_exc(-3)}")
        seconds = time.process_time() - start
        self.slowest = max(self.slowest, (seconds, name))
        if seconds > LIMIT:
            self.failures.append(f"{name}: {seconds:.1f} s")


def test_whatever_a_file_holds_there_are_only_problems(target: Target) -> None:
    files = _files(target.root)
    outcome = Outcome()
    for number in range(COUNT):
        path = files[number % len(files)]
        place = target.root / path
        sound = place.read_bytes()
        made = mutant(path, sound, SEED, number)
        _replace(place, made.data)
        outcome.check(target.root, f"{number} {made.name}")
        _replace(place, sound)
    seconds, slowest = outcome.slowest
    told = {"mutants": COUNT, "seed": SEED, "slowest": [round(seconds, 3), slowest], "codes": dict(sorted(outcome.codes.items()))}
    sys.stdout.write("\n".join([json.dumps(told), *outcome.failures, ""]))
    assert [str(problem) for problem in verify(target.root, deep=True)] == []
    assert outcome.failures == []


@pytest.mark.parametrize("number", [0, 7])
def test_a_mutant_is_always_the_same(number: int) -> None:
    data = b'[{"id":"a","names":["b"]}]'
    assert mutant("images.json", data, 1, number) == mutant("images.json", data, 1, number)
    assert {mutant("images.json", data, 1, other).data for other in range(20)} != {data}


def _replace(place: Path, data: bytes) -> None:
    # ext4 waits for the disk where a file is emptied and written anew.
    place.unlink()
    place.write_bytes(data)


def _files(root: Path) -> list[str]:
    """Return the files of a store in which something is to be changed; the indexes stand there more often."""
    found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    chosen = [path for path in found if "/diff/" not in path]
    return [*chosen, *(path for path in chosen if path.endswith(".json"))]
