from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.publish.cvmfs import publishing_machine
from tests.publish.stores import sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.publish.cvmfs import Publisher


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    """Images, as sources by tag."""
    return sources(tmp_path / "images")


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    """Yield a machine that publishes an empty repository with storage of its own."""
    with publishing_machine(tmp_path / "site") as machine:
        yield machine
