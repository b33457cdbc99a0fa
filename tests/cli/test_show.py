from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import redirect_stderr, suppress
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from cstore.cli import show
from cstore.delta import Delta, PutSymlink, PutTree, Remove, file_of
from cstore.errors import StoreError
from cstore.publish.batch import Batch, publishing
from tests.images import Image, file, tar, write_layout
from tests.publish.stores import NEW, OLD

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB"), (2 * 10**9, "2.0 GB"), (3 * 10**15, "3000.0 TB")],
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert show.size(count) == text


@pytest.mark.parametrize(("number", "thing", "text"), [(1, "layer", "1 layer"), (0, "layer", "0 layers"), (2, "entry", "2 entries")])
def test_counts_are_for_people(number: int, thing: str, text: str) -> None:
    assert show.count(number, thing) == text


def test_an_empty_delta_is_nothing_to_do() -> None:
    assert list(show.delta_lines(Delta())) == ["nothing to do"]


def test_each_step_is_a_line() -> None:
    delta = Delta((file_of("a", b""), file_of("b", b"text"), PutSymlink(path="c", target="b"), Remove(path="d")))
    assert list(show.delta_lines(delta)) == [
        "put file a",
        "put file b (4 B)",
        "put symlink c (1 B)",
        "remove d",
        "4 steps, 3 entries, 5 B",
    ]


def test_the_json_of_the_steps_adds_up(store: Path, made: dict[str, str]) -> None:
    batch = Batch(store)
    batch.add(made["tool"], name=OLD)
    delta = batch.plan()
    batch.close()
    steps = [show.step_dict(step) for step in delta]
    assert {str(step["step"]) for step in steps} == {"put file", "replace index", "remove"}
    assert not any(isinstance(step, PutTree) for step in delta)
    assert sum(int(str(step["entries"])) for step in steps) == delta.entries


def test_on_a_terminal_there_are_bars(tmp_path: Path, made: dict[str, str]) -> None:
    code, said = _on_terminal("add", str(tmp_path / "store"), made["new"], "--name", NEW)
    assert code == 0
    assert said.count("verifying") >= 2
    assert said.count("unpacking") >= 2
    assert said.count("100%") >= 4


def test_a_bar_of_work_that_failed_does_not_say_that_all_is_done(tmp_path: Path) -> None:
    image = Image(layers=(tar(file("big", bytes(20_000_000))),), compression="none")
    source = write_layout(tmp_path / "images", image)
    blob = tmp_path / "images/blobs/sha256" / image.diff_ids[0].removeprefix("sha256:")
    blob.write_bytes(b"x" * 512 + blob.read_bytes()[512:])
    terminal = Terminal()
    with (
        redirect_stderr(terminal),
        pytest.raises(StoreError),
        show.progress() as progress,
        publishing(tmp_path / "store", progress=progress) as batch,
    ):
        batch.add(source, name=OLD)
    bar = terminal.getvalue().rpartition("verifying")[2]
    assert bar.startswith(f" {image.diff_ids[0].removeprefix('sha256:')[:12]}")
    assert "100%" not in bar


def test_bars_end_where_the_next_begins(tmp_path: Path, made: dict[str, str]) -> None:
    terminal = Terminal()
    with redirect_stderr(terminal), show.progress() as progress, publishing(tmp_path / "store", progress=progress) as batch:
        batch.add(made["old"], name=OLD)
    assert (
        re.findall(r"(verifying|unpacking) \w{12} \([^)]+\)[^\n]*100%[^\n]*\n", terminal.getvalue())
        == ["verifying"] * 2 + ["unpacking"] * 2
    )


class Terminal(StringIO):
    """Text that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


def _on_terminal(*arguments: str) -> tuple[int, str]:
    """Run the command line with stderr on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "cstore", *arguments], stdout=subprocess.DEVNULL, stderr=theirs) as run:
        os.close(theirs)
        said = b""
        with suppress(OSError):
            while chunk := os.read(ours, 4096):
                said += chunk
    os.close(ours)
    return run.returncode, said.decode()
