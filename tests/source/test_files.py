from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from cstore.errors import SourceError
from cstore.source.files import ArchiveFiles, DirectoryFiles
from tests.images import compressed, device, directory, fifo, file, hardlink, symlink, tar

if TYPE_CHECKING:
    from pathlib import Path


class TestDirectory:
    def test_a_file_is_opened_and_measured(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "a").write_bytes(b"hello")
        files = DirectoryFiles(tmp_path)
        with files.open("d/a") as opened:
            assert opened.read(100) == b"hello"
        assert files.size("d/a") == 5
        files.close()

    @pytest.mark.parametrize(
        ("path", "what"),
        [
            pytest.param("none", "found: No such file or directory", id="nothing"),
            pytest.param("file/x", "found: Not a directory", id="a file where a directory should be"),
            pytest.param("link", "found: Too many levels of symbolic links", id="a symlink"),
            pytest.param("directory", "found something else", id="a directory"),
            pytest.param("fifo", "found something else", id="a fifo, which nobody writes"),
            pytest.param("null", "found something else", id="a device"),
            pytest.param("through/a", "found: Not a directory", id="a symlink to a directory on the way"),
        ],
    )
    def test_only_regular_files_are_opened(self, tmp_path: Path, path: str, what: str) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "link").symlink_to("file")
        (tmp_path / "directory").mkdir()
        (tmp_path / "directory/a").touch()
        (tmp_path / "through").symlink_to("directory")
        os.mkfifo(tmp_path / "fifo")
        # A plain user makes no devices.
        os.mknod(tmp_path / "null", 0o666 | (stat.S_IFIFO if os.geteuid() else stat.S_IFCHR), os.makedev(1, 3))
        for method in (DirectoryFiles(tmp_path).open, DirectoryFiles(tmp_path).size):
            with pytest.raises(SourceError) as error:
                method(path)
            assert str(error.value) == f"{tmp_path / path}: expected a file, {what}"


MEMBERS = (
    directory("d"),
    file("d/a", b"hello"),
    file("./b", b"world"),
    file("/c", b"!"),
    file("twice", b"old"),
    file("twice", b"new"),
    symlink("d/up", "../b"),
    symlink("d/absolute", "/c"),
    symlink("d/chain", "up"),
    hardlink("hard", "d/a"),
    symlink("loop", "loop"),
    symlink("dangling", "nowhere"),
    symlink("out", "../../../../etc/passwd"),
    fifo("fifo"),
    device("null", 1, 3),
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "a.tar").write_bytes(tar(*MEMBERS))
    return tmp_path / "a.tar"


class TestArchive:
    @pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
    def test_members_are_opened_and_measured_in_any_order(self, tmp_path: Path, compression: str) -> None:
        path = tmp_path / "a.tar"
        path.write_bytes(compressed(tar(*MEMBERS), compression))
        files = ArchiveFiles(path)
        assert files.open("b").read() == b"world"
        assert files.open("d/a").read() == b"hello"
        assert files.size("d/a") == 5
        files.close()

    def test_two_members_are_read_side_by_side(self, archive: Path) -> None:
        files = ArchiveFiles(archive)
        one, other = files.open("d/a"), files.open("b")
        assert (one.read(2), other.read(3), one.read(), other.read(), one.read()) == (b"he", b"wor", b"llo", b"ld", b"")
        files.close()

    @pytest.mark.parametrize(
        ("path", "content"),
        [
            pytest.param("./d/a", b"hello", id="a dot before"),
            pytest.param("/d/a", b"hello", id="a slash before"),
            pytest.param("c", b"!", id="an absolute member"),
            pytest.param("twice", b"new", id="the last of several"),
            pytest.param("d/up", b"world", id="symlink"),
            pytest.param("d/absolute", b"!", id="absolute symlink"),
            pytest.param("d/chain", b"world", id="symlink to a symlink"),
            pytest.param("hard", b"hello", id="hard link"),
        ],
    )
    def test_how_a_member_is_found(self, archive: Path, path: str, content: bytes) -> None:
        files = ArchiveFiles(archive)
        assert files.open(path).read() == content
        files.close()

    @pytest.mark.parametrize("path", ["none", "d", "loop", "dangling", "out", "fifo", "null", "../a.tar", ""])
    def test_what_is_no_member(self, archive: Path, path: str) -> None:
        files = ArchiveFiles(archive)
        for method in (files.open, files.size):
            with pytest.raises(SourceError) as error:
                method(path)
            assert str(error.value) == f'{archive}: expected a member "{path}", found none'
        files.close()

    def test_a_symlink_to_an_archive_is_one(self, archive: Path) -> None:
        link = archive.with_name("link")
        link.symlink_to("a.tar")
        files = ArchiveFiles(link)
        assert files.open("b").read() == b"world"
        files.close()

    def test_names_that_are_no_utf8_do_not_matter(self, tmp_path: Path) -> None:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as writer:
            writer.addfile(tarfile.TarInfo("\udcff\udcfe"))
        (tmp_path / "a.tar").write_bytes(made.getvalue()[:512] + tar(file("b", b"1")))
        files = ArchiveFiles(tmp_path / "a.tar")
        assert files.open("b").read() == b"1"
        files.close()

    def test_no_archive(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError) as error:
            ArchiveFiles(tmp_path / "none")
        assert str(error.value) == f"{tmp_path}/none: expected a file, found: No such file or directory"

    def test_a_directory_is_no_archive(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError) as error:
            ArchiveFiles(tmp_path)
        assert str(error.value) == f"{tmp_path}: expected a file, found something else"

    GOOD = gzip.compress(tar(file("a", bytes(range(256)) * 40)), mtime=0)

    @pytest.mark.parametrize(
        ("data", "what"),
        [
            pytest.param(b"", "expected a tar archive, found an empty file", id="empty"),
            pytest.param(b"x" * 2000, "expected a checksum in octal digits", id="text"),
            pytest.param(
                GOOD[: len(GOOD) // 2],
                "expected a tar archive, found damage (Compressed file ended",
                id="gzip cut short",
            ),
            pytest.param(GOOD[:-8] + bytes(8), "expected a tar archive, found damage (CRC check failed", id="gzip with a wrong checksum"),
            pytest.param(b"\x1f\x8b" + b"\xff" * 50, "expected a tar archive, found", id="gzip damaged"),
            pytest.param(b"\x28\xb5\x2f\xfd" + b"\xff" * 100, "expected a tar archive, found damage (zstd", id="zstd damaged"),
            pytest.param(gzip.compress(b"x" * 2000), "expected a checksum in octal digits", id="gzip of text"),
            pytest.param(
                tar(file("a"))[:100],
                "expected the rest of a tar member, found the end",
                id="a header cut short",
            ),
            pytest.param(tar(file("a", b"x" * 2000))[:1000], 'member "a": expected 2000 bytes, found the end', id="a member cut short"),
        ],
    )
    def test_what_is_no_archive(self, tmp_path: Path, data: bytes, what: str) -> None:
        (tmp_path / "a.tar").write_bytes(data)
        with pytest.raises(SourceError) as error:
            ArchiveFiles(tmp_path / "a.tar")
        assert str(error.value).startswith(f"{tmp_path}/a.tar: {what}")
