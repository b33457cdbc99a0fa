from __future__ import annotations

import multiprocessing
import os
import threading
import time
from typing import IO, TYPE_CHECKING, NoReturn

import pytest

from cstore.errors import ContentError, SourceError, StoreError
from cstore.model.digest import Digest
from cstore.registry.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = b"content" * 1000
DIGEST = Digest.of(DATA)


def giving(data: bytes, calls: list[int] | None = None) -> Callable[[IO[bytes]], object]:
    def fetch(file: IO[bytes]) -> None:
        if calls is not None:
            calls.append(1)
        file.write(data)

    return fetch


def never(_file: IO[bytes]) -> NoReturn:
    raise AssertionError("it was fetched")


def put(cache: Cache, data: bytes) -> Digest:
    cache.fetched(Digest.of(data), len(data), "x", giving(data)).close()
    return Digest.of(data)


def files(place: Path) -> list[str]:
    return sorted(path.name for path in place.rglob("*") if path.is_file() and path.name != "lock")


def test_what_was_fetched_once_is_there(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "a/b")
    assert cache.open(DIGEST) is None
    with cache.fetched(DIGEST, len(DATA), "x", giving(DATA)) as file:
        assert (file.tell(), file.read(), file.seek(3), file.read(2)) == (0, DATA, 3, DATA[3:5])
    for again in (cache, Cache(tmp_path / "a/b")):
        with again.fetched(DIGEST, len(DATA), "x", never) as file:
            assert file.read() == DATA
    assert files(tmp_path) == [DIGEST.hex]
    assert (tmp_path / "a/b/blobs").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (DATA[:-1], f"x: expected {len(DATA)} bytes, found {len(DATA) - 1}"),
        (DATA + b"x", f"x: expected {len(DATA)} bytes, found {len(DATA) + 1}"),
        (DATA[::-1], f"x: expected digest {DIGEST}, found {Digest.of(DATA[::-1])}"),
    ],
)
def test_nothing_wrong_gets_in(tmp_path: Path, data: bytes, said: str) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(ContentError) as error:
        cache.fetched(DIGEST, len(DATA), "x", giving(data))
    assert str(error.value) == said
    assert files(tmp_path) == []
    with cache.fetched(DIGEST, len(DATA), "x", giving(DATA)) as file:
        assert file.read() == DATA


def test_a_failed_fetch_leaves_nothing(tmp_path: Path) -> None:
    def fail(file: IO[bytes]) -> None:
        file.write(b"a part")
        raise SourceError("cut off")

    with pytest.raises(SourceError, match=r"^cut off$"):
        Cache(tmp_path).fetched(DIGEST, len(DATA), "x", fail)
    assert files(tmp_path) == []


@pytest.mark.parametrize("wrong", [DATA[:-1], DATA[::-1], b""], ids=["size", "digest", "empty"])
def test_a_file_that_is_wrong_is_fetched_anew(tmp_path: Path, wrong: bytes) -> None:
    """Spec Q11."""
    put(Cache(tmp_path), DATA)
    (place,) = tmp_path.rglob(DIGEST.hex)
    place.write_bytes(wrong)
    calls: list[int] = []
    with Cache(tmp_path).fetched(DIGEST, len(DATA), "x", giving(DATA, calls)) as file:
        assert (file.read(), calls) == (DATA, [1])
    assert place.read_bytes() == DATA


def test_a_right_file_stays_though_a_manifest_lies_of_its_size(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    put(cache, DATA)
    assert cache.open(DIGEST, len(DATA) + 1) is None
    with pytest.raises(ContentError), cache.fetched(DIGEST, len(DATA) + 1, "x", giving(DATA, [])):
        pass
    found = cache.open(DIGEST, len(DATA))
    assert found is not None
    found.close()


@pytest.mark.parametrize("plant", ["symlink", "fifo", "directory"])
def test_what_is_no_file_is_not_read(tmp_path: Path, plant: str) -> None:
    put(Cache(tmp_path / "cache"), DATA)
    (place,) = tmp_path.rglob(DIGEST.hex)
    (tmp_path / "other").write_bytes(DATA)
    place.unlink()
    if plant == "symlink":
        place.symlink_to(tmp_path / "other")
    elif plant == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()
    assert Cache(tmp_path / "cache").open(DIGEST, len(DATA)) is None


def test_what_was_used_longest_ago_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path, most=2500)
    digests = [put(cache, bytes([number]) * 1000) for number in range(2)]
    for number, digest in enumerate(digests):
        (place,) = tmp_path.rglob(digest.hex)
        os.utime(place, (number, number))
    used = cache.open(digests[0])
    assert used is not None
    used.close()
    newest = put(cache, b"3" * 1000)
    assert files(tmp_path) == sorted([digests[0].hex, newest.hex])


def test_the_newest_stays_even_if_it_is_larger_than_all(tmp_path: Path) -> None:
    cache = Cache(tmp_path, most=10)
    put(cache, b"1" * 1000)
    newest = put(cache, b"2" * 1000)
    assert files(tmp_path) == [newest.hex]


def test_what_is_used_while_it_is_kept_stays(tmp_path: Path) -> None:
    """Spec Q11: what is beyond the bound goes at the end."""
    cache = Cache(tmp_path, most=2500)
    before, found = (put(cache, bytes([number]) * 1000) for number in range(2))
    with cache.keeping():
        with cache.keeping():
            used = cache.open(found)
            assert used is not None
            used.close()
        new = [put(cache, bytes([number]) * 1000) for number in range(2, 6)]
        assert files(tmp_path) == sorted(digest.hex for digest in (found, *new))
        assert before.hex not in files(tmp_path)
    assert len(files(tmp_path)) == 2
    put(cache, b"x" * 1000)
    assert len(files(tmp_path)) == 2


def test_what_was_kept_goes_where_the_body_fails(tmp_path: Path) -> None:
    cache = Cache(tmp_path, most=10)

    def fail() -> NoReturn:
        with cache.keeping():
            put(cache, b"1" * 1000)
            put(cache, b"2" * 1000)
            assert len(files(tmp_path)) == 2
            raise SourceError("x")

    with pytest.raises(SourceError, match=r"^x$"):
        fail()
    assert len(files(tmp_path)) == 1


def test_an_open_file_stays_readable_when_it_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path, most=10)
    with cache.fetched(DIGEST, len(DATA), "x", giving(DATA)) as file:
        put(Cache(tmp_path, most=10), b"other")
        assert DIGEST.hex not in files(tmp_path)
        assert file.read() == DATA


def test_what_a_killed_process_has_left_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (tmp_path / "partial" / f"sha256-{'0' * 64}").write_bytes(b"a part")
    (tmp_path / "partial" / f"sha256-{DIGEST.hex}").write_bytes(b"another part")
    put(cache, DATA)
    assert files(tmp_path) == [DIGEST.hex]


def test_of_several_threads_one_fetches(tmp_path: Path) -> None:
    calls: list[int] = []

    def slowly(file: IO[bytes]) -> None:
        calls.append(1)
        time.sleep(0.2)
        file.write(DATA)

    def take() -> None:
        with Cache(tmp_path).fetched(DIGEST, len(DATA), "x", slowly) as file:
            assert file.read() == DATA

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def _take(place: Path, number: int, log: Path) -> None:
    """Take 40 contents in an order of its own, from a cache in which half of them have room."""
    cache = Cache(place, most=20_000)
    for step in range(80):
        data = bytes([(step * (2 * number + 1) + number) % 40]) * 1000

        def fetch(file: IO[bytes], data: bytes = data) -> None:
            with log.open("ab") as said:
                said.write(b".")
            file.write(data)

        with cache.fetched(Digest.of(data), len(data), "x", fetch) as file:
            assert file.read() == data


def test_several_processes_share_it(tmp_path: Path) -> None:
    """Spec Q11."""
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    processes = [context.Process(target=_take, args=(tmp_path / "cache", number, log)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 3
    assert 40 <= len(log.read_bytes()) < 240
    assert files(tmp_path / "cache/partial") == []
    for path in (tmp_path / "cache/blobs").rglob("*"):
        assert path.is_dir() or Digest.of(path.read_bytes()).hex == path.name


def test_a_process_that_stands_still_is_not_waited_for(tmp_path: Path) -> None:
    entered, ended = threading.Event(), threading.Event()
    waits: list[float] = []

    def stand_still(file: IO[bytes]) -> None:
        entered.set()
        ended.wait(10)
        file.write(DATA)

    other = threading.Thread(target=lambda: Cache(tmp_path).fetched(DIGEST, len(DATA), "x", stand_still).close())
    other.start()
    entered.wait(10)
    with Cache(tmp_path, pause=waits.append).fetched(DIGEST, len(DATA), "x", giving(DATA)) as file:
        assert file.read() == DATA
    assert 59 < sum(waits) < 62
    ended.set()
    other.join()
    assert files(tmp_path) == [DIGEST.hex]


def test_a_temporary_one_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache = Cache.temporary()
    put(cache, DATA)
    assert files(tmp_path) == [DIGEST.hex]
    cache.close()
    assert list(tmp_path.iterdir()) == []
    kept = Cache(tmp_path / "kept")
    put(kept, DATA)
    kept.close()
    assert files(tmp_path) == [DIGEST.hex]


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError) as error:
        Cache(tmp_path / "file/cache")
    assert str(error.value) == f"{tmp_path}/file/cache: expected to keep there what registries send, found: Not a directory"


def test_no_room(tmp_path: Path) -> None:
    def full(_file: IO[bytes]) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(SourceError) as error:
        Cache(tmp_path).fetched(DIGEST, len(DATA), "x", full)
    assert str(error.value) == f"{tmp_path}: expected to keep there what registries send, found: No space left on device"
