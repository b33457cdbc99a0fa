from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.errors import StoreError
from cstore.publish.cvmfs import CvmfsPlace
from cstore.publish.find import find_place
from cstore.publish.place import DirectoryPlace
from tests.publish.cvmfs import NAME, Publisher, nothing_told

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory(tmp_path: Path) -> None:
    for location in (tmp_path, str(tmp_path)):
        assert find_place(location, nothing_told) == DirectoryPlace(tmp_path, nothing_told)


def test_a_repository(publisher: Publisher) -> None:
    place = find_place(f"cvmfs://{NAME}/some/where", nothing_told, publisher.site)
    assert place == CvmfsPlace(repository=publisher.repository, path="some/where", progress=nothing_told)
    assert place.root == publisher.site.spool / NAME / "rdonly/some/where"
    assert place.readers_root == publisher.site.mount / NAME / "some/where"


def test_a_repository_that_is_not_published_here(publisher: Publisher) -> None:
    with pytest.raises(StoreError, match=r"^cvmfs://other: expected a repository that this machine publishes, found no .*/other/rdonly$"):
        find_place("cvmfs://other", site=publisher.site)


def test_another_scheme() -> None:
    with pytest.raises(StoreError) as raised:
        find_place("s3://bucket/store")
    assert str(raised.value) == "s3://bucket/store: expected the directory of a store, found a location of the kind s3://"
