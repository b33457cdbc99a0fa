"""What podman really does with a store that has a defect: just what the rules of `verify` claim.

What a rule claims to break is the claim of the rule: each of its defects breaks some of it, and all of them together break all of it.
A defect that cannot but break other rules too may break what those claim.

`spec/verify-table.md` is what was seen. With CSTORE_TEST_TABLE=write in the environment it is written instead of compared.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from cstore.verification.problem import Reach
from cstore.verification.rules import RULES
from tests.compat.bench import COMMANDS, OTHER, Bench, Outcome
from tests.compat.programs import require, run
from tests.compat.variants import VARIANTS
from tests.verification.defects import DEFECTS, Defect

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = sorted((*DEFECTS, *VARIANTS), key=lambda defect: int(defect.code[1:]))
TABLE = Path(__file__).parents[2] / "spec/verify-table.md"
ELSEWHERE = {"V16", "V106"}
"""Rules that claim something which no defect here shows: 502 layers take long, and more than 128 break the same; test_views tries views."""

HEAD = """\
# What podman 4.3.1 does with each defect

Made by `CSTORE_TEST_TABLE=write pytest tests/compat/test_defects.py`, and compared by that test with what it sees. A
defect is planted in a store of two images; *found* are the problems that `cstore verify` tells, with `--deep` where
only that finds it. `images` lists all images; `run`, `save` and `build` take the image with the defect; *other* runs
the image beside it.

*fails* is an exit code other than 0, *wrong* an exit code of 0 with something else than the sound store gives, *hangs*
a command that does not end.

| Code | Defect | Reach | Found | images | run | save | build | other |
|---|---|---|---|---|---|---|---|---|
"""


class Look(Protocol):
    """Returns what is seen of a defect; each is tried once, and once more where more is broken than is claimed.

    A defect is the same both times; what else keeps podman from its work on a busy machine is not.
    """

    def __call__(self, defect: Defect) -> Outcome: ...


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    require("podman", "runc", "busybox")
    seen: dict[tuple[str, str], Outcome] = {}
    with Bench(tmp_path_factory.mktemp("bench")) as bench:

        def outcome(defect: Defect) -> Outcome:
            key = (defect.code, defect.name)
            if key not in seen:
                seen[key] = bench.outcome(defect)
                if not seen[key].broken <= claimed(defect.code, *defect.also):
                    seen[key] = bench.outcome(defect)
            return seen[key]

        yield outcome


def claimed(*codes: str) -> frozenset[str]:
    """Return what breaks with podman 4 by what some rules claim."""
    return frozenset[str]().union(*(RULES[code].broken_in("4") for code in codes)) & {*COMMANDS}


@pytest.mark.parametrize("defect", ALL, ids=lambda defect: f"{defect.code} {defect.name}")
def test_defect_breaks_what_its_rule_claims(look: Look, defect: Defect) -> None:
    outcome = look(defect)
    assert set(outcome.found) == {defect.code, *defect.also}
    assert outcome.broken <= claimed(defect.code, *defect.also), (outcome.seen, outcome.said)
    assert OTHER not in outcome.seen or (outcome.seen[OTHER] == "works") == (RULES[defect.code].reach is not Reach.STORE)


@pytest.mark.parametrize("code", [code for code in RULES if code not in ELSEWHERE])
def test_all_that_a_rule_claims_is_broken_by_a_defect(look: Look, code: str) -> None:
    broken = frozenset[str]().union(*(look(defect).broken for defect in ALL if defect.code == code))
    assert claimed(code) <= broken


def test_table_is_what_was_seen(look: Look) -> None:
    if "4.3.1" not in run("podman", "--version"):
        pytest.skip("the table is that of podman 4.3.1")
    table = HEAD + "".join(row(defect, look(defect)) for defect in ALL)
    if os.environ.get("CSTORE_TEST_TABLE") == "write":
        TABLE.write_text(table)
    assert TABLE.read_text() == table


def row(defect: Defect, outcome: Outcome) -> str:
    seen = (outcome.seen.get(command, "") for command in (*COMMANDS, OTHER))
    found = " ".join(outcome.found)
    return f"| {defect.code} | {defect.name} | {RULES[defect.code].reach.value} | {found} | {' | '.join(seen)} |\n"
