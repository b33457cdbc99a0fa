from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.cli.program import call


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str) -> None:
    done = call("completion", shell)
    assert done.code == 0
    assert f"{shell}_complete" in done.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.out, text=True, check=True)


def test_no_script_for_others() -> None:
    assert call("completion", "csh").code == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cstore ", {"add", "remove", "tag", "list", "inspect", "prune", "config", "completion"}),
        ("cstore pr", {"prune"}),
        ("cstore add --", {"--name", "--platform", "--layout", "--dry-run", "--json", "--help"}),
        ("cstore add store --layout ", {"direct", "sharded"}),
        ("cstore completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_is_told_what_may_follow(words: str, expected: set[str]) -> None:
    position = str(len(words.split(" ")) - 1)
    done = subprocess.run(
        [sys.executable, "-c", "from cstore.cli import main; main()"],
        env={**os.environ, "_CSTORE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": position},
        capture_output=True,
        text=True,
        check=False,
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} >= expected
    assert done.stderr == ""
