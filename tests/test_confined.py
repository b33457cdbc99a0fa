from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from cstore.confined import Confined
from cstore.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

OUT = "a symlink that leads out of the repository, or nowhere"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a file, a directory, and a file outside of it."""
    root = tmp_path / "repository"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_bytes(b"content")
    (tmp_path / "outside").write_bytes(b"outside")
    (tmp_path / "directory").mkdir()
    return root


def confined(repository: Path) -> Confined:
    return Confined(repository, repository.parents[0] / "seen")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        pytest.param("a/b/file", "link", id="a relative symlink"),
        pytest.param("./a/../a/b/./file", "link", id="one with dots"),
        pytest.param("../a/b", "a/link/file", id="one to a directory on the way"),
        pytest.param("{seen}/a/b/file", "link", id="an absolute one as readers see it"),
        pytest.param("{root}/a/b/file", "a/b/link", id="an absolute one as it is read"),
    ],
)
def test_symlinks_are_followed_as_far_as_they_stay(repository: Path, target: str, path: str) -> None:
    place = repository / path.removesuffix("/file")
    place.symlink_to(target.format(seen=repository.parent / "seen", root=repository))
    assert confined(repository).read(path, 100) == b"content"


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("../outside", OUT),
        ("a/../../outside", OUT),
        ("{above}/outside", OUT),
        ("/etc/passwd", OUT),
        ("{above}/seen/../outside", OUT),
        ("link", "a symlink"),
        ("nowhere", "nothing"),
        ("a", "a directory"),
        ("a/..", "a directory"),
        ("/", OUT),
        ("a/b/file/x", "nothing"),
    ],
)
def test_no_symlink_leads_out(repository: Path, target: str, found: str) -> None:
    (repository / "link").symlink_to(target.format(above=repository.parent))
    with pytest.raises(SourceError, match=re.escape(f"{repository}/link: expected a file, found {found}") + "$"):
        confined(repository).read("link", 100)


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "a\0b", "x" * 300, "a/b", "a/..", "", "none"])
def test_a_path_of_any_kind_is_refused_in_one_sentence(repository: Path, path: str) -> None:
    with pytest.raises(SourceError, match="expected a file, found "):
        confined(repository).read(path, 100)


def test_a_file_has_a_limit(repository: Path) -> None:
    assert confined(repository).read("a/b/file", 7) == b"content"
    with pytest.raises(SourceError, match=r"expected a file, found more than 6 bytes$"):
        confined(repository).read("a/b/file", 6)


def test_a_fifo_is_not_waited_for(repository: Path) -> None:
    os.mkfifo(repository / "fifo")
    with pytest.raises(SourceError, match=r"expected a file, found a fifo$"):
        confined(repository).read("fifo", 100)
    with pytest.raises(SourceError, match=r"expected a directory, found a fifo$"):
        confined(repository).open_directory("fifo")


def test_a_directory_is_opened_without_any_symlink(repository: Path) -> None:
    handle = confined(repository).open_directory("a/b")
    assert os.listdir(handle) == ["file"]  # noqa: PTH208 - of a descriptor
    os.close(handle)
    (repository / "link").symlink_to("a")
    for path in ("link", "link/b"):
        with pytest.raises(SourceError, match=f"{repository}/{path}: expected a directory, found a symlink$"):
            confined(repository).open_directory(path)
    assert [confined(repository).has_directory(path) for path in ("a", "a/b", "a/b/file", "link", "none")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_no_descriptor_stays_open(repository: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    (repository / "link").symlink_to("../outside")
    for path in ("a/b/file", "link", "none", "a"):
        for _ in range(3):
            try:
                confined(repository).read(path, 100)
            except SourceError:
                continue
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names are enough
