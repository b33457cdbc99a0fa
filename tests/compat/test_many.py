"""Writers, podmans and a check at the same time: `tools/try_many.py`, smaller than its own figures."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.compat.programs import LINES, ROOT, require


@pytest.mark.parametrize(
    ("options", "writers", "changes"),
    [(("--layout=direct", "--kills=20"), 3, 5), (("--layout=sharded",), 2, 4), (("--layout=sharded", "--cvmfs"), 2, 2)],
    ids=["direct", "sharded", "cvmfs"],
)
def test_no_reader_fails_and_no_change_is_lost(options: tuple[str, ...], writers: int, changes: int) -> None:
    require("podman", "runc", "busybox")
    done = subprocess.run(
        [sys.executable, ROOT / "tools/try_many.py", *options, f"--writers={writers}", f"--changes={changes}", "--readers=2"],
        check=False,
        capture_output=True,
        text=True,
        env=LINES,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["writers"]["runs"] == writers * changes
    assert told["readers"]["runs"] >= 2 * 3
    assert told["verifiers"]["runs"] >= 1
    assert told["end"] == []
