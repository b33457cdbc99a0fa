"""A cache of blobs and documents by their digests, for any number of processes (spec Q11)."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self
from weakref import WeakValueDictionary

from cstore import waiting
from cstore.errors import ContentError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cstore.model.digest import Digest

__all__ = ["USUAL_SIZE", "Cache"]

USUAL_SIZE = 20_000_000_000
"""Bytes that a cache may have."""
_CHUNK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PRIVATE = 0o600
_LOOK = 0.05
_PATIENCE = 60.0


class Cache:
    """A directory with a file for each digest; the files that were used longest ago go first.

    A file gets its name when its size and digest are right. Files are opened before they are used, so that one that another process
    removes meanwhile stays readable.

    Args:
        directory: is made where there is none.
        most: bytes that all files together may have; the newest file stays even if it is larger.
        pause: sleeps so many seconds, while another process fetches what is wanted.

    Raises:
        SourceError: the directory cannot be made.
    """

    def __init__(self, directory: Path, most: int = USUAL_SIZE, pause: Callable[[float], object] | None = None) -> None:
        self.directory = directory
        self._most = most
        self._pause = pause or waiting.pause
        self._seen: set[Digest] = set()
        """Whose files were seen to be right, by this process."""
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[Digest, threading.Lock] = WeakValueDictionary()
        self._is_temporary = False
        self._keeping = 0
        self._kept: set[str] = set()
        """The files that stay until nobody keeps any more."""
        try:
            for name in ("blobs", "partial"):
                (directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(directory, error) from None

    @classmethod
    def temporary(cls, pause: Callable[[float], object] | None = None) -> Self:
        """Make a cache that goes when it is closed, without a bound."""
        made = cls(Path(tempfile.mkdtemp(prefix="cstore-")), most=1 << 62, pause=pause)
        made._is_temporary = True
        return made

    def close(self) -> None:
        """Remove a temporary cache; another one stays as it is."""
        if self._is_temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    @contextmanager
    def alone(self, digest: Digest) -> Iterator[None]:
        """Have one thread of this process at a time in the body, for each digest."""
        with self._guard:
            lock = self._locks.get(digest)
            if lock is None:
                lock = self._locks[digest] = threading.Lock()
        with lock:
            yield

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Have all stay that is opened or fetched in the body, by any thread of this process; what is beyond the bound goes at its end.

        What other processes remove cannot be helped: they take what was used longest ago, by anybody, and then it is fetched again.
        """
        with self._guard:
            self._keeping += 1
        try:
            yield
        finally:
            with self._guard:
                self._keeping -= 1
                is_last = not self._keeping
                if is_last:
                    self._kept.clear()
            if is_last:
                # What cannot be removed now is tried at the next fetch, which tells of it.
                with suppress(OSError):
                    self._shrink()

    def open(self, digest: Digest, size: int | None = None) -> IO[bytes] | None:
        """Return a file that has just this content, at its beginning; None where there is none.

        A file of another digest is removed, a right one stays, whatever size it is said to have; the digest is looked at once in each
        process.

        Args:
            digest: of the content.
            size: its bytes, where they are known.
        """
        path = self._path(digest)
        try:
            file = os.fdopen(os.open(path, _READ), "rb")
        except OSError:
            return None
        status = os.fstat(file.fileno())
        is_right = stat.S_ISREG(status.st_mode) and self._is_right(file, digest)
        if not is_right or size not in (None, status.st_size):
            file.close()
            if not is_right:
                self._seen.discard(digest)
                with suppress(OSError):
                    path.unlink()
            return None
        with suppress(OSError):
            os.utime(file.fileno())
        self._keep(path)
        return file

    def fetched(self, digest: Digest, size: int, at: str, fetch: Callable[[IO[bytes]], object]) -> IO[bytes]:
        """Return a file with a content, at its beginning; it is fetched if it is not there, by one process for all.

        Args:
            digest: of the content.
            size: its bytes.
            at: what errors call it.
            fetch: writes the content into a file that is empty.

        Raises:
            ContentError: what was fetched has another size or digest.
            SourceError: the cache cannot be written.
        """
        if found := self.open(digest, size):
            return found
        try:
            with self._partial(digest) as partial:
                if partial is None:
                    apart = tempfile.TemporaryFile(dir=self.directory)  # noqa: SIM115 - the caller closes it
                    return _filled(apart, digest, size, at, fetch)
                path, place = self._path(digest), self._partial_path(digest)
                if found := self.open(digest, size):
                    # Another one fetched it, and moved its own file away before this one was made.
                    place.unlink(missing_ok=True)
                    return found
                try:
                    _filled(partial, digest, size, at, fetch)
                    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    reader = place.open("rb")
                    place.rename(path)
                except BaseException:
                    place.unlink(missing_ok=True)
                    raise
                self._seen.add(digest)
                self._keep(path)
                self._shrink(path)
                return reader
        except OSError as error:
            raise _unusable(self.directory, error) from None

    def _is_right(self, file: IO[bytes], digest: Digest) -> bool:
        """Whether a file has a digest; it is at its beginning afterwards."""
        if digest not in self._seen:
            try:
                _check(file, digest, os.fstat(file.fileno()).st_size, "")
            except (ContentError, OSError):
                return False
            self._seen.add(digest)
        return True

    @contextmanager
    def _partial(self, digest: Digest) -> Iterator[IO[bytes] | None]:
        """Open the file into which a content is fetched, for this thread alone; None where another one has it and does not go on."""
        path, silence, last = self._partial_path(digest), 0.0, -1
        while silence < _PATIENCE:
            with os.fdopen(os.open(path, _WRITE, _PRIVATE), "w+b") as file:
                if _locked(file):
                    if _is_at(path, file):
                        yield file
                        return
                    continue
                size = os.fstat(file.fileno()).st_size
            silence, last = 0.0 if size != last else silence + _LOOK, size
            self._pause(_LOOK)
        yield None

    def _keep(self, path: Path) -> None:
        with self._guard:
            if self._keeping:
                self._kept.add(str(path))

    def _shrink(self, newest: Path | None = None) -> None:
        """Remove what was used longest ago until all is within the bound, but for what stays, and what killed processes have left."""
        with os.fdopen(os.open(self.directory / "lock", _WRITE, _PRIVATE), "w+b") as lock:
            if not _locked(lock):
                return
            files = sorted(_files(self.directory / "blobs"), key=lambda found: (found[1].st_mtime_ns, found[0]))
            size = sum(status.st_size for _, status in files)
            newest_path = str(newest) if newest else files[-1][0] if files else ""
            with self._guard:
                staying = {newest_path, *self._kept}
            for path, status in files:
                if size <= self._most:
                    break
                if path not in staying:
                    Path(path).unlink(missing_ok=True)
                    size -= status.st_size
            for path, _ in _files(self.directory / "partial"):
                _remove_left(Path(path))

    def _path(self, digest: Digest) -> Path:
        return self.directory / "blobs" / digest.algorithm / digest.hex[:2] / digest.hex

    def _partial_path(self, digest: Digest) -> Path:
        return self.directory / "partial" / f"{digest.algorithm}-{digest.hex}"


def _filled(file: IO[bytes], digest: Digest, size: int, at: str, fetch: Callable[[IO[bytes]], object]) -> IO[bytes]:
    """Fetch a content into a file, see that it is right, and return the file at its beginning."""
    file.truncate(0)
    file.seek(0)
    fetch(file)
    file.flush()
    _check(file, digest, size, at)
    return file


def _check(file: IO[bytes], digest: Digest, size: int, at: str) -> None:
    found = os.fstat(file.fileno()).st_size
    if found != size:
        raise ContentError(f"{at}: expected {size} bytes, found {found}")
    file.seek(0)
    hasher = digest.hasher()
    while chunk := file.read(_CHUNK):
        hasher.update(chunk)
    file.seek(0)
    if hasher.hexdigest() != digest.hex:
        raise ContentError(f"{at}: expected digest {digest}, found {digest.algorithm}:{hasher.hexdigest()}")


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(path: Path, file: IO[bytes]) -> bool:
    """Whether a path leads to an open file; another process may have removed or moved that."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _remove_left(path: Path) -> None:
    """Remove a file into which nobody is writing."""
    with suppress(OSError), os.fdopen(os.open(path, _READ), "rb") as file:
        if _locked(file) and _is_at(path, file):
            path.unlink()


def _files(top: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files below a directory; one that goes meanwhile is left out."""
    for place, _, names in os.walk(top):
        for name in names:
            with suppress(OSError):
                path = f"{place}/{name}"
                yield path, os.lstat(path)


def _unusable(directory: Path, error: OSError) -> SourceError:
    return SourceError(f"{directory}: expected to keep there what registries send, found: {error.strerror or error}")
