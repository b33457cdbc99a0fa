"""How callers are told how long works go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.progress import Progress, silent

if TYPE_CHECKING:
    import pytest


def test_silence_takes_what_any_progress_takes_and_tells_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    progress: Progress = silent
    advance = progress("reading", "sha256:0", 10)
    assert advance(10) is None
    assert capfd.readouterr() == ("", "")
