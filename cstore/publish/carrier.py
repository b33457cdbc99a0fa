"""How a delta gets into a repository with storage of its own: one ingest, and what must come before it."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.delta import Delta, PutDirectory, PutFile, PutSymlink, PutTree, Remove, ReplaceIndex, Step
from cstore.errors import PublishError, StoreError
from cstore.model.layout import CATALOG
from cstore.publish.deleting import delete
from cstore.publish.repository import Moment
from cstore.publish.tarstream import TarStream
from cstore.publish.xattrs import set_xattrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cstore.progress import Progress
    from cstore.publish.repository import Repository

__all__ = ["Carried", "Carrier", "MovedOnError", "Target", "in_the_way", "is_unspeakable"]

_MOST_CATALOGS = 900
"""A first round fills 256 shards each of a pool, of layers and of flat trees."""


class MovedOnError(Exception):
    """Somebody published since the delta was planned."""


@frozen
class Target:
    """A store in a repository, and how its layers are to be published."""

    repository: Repository
    path: str
    progress: Progress
    leaves_out: bool
    """Whether names that CernVM-FS would take for its own are left out."""
    sets_xattrs: bool
    """Whether extended attributes are set, in a transaction of their own."""

    @property
    def root(self) -> Path:
        """The store as it is published now."""
        return self.repository.published / self.path

    def placed(self, path: str) -> str:
        """Return where a path of the store is in the repository."""
        return f"{self.path}/{path}" if self.path else path

    def check(self) -> None:
        """See that the way to the store leads through directories only: whatever else is in it would be replaced (spec C4).

        Raises:
            StoreError: it leads through a symlink, a file or something else, or behind a gateway through nothing.
        """
        place = self.repository.published
        *above, _ = self.path.split("/")
        for number, part in enumerate(filter(None, self.path.split("/"))):
            place = place / part
            try:
                mode = place.lstat().st_mode
            except FileNotFoundError:
                if number < len(above) and self.repository.has_gateway:
                    raise StoreError(f"{place}: expected a directory, in which a gateway lets a store be made, found nothing") from None
                return
            if not stat.S_ISDIR(mode):
                found = "a symlink" if stat.S_ISLNK(mode) else "a file" if stat.S_ISREG(mode) else "something else"
                raise StoreError(f"{place}: expected a directory on the way to the store, or nothing, found {found}")


@frozen
class Carried:
    """What carrying a delta came to."""

    moment: Moment
    """The revision that it made; its root hash is empty where somebody else has published since, so that nobody tells it any more."""
    streamed: int
    """Bytes of tar."""


class Carrier:
    """Carries deltas into a repository of which this machine is the only publisher."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._repository = target.repository
        self._lease = ""

    def refresh(self) -> None:
        """See that what is mounted is what is published: here it always is."""

    def moment(self) -> Moment:
        """Return what is published now."""
        return self._repository.moment()

    def carry(self, delta: Delta, moment: Moment) -> Carried:
        """Publish a delta, and see that it is there.

        Args:
            delta: the steps, at least one.
            moment: what was published when they were planned.

        Raises:
            MovedOnError: something else is published by now; nothing was changed.
            BusyError: somebody else is publishing.
            PublishError: it failed, and what was published before is as it was, but for what a call before took away (spec C4, C26).
        """
        left = [path for path in in_the_way(delta) if os.path.lexists(self._target.root / path) and not is_unspeakable(path)]
        if left:
            self._clear(left, moment)
            moment = self._next(moment, 1)
        unspeakable = [path for step in delta.removals if is_unspeakable(path := step.path) and os.path.lexists(self._target.root / path)]
        if unspeakable:
            self._take_away(unspeakable, moment)
            moment = self._next(moment, 1)
        rest = Delta(tuple(step for step in delta if not (isinstance(step, Remove) and is_unspeakable(step.path))))
        streamed = revisions = 0
        parts = list(self._parts(rest)) if rest else []
        for number, part in enumerate(parts):
            streamed += self._ingest(part, moment)
            revisions = 1 + self._set_xattrs(part)
            if number < len(parts) - 1:
                moment = self._next(moment, revisions)
        made, now = moment.revision + revisions, self.moment()
        if now.revision != made:
            return Carried(Moment(made, ""), streamed)
        self._verify(delta)
        return Carried(now, streamed)

    def _clear(self, paths: Sequence[str], moment: Moment) -> None:
        """Publish removals, with a stream of a directory that is there and stays as it is (spec C3).

        A call that reads a stream tells whose the transaction is, should it be killed.
        """
        with self._repository.ingest(base="/", removes=[self._target.placed(path) for path in paths]) as write:
            above = paths[0].rpartition("/")[0]
            self._stream(write, Delta((PutDirectory(path=above),) if above else ()), moment)

    def _take_away(self, paths: Sequence[str], moment: Moment) -> None:
        """Publish removals of paths that no call can name, as a transaction of their own (spec C26)."""
        with self._repository.transaction(self._lease) as writable:
            self._same(moment)
            for path in paths:
                delete(writable / self._target.placed(path))

    def _next(self, moment: Moment, revisions: int) -> Moment:
        """Return what is published after some revisions of our own.

        Raises:
            MovedOnError: there are others among them; what is there by now is valid, and named by nothing.
        """
        now = self.moment()
        if now.revision != moment.revision + revisions:
            raise MovedOnError
        return now

    def _ingest(self, part: Delta, moment: Moment) -> int:
        removes = [step.path for step in part if isinstance(step, Remove) and os.path.lexists(self._target.root / step.path)]
        with self._repository.ingest(base="/", removes=[self._target.placed(path) for path in removes]) as write:
            return self._stream(write, part, moment)

    def _stream(self, write: Callable[[bytes], object], part: Delta, moment: Moment) -> int:
        """Write a part, whose names are below the repository's top, and return its bytes."""
        with self._writing(TarStream(write, self._target.path, leaves_out=self._target.leaves_out)) as stream:
            stream.directory("")
            for step in _each_path_once(part.steps):
                if isinstance(step, ReplaceIndex):
                    self._same_by_now(moment, stream)
                self._put(stream, step)
            self._same_by_now(moment, stream)
        return stream.size

    @contextmanager
    def _writing(self, stream: TarStream) -> Iterator[TarStream]:
        """Finish a stream after the body; after an exception, make it one that is not published."""
        try:
            yield stream
            stream.finish()
        except BaseException:
            with suppress(OSError):
                stream.poison()
            raise

    def _put(self, stream: TarStream, step: Step) -> None:
        if isinstance(step, PutTree):
            stream.put(step, self._target.progress("streaming", step.path.rpartition("/")[2], step.size))
        else:
            stream.put(step)

    def _same_by_now(self, moment: Moment, stream: TarStream) -> None:
        """See that nobody published before the ingest had its transaction open: from then on nobody else can."""
        stream.flush()
        self._same(moment)

    def _same(self, moment: Moment) -> None:
        """See that nobody published since a delta was planned."""
        if self.moment() != moment:
            raise MovedOnError

    def _parts(self, delta: Delta) -> Iterator[Delta]:
        """Cut a delta where it would bring too many new catalogs at once, or where attributes come in between.

        After each part the store is valid.
        """
        steps: list[Step] = []
        catalogs = 0
        last_tree = max((number for number, step in enumerate(delta) if self._has_xattrs(step)), default=-1)
        for number, step in enumerate(delta):
            new = _is_catalog(step)
            if steps and ((new and catalogs >= _MOST_CATALOGS) or number == last_tree + 1 > 0):
                yield Delta(tuple(steps))
                steps, catalogs = [], 0
            catalogs += new
            steps.append(step)
        yield Delta(tuple(steps))

    def _has_xattrs(self, step: Step) -> bool:
        return self._target.sets_xattrs and isinstance(step, PutTree) and step.xattrs > 0

    def _set_xattrs(self, part: Delta) -> int:
        """Set the extended attributes of trees that were just published, which no index names yet; return how many revisions that took."""
        trees = [step for step in part if isinstance(step, PutTree) and self._has_xattrs(step)]
        if not trees:
            return 0
        with self._repository.transaction(self._lease) as writable:
            for step in trees:
                top = writable / self._target.placed(step.top)
                set_xattrs(step.tree.walk(), top, leaves_out=self._target.leaves_out)
        return 1

    def _verify(self, delta: Delta) -> None:
        """See that what was published is there.

        Raises:
            PublishError: something is not.
        """
        for step in {step.path: step for step in delta}.values():
            place = self._target.root / step.path
            if not _is_done(step, self._target.root):
                raise PublishError(f"{place}: expected what was just published, found something else")


def in_the_way(delta: Delta) -> list[str]:
    """Return what goes before the rest of a delta, where it is there: one call cannot both remove a path and put it (spec C4).

    That is what the delta removes and puts anew, and what a run that was killed left where a tree comes, which no index names.
    """
    put = {step.path for step in delta if not isinstance(step, Remove)}
    trees = {step.path for step in delta if isinstance(step, PutTree)}
    return [*dict.fromkeys(step.path for step in delta if step.path in trees or (isinstance(step, Remove) and step.path in put))]


def is_unspeakable(path: str) -> bool:
    """Whether a path has a colon, which `cvmfs_server` takes for its end where it is to be removed (spec C24, C26)."""
    return ":" in path


def _is_catalog(step: Step) -> bool:
    return CATALOG in step.files if isinstance(step, PutTree) else step.path.endswith(f"/{CATALOG}")


def _each_path_once(steps: Sequence[Step]) -> list[Step]:
    """Return the steps without those that a later one of the same path overtakes: a revision shows only the last."""
    last = {step.path: number for number, step in enumerate(steps)}
    return [step for number, step in enumerate(steps) if last[step.path] == number]


def _is_done(step: Step, root: Path) -> bool:
    place = root / step.path
    try:
        if isinstance(step, PutTree):
            return (root / step.top).is_dir() and all((place / name).read_bytes() == data for name, data in step.files.items())
        if isinstance(step, PutDirectory | PutFile):
            told = place.lstat()
            return stat.S_ISDIR(told.st_mode) if isinstance(step, PutDirectory) else told.st_size == step.size
        if isinstance(step, PutSymlink):
            return str(place.readlink()) == step.target
        if isinstance(step, ReplaceIndex):
            return place.read_bytes() == step.data and (root / step.lock_path).read_bytes() == step.lock
    except OSError:
        return False
    return not os.path.lexists(place)
