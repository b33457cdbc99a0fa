from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import PublishError
from cstore.model.layout import Form
from cstore.publish.batch import publishing
from cstore.publish.directory import writing
from cstore.publish.locks import everybodys, exclusive
from cstore.store import Store
from tests.cli.program import USER
from tests.images import Image, file, tar, write_layout
from tests.publish.soundness import names, problems, unfinished
from tests.publish.stores import DAY, NEW, OLD, listing, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOCKS = ("overlay-layers/layers.lock", "overlay-images/images.lock")
PROGRAM = [sys.executable, "-m", "cstore"]
PODMAN = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, getattr(fcntl, sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""
"""Holds a lock as podman does: for the process, by F_SETLK."""
READER = """
import fcntl, os, sys
images, layers = (os.open(path, os.O_RDONLY) for path in sys.argv[1:])
fcntl.lockf(images, fcntl.LOCK_SH)
print("held", flush=True)
sys.stdin.readline()
fcntl.lockf(layers, fcntl.LOCK_SH)
print("both", flush=True)
"""
"""Takes the locks as podman does that looks for an image and then for its layers."""
WRITER = """
import sys, time
from pathlib import Path
from cstore.publish.directory import writing
from cstore.publish.locks import exclusive
root = Path(sys.argv[1])
with writing(root), exclusive(root / sys.argv[2], 1), exclusive(root / sys.argv[3], 1):
    print("held", flush=True)
    time.sleep(600)
"""
"""Holds all locks that there are, and does nothing else."""


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    return sources(tmp_path / "images")


@pytest.fixture
def store(tmp_path: Path, made: dict[str, str]) -> Path:
    root = tmp_path / "store"
    with publishing(root, today=DAY) as batch:
        batch.add(made["old"], name=OLD)
    return root


@contextmanager
def podman_holding(lock: Path, how: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have another process hold a lock; it lets go when its input ends."""
    with subprocess.Popen([sys.executable, "-c", PODMAN, lock, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield holder


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("how", ["LOCK_EX", "LOCK_SH"])
def test_a_writer_waits_for_podman(store: Path, made: dict[str, str], lock: str, how: str) -> None:
    before = names(store)
    with podman_holding(store / lock, how) as holder, subprocess.Popen([*PROGRAM, "add", store, made["new"], "--name", NEW]) as run:
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(1)
        assert names(store) == before
        assert problems(store) == []
        holder.communicate()
        assert run.wait(30) == 0
    assert sorted(names(store)) == [OLD, NEW]
    assert unfinished(store) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_reader_waits_for_podman_that_writes(store: Path, lock: str) -> None:
    with podman_holding(store / lock, "LOCK_EX") as holder, ThreadPoolExecutor() as pool:
        reading = pool.submit(Store.open, store)
        time.sleep(0.3)
        assert not reading.done()
        holder.communicate()
        assert reading.result(10).named(OLD) is not None


def test_podman_that_reads_does_not_keep_cstore_from_reading(store: Path) -> None:
    with podman_holding(store / LOCKS[0], "LOCK_SH"):
        assert Store.open(store).named(OLD) is not None


@pytest.mark.parametrize("lock", LOCKS)
def test_podman_waits_for_a_writer(store: Path, lock: str) -> None:
    with exclusive(store / lock, 1):
        (store / lock).read_bytes()  # closing the file would lose a lock of F_SETLK
        probe = subprocess.run(
            [sys.executable, "-c", "import fcntl,sys; fcntl.lockf(open(sys.argv[1], 'rb'), fcntl.LOCK_SH | fcntl.LOCK_NB)", store / lock],
            capture_output=True,
            check=False,
        )
        assert b"BlockingIOError" in probe.stderr
    with (store / lock).open("rb") as free:
        fcntl.lockf(free, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_the_wait_ends_with_an_error(store: Path) -> None:
    lock = store / LOCKS[0]
    with (
        exclusive(lock, 1),
        pytest.raises(PublishError, match=r"layers.lock: expected the lock within 0.1 seconds, found it held by another program$"),
        exclusive(lock, 0.1),
    ):
        pass


def test_a_lock_is_a_file_that_can_be_written(store: Path) -> None:
    (store / "link").symlink_to(store / LOCKS[0])
    for name in ("link", "none", "overlay"):
        with pytest.raises(PublishError, match=f"{name}: expected a lock file that can be written, found: "), exclusive(store / name, 1):
            pass


def test_a_second_writer_waits_for_the_first(store: Path, made: dict[str, str]) -> None:
    with writing(store):
        run = subprocess.Popen([*PROGRAM, "add", store, made["new"], "--name", NEW])
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(1)
        assert list(names(store)) == [OLD]
    assert run.wait(30) == 0
    assert sorted(names(store)) == [OLD, NEW]
    assert unfinished(store) == []


def test_a_writer_waits_for_one_lock_without_holding_the_other(store: Path, made: dict[str, str]) -> None:
    """podman locks images.lock and then wants layers.lock: whoever held that one meanwhile would wait for podman, and podman for him."""
    before = (store / LOCKS[0]).read_bytes()
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", READER, store / LOCKS[1], store / LOCKS[0]], stdin=pipe, stdout=pipe) as podman:
        assert podman.stdin is not None
        assert podman.stdout is not None
        assert podman.stdout.readline() == b"held\n"
        with subprocess.Popen([*PROGRAM, "add", store, made["new"], "--name", NEW]) as run:
            _wait_until(lambda: (store / LOCKS[0]).read_bytes() != before)
            podman.stdin.write(b"go on\n")
            podman.stdin.flush()
            assert podman.stdout.readline() == b"both\n"
            podman.wait(10)
            assert run.wait(30) == 0
    assert sorted(names(store)) == [OLD, NEW]


def test_a_writer_that_is_waited_for_long_is_told(store: Path) -> None:
    told: list[tuple[str, str, int]] = []

    def progress(*what: Any) -> Callable[[int], object]:  # noqa: ANN401 - what a progress is told
        told.append(what)
        return lambda _size: None

    def wait() -> None:
        with writing(store, progress):
            pass

    with ThreadPoolExecutor() as pool:
        with writing(store):
            waiting = pool.submit(wait)
            _wait_until(lambda: bool(told))
        waiting.result(10)
    assert told == [("waiting for", f"another writer of {store}", 0)]


def test_a_writer_that_dies_with_all_locks_blocks_nobody(store: Path, made: dict[str, str]) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, store, *LOCKS], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"held\n"
        run.kill()
    start = time.monotonic()
    for lock in LOCKS:
        with (store / lock).open("rb") as free:
            fcntl.lockf(free, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert Store.open(store).named(OLD) is not None
    with publishing(store, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    assert time.monotonic() - start < 4
    assert sorted(names(store)) == [OLD, NEW]
    assert unfinished(store) == []


def test_a_writer_that_dies_between_the_indexes_blocks_nobody(store: Path, made: dict[str, str]) -> None:
    before = (store / LOCKS[0]).read_bytes()
    with podman_holding(store / LOCKS[1], "LOCK_SH"):
        run = subprocess.Popen([*PROGRAM, "add", store, made["new"], "--name", NEW])
        _wait_until(lambda: (store / LOCKS[0]).read_bytes() != before)
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert (store / ".cstore-work" / "journal").exists()
    with publishing(store, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    assert sorted(names(store)) == [OLD, NEW]
    assert problems(store) == []
    assert unfinished(store) == []


def _wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_an_index_is_another_file_afterwards_and_its_lock_the_same(store: Path, made: dict[str, str]) -> None:
    def inodes(suffix: str) -> list[int]:
        return [(store / lock).with_suffix(suffix).stat().st_ino for lock in LOCKS]

    indexes, locks = inodes(".json"), inodes(".lock")
    contents = [(store / lock).read_bytes() for lock in LOCKS]
    with publishing(store, today=DAY) as batch:
        batch.add(made["new"], name=NEW)
    assert inodes(".lock") == locks
    assert not set(inodes(".json")) & set(indexes)
    assert all((store / lock).read_bytes() != content for lock, content in zip(LOCKS, contents, strict=True))


@pytest.mark.parametrize("form", list(Form), ids=lambda form: form.value)
def test_writers_at_the_same_time_lose_nothing(tmp_path: Path, form: Form) -> None:
    """Four programs add three images each, all with one layer in common, into a store that none of them finds."""
    base = tar(file("base", b"base"))
    images = {f"t{number}": Image(layers=(base, tar(file("own", str(number).encode())))) for number in range(12)}
    layout = write_layout(tmp_path / "images", images)
    root = tmp_path / "store"

    def write(first: int) -> list[int]:
        return [
            subprocess.run(
                [*PROGRAM, "add", root, f"{layout}:t{number}", "--name", f"example.org/image:t{number}", "--layout", form.value],
                check=False,
                capture_output=True,
            ).returncode
            for number in range(first, 12, 4)
        ]

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(write, range(4)))
    assert codes == [[0, 0, 0]] * 4
    assert names(root) == {f"example.org/image:{tag}": image.id for tag, image in images.items()}
    assert problems(root) == []
    assert unfinished(root) == []


def test_the_work_directory_is_gone_when_nobody_writes(store: Path) -> None:
    before = listing(store)
    with writing(store):
        assert sorted(os.listdir(store / ".cstore-work")) == ["lock"]  # noqa: PTH208 - names
    assert listing(store) == before


def test_a_lock_that_is_everybodys_is_made_once_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    former = os.umask(0o077)
    try:
        with everybodys(path, 1):
            made = path.stat()
    finally:
        os.umask(former)
    assert stat.S_IMODE(made.st_mode) == 0o666
    with everybodys(path, 1), pytest.raises(PublishError, match=r"expected the lock within 0.1 seconds"), everybodys(path, 0.1):
        pass
    assert path.stat().st_ino == made.st_ino


def test_a_lock_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(PublishError) as raised, everybodys(tmp_path / "none/lock", 1):
        pass
    assert str(raised.value) == f"{tmp_path / 'none/lock'}: expected a lock file that can be written, found: No such file or directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("first", [0, USER])
def test_another_user_takes_a_lock_in_a_directory_of_everybody(tmp_path: Path, first: int) -> None:
    """The kernel's fs.protected_regular refuses O_CREAT there to all but the owner of a file."""
    for place in (tmp_path, *tmp_path.parents):
        if place.stat().st_mode & 0o001 == 0:
            place.chmod(place.stat().st_mode | 0o011)
    locks = tmp_path / "locks"
    locks.mkdir()
    locks.chmod(0o1777)
    for user in (first, USER - first, first):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                with everybodys(locks / "lock", 1):
                    code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, user
