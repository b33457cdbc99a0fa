from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tools.cvmfs_standin.harness import Standin, standin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Standin]:
    """Yield a publisher with the repository `r`, owned by root."""
    if os.geteuid() != 0:
        pytest.skip("the stand-in mounts and makes devices, which needs root")
    with standin(tmp_path / "site") as made:
        made.make("r")
        yield made
