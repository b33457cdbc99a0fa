"""Whole repositories, published as they lie in a directory."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.publish.cvmfs import NAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.publish.cvmfs import Publisher


def publish_directory(publisher: Publisher, repository: Path) -> None:
    """Publish all that is in a directory at the top of the repository, in one revision."""
    tops = sorted(place.name for place in repository.iterdir())
    data = subprocess.run(["tar", "-C", repository, "-c", *tops], check=True, capture_output=True).stdout
    code, said = publisher.machine.run("ingest", "-k", "-t", "-", "-b", "/", NAME, data=data)
    assert code == 0, said
