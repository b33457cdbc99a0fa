from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.publish.batch import publishing
from tests.publish.stores import DAY, NEW, OLD, sources

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    """Images, as sources by tag."""
    return sources(tmp_path / "images")


@pytest.fixture
def store(tmp_path: Path, made: dict[str, str]) -> Path:
    """A store with two images that share their base."""
    root = tmp_path / "store"
    with publishing(root, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
        batch.add(made["new"], name=NEW)
    return root
