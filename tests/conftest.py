from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stores import Planner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def planner(tmp_path: Path) -> Iterator[Planner]:
    """A planner of the store `store` in the temporary directory."""
    planner = Planner(tmp_path / "store")
    yield planner
    planner.close()
