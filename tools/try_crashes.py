"""Disturbs `cstore` at every system call that changes files, and looks at what is left.

    try_crashes.py [--change NAME]... [--form direct|sharded] [--publisher directory|cvmfs|gateway]... [--every N] [--twice N] [--podman]

Each change of a store (add, a name that moves, remove, prune, repair, adopt, views) is made once, while strace records its calls. Then it
is made again for each call, on a fresh copy of the store, and at that call it is killed, told ENOSPC, EIO or EINTR, or left with half a
write. After each, readers (`verify`, and podman if asked) must see the old or the new store, an error must have left the old one byte
for byte, no lock may be held, and the next run must end with the store that an undisturbed one ends with. In CernVM-FS (the stand-in)
each call of `cvmfs_server` fails and is killed besides. Exits with 1 if anything is wrong. Only as root, on Linux 5.6 or newer; needs
strace; cstore and this checkout must be importable.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from cstore.model.layout import Form
from tools.crashes.changes import CHANGES
from tools.crashes.disturbance import Kind
from tools.crashes.run import import_all
from tools.crashes.trial import PUBLISHERS, Trial

if TYPE_CHECKING:
    from tools.crashes.changes import Change
    from tools.crashes.trial import Case, Outcome

_STRIDE = 7
_COLUMNS = (*(kind.value for kind in Kind), "server", "killed twice")


def main() -> None:
    """Try all that is asked for, print a line for each change and for what is wrong, and exit."""
    asked = _asked()
    import_all()
    start = time.monotonic()
    sums: Counter[str] = Counter()
    print(f"| change | form | publisher | calls | {' | '.join(_COLUMNS)} | podman | past the end | wrong |")
    print(f"|---|---|---|{'---:|' * (len(_COLUMNS) + 4)}")
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="crashes-") as place, ProcessPoolExecutor(asked.jobs, context) as pool:
        for number, (change, form, publisher) in enumerate(_wanted(asked)):
            # Not here: a run waits for all children of its process.
            trial = pool.submit(_prepared, change, form, publisher, Path(place) / str(number), asked.podman).result()
            cases = trial.sample(asked.every, asked.twice, number * _STRIDE)
            outcomes = pool.map(_attempt, [(trial, case, f"{index + 1:06}") for index, case in enumerate(cases)])
            row, wrong = _counted(trial, cases, list(outcomes))
            sums.update(row)
            print(_line([change.name, form.value, publisher], row), flush=True)
            for told in wrong:
                print(f"  {trial}: {told}", file=sys.stderr, flush=True)
    print(_line(["all", "", ""], sums))
    tried = sum(sums[column] for column in _COLUMNS)
    print(f"{tried} points tried in {time.monotonic() - start:.0f} seconds, {sums['wrong']} of them with something wrong")
    sys.exit(1 if sums["wrong"] else 0)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [change.name for change in CHANGES]
    parser.add_argument("--change", action="append", choices=names, help="one of them; all unless told")
    parser.add_argument("--form", choices=[form.value for form in Form], help="one of them; both unless told")
    parser.add_argument("--publisher", action="append", choices=PUBLISHERS, help="one of them; directory and cvmfs unless told")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try each N-th case only, the same at each run; 1 unless told")
    parser.add_argument(
        "--twice", type=int, default=10, metavar="N", help="of runs that are killed twice, each N-th, 0 for none; 10 unless told"
    )
    parser.add_argument("--podman", action="store_true", help="ask podman each time what it sees")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="at once; 2 unless told")
    asked = parser.parse_args()
    if asked.every < 1 or asked.twice < 0 or asked.jobs < 1:
        parser.error("expected no negative number, and at least 1 for --every and --jobs")
    return asked


def _wanted(asked: argparse.Namespace) -> list[tuple[Change, Form, str]]:
    forms = [Form(asked.form)] if asked.form else [*Form]
    publishers = asked.publisher or PUBLISHERS[:2]
    return [
        (change, form, publisher)
        for publisher, change, form in product(publishers, CHANGES, forms)
        if not asked.change or change.name in asked.change
    ]


def _prepared(change: Change, form: Form, publisher: str, place: Path, podman: bool) -> Trial:  # noqa: FBT001 - by position through a pool
    return Trial.prepare(change, form, publisher, place, podman=podman)


def _attempt(given: tuple[Trial, Case, str]) -> Outcome:
    trial, case, name = given
    return trial.attempt(case, name)


def _counted(trial: Trial, cases: list[Case], outcomes: list[Outcome]) -> tuple[Counter[str], list[str]]:
    """Return the numbers of a row, and what is wrong."""
    row = Counter(case.column for case, outcome in zip(cases, outcomes, strict=True) if outcome.has_happened)
    row["calls"] = len(trial.points)
    row["podman"] = sum(outcome.asked_podman for outcome in outcomes)
    row["past the end"] = sum(not outcome.has_happened for outcome in outcomes)
    row["wrong"] = sum(bool(outcome.wrong) for outcome in outcomes)
    return row, [f"{case}: {told}" for case, outcome in zip(cases, outcomes, strict=True) for told in outcome.wrong]


def _line(titles: list[str], row: Counter[str]) -> str:
    numbers = [row[column] for column in ("calls", *_COLUMNS, "podman", "past the end", "wrong")]
    return f"| {' | '.join([*titles, *map(str, numbers)])} |"


if __name__ == "__main__":
    main()
