"""cstore is disturbed at system calls, spread over all changes; `tools/try_crashes.py` does so at every one.

A part is tried, the same at each run. CRASH_EVERY=1 tries all, which takes an hour.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cstore.index.lock import request
from cstore.model.layout import Form
from tools.crashes.calls import Point, points
from tools.crashes.changes import CHANGES, Change
from tools.crashes.disturbance import Kind, Recording, disturbance
from tools.crashes.judge import State, differences, held_locks, seen_by_podman, unlike_both
from tools.crashes.run import import_all, run
from tools.crashes.trial import PUBLISHERS, Disturbed, Trial

EVERY = int(os.environ.get("CRASH_EVERY", "120"))
"""Each how-manieth case is tried."""

ROOT = Path(__file__).parents[2]
TRIALS = [(change, form, publisher) for publisher in PUBLISHERS[:2] for change in CHANGES for form in Form]
BEHIND_A_GATEWAY = [(change, Form.SHARDED, "gateway") for change in CHANGES if change.name == "add"]
ALL = [*TRIALS, *BEHIND_A_GATEWAY]
MOVE = next(change for change in CHANGES if change.name == "move a name")

pytestmark = [
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which disturbs a program at a chosen system call"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make devices and to give files away"),
]


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    import_all()


@pytest.mark.parametrize(("change", "form", "publisher"), ALL, ids=lambda value: getattr(value, "name", str(value)).replace(" ", "-"))
def test_disturbed_anywhere_a_store_is_the_old_or_the_new_one(tmp_path: Path, change: Change, form: Form, publisher: str) -> None:
    trial = Trial.prepare(change, form, publisher, tmp_path / "trial")
    assert len(trial.points) >= 8
    cases = trial.sample(EVERY, 10, ALL.index((change, form, publisher)) * 7)
    outcomes = [(case, trial.attempt(case, f"{number + 1:06}")) for number, case in enumerate(cases)]
    assert [f"{case}: {wrong}" for case, outcome in outcomes for wrong in outcome.wrong] == []
    assert any(outcome.has_happened for _, outcome in outcomes)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial.prepare(MOVE, Form.DIRECT, "directory", tmp_path / "trial")


def test_a_run_makes_the_same_calls_each_time(trial: Trial) -> None:
    with trial.ground.copy("000001") as copy:
        run(MOVE.arguments(copy.location, copy.beside, trial.made, trial.form), {}, Recording(trial.place / "again"))
    again = points(trial.place / "again")
    assert [(point.call, point.number) for point in again] == [(point.call, point.number) for point in trial.points]


def test_a_short_write_has_written_what_it_says(trial: Trial) -> None:
    """The lock is written in place, by one call; half of it is there before the other half."""
    (point, *_) = [point for point in trial.points if "images.lock" in point.shown and point.can_be_short]
    outcome = trial.attempt(Disturbed(point, Kind.SHORT), "000001")
    assert (outcome.has_happened, outcome.wrong) == (True, ())


def test_a_point_past_the_end_does_not_happen(trial: Trial) -> None:
    for kind in (Kind.KILL, Kind.EIO, Kind.SHORT):
        outcome = trial.attempt(Disturbed(Point("write", 9999, "", is_output=False), kind), "000001")
        assert (outcome.has_happened, outcome.wrong) == (False, ())


def test_each_kind_of_disturbance_is_told_from_an_undisturbed_run(trial: Trial) -> None:
    point = next(point for point in trial.points if ".cstore-work/" in point.shown and point.call == "write")
    arguments = ["tag", "", "a", "b"]
    codes = {}
    for number, kind in enumerate(Kind):
        with trial.ground.copy(f"{number + 1:06}") as copy:
            arguments = MOVE.arguments(copy.location, copy.beside, trial.made, trial.form)
            codes[kind] = run(arguments, {}, disturbance(point, kind, trial.place / "log")).code
    assert codes == {Kind.KILL: -9, Kind.ENOSPC: 3, Kind.EIO: 3, Kind.EINTR: 0, Kind.SHORT: 0}


LOG = """\
7 openat(AT_FDCWD, "/etc/motd", O_RDONLY) = 3
7 openat(AT_FDCWD, "/s/new", O_WRONLY|O_CREAT|O_EXCL, 0666) = 3
7 write(3</s/new>, ""..., 12) = 12
8 write(4</tmp/x>, ""..., 1 <unfinished ...>
7 fcntl(5</s/lock>, F_OFD_SETLK, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=0, l_len=0}) = 0
7 fcntl(5</s/lock>, F_OFD_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=0}) = 0
8 <... write resumed>) = 1
8 write(4</tmp/x>, ""..., 1) = 1
7 write(2</tmp/y>, ""..., 20) = 20
7 --- SIGCHLD {si_signo=SIGCHLD} ---
8 write(4</tmp/x>, ""..., 9) = -1 EPIPE (Broken pipe)
7 +++ exited with 0 +++
"""


def test_points_are_counted_in_their_threads(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG)
    found = [(point.call, point.number, point.is_output, point.can_be_short) for point in points(tmp_path / "log")]
    assert found == [
        ("openat", 2, False, False),
        ("write", 1, False, True),
        ("fcntl", 2, False, False),
        ("write", 2, False, False),
        ("write", 3, False, False),
    ]


def test_what_is_wrong_is_seen(trial: Trial) -> None:
    with trial.ground.copy("000001") as copy:
        old = State.of(copy)
        assert [*differences(old, trial.old), *unlike_both(old, trial.old, trial.new), *held_locks(copy.locks)] == []
        (copy.root / "left").touch()
        (copy.root / "overlay-images/images.json").write_bytes(b"[]")
        (link, *_) = sorted((copy.root / "overlay/l").iterdir())
        link.unlink()
        found = State.of(copy)
        told = [line.partition(":")[0] for line in differences(found, trial.old)]
        assert {"left", f"overlay/l/{link.name}", "overlay-images/images.json"} <= {*told}
        seen = [*unlike_both(found, trial.old, trial.new)]
        assert seen[:2] == [
            "overlay-images/images.json has neither its old nor its new bytes",
            "readers see neither the old nor the new images: {}",
        ]
        assert any(line.startswith("V53 ") for line in seen)
        with (copy.root / "overlay-images/images.lock").open("r+b") as file:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, request(fcntl.F_WRLCK))
            assert [*held_locks(copy.locks)] == ["images.lock is locked still"]


@pytest.mark.skipif(shutil.which("podman") is None, reason="needs podman (Debian: apt-get install podman)")
def test_podman_is_asked(trial: Trial) -> None:
    with trial.ground.copy("000001") as copy:
        assert seen_by_podman(copy) == trial.old.names
        (copy.root / "overlay-images/images.json").write_text("no JSON")
        assert seen_by_podman(copy) == {}


def test_the_command_tells_how_many_it_has_tried(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tools/try_crashes.py"), "--change", "remove", "--form", "direct", "--publisher", "directory"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run([*command, "--every", "40"], check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    header, _, row, total, said = done.stdout.splitlines()
    assert row.startswith("| remove | direct | directory | ")
    assert header.count("|") == row.count("|") == total.count("|")
    assert said.split()[1:3] == ["points", "tried"]
    assert int(said.split()[0]) >= 4
    assert not list(tmp_path.iterdir())
