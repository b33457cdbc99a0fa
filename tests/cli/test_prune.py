from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import NEW, OLD, exact

if TYPE_CHECKING:
    from pathlib import Path


def test_retired_layers_stay_for_the_grace_period_and_go_after_it(store: Path) -> None:
    call("remove", store, OLD)
    before = exact(store)
    assert call("prune", store).out == "nothing to do\n"
    assert exact(store) == before
    done = call("prune", store, "--grace", "0d")
    assert [line.split()[0] for line in done.out.splitlines()] == ["put", "replace", "remove", "remove", "remove", "5"]
    assert call("list", store, "--json").json["layers"] == 2
    assert list(names(store)) == [NEW]
    assert problems(store) == []
    assert unfinished(store) == []


def test_a_dry_run_prints_the_steps_and_writes_nothing(store: Path) -> None:
    call("remove", store, OLD)
    before = exact(store)
    planned = call("prune", store, "--grace", "0w", "--dry-run").out
    assert exact(store) == before
    assert planned == call("prune", store, "--grace", "0w").out


@pytest.mark.parametrize("grace", ["", "14", "d", "-1d", "1.5d", "2h", "100000d", "1d ", "٣d"])
def test_a_grace_period_is_a_number_of_days_or_weeks(store: Path, grace: str) -> None:
    done = call("prune", store, "--grace", grace)
    assert done.code == 2
    assert "expected a number of days or weeks such as 14d or 2w" in " ".join(done.err.split())


def test_the_longest_grace_period_works(store: Path) -> None:
    assert call("prune", store, "--grace", "99999w").code == 0


def test_without_a_store_there_is_nothing_to_prune(tmp_path: Path) -> None:
    for more in ((), ("--dry-run",)):
        done = call("prune", tmp_path / "none", *more)
        assert (done.code, done.sentence) == (3, f"cstore: {tmp_path / 'none'}: expected an image store, found nothing")


def test_its_json_has_the_steps(store: Path) -> None:
    call("remove", store, OLD)
    planned = call("prune", store, "--grace", "0d", "--dry-run", "--json").json
    told = call("prune", store, "--grace", "0d", "--json").json
    assert told == planned
    assert (told["changed"], told["revision"], told["root_hash"], len(told["steps"])) == (True, None, None, 5)
    assert call("prune", store, "--json").json == {"steps": [], "changed": False, "revision": None, "root_hash": None}
