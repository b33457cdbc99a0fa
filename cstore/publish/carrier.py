"""How a delta gets into a repository with storage of its own: one ingest, and what must come before it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.delta import Delta, PutFile, PutSymlink, PutTree, Remove, ReplaceIndex, Step
from cstore.errors import PublishError
from cstore.model.layout import CATALOG
from cstore.publish.tarstream import TarStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cstore.publish.repository import Moment, Repository
    from cstore.source.fetch import Progress

__all__ = ["Carrier", "MovedOnError", "Target"]

_MOST_CATALOGS = 300


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
        return f"{self.path}/{path}"


class Carrier:
    """Carries deltas into a repository of which this machine is the only publisher."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._repository = target.repository

    def refresh(self) -> None:
        """See that what is mounted is what is published: here it always is."""

    def moment(self) -> Moment:
        """Return what is published now."""
        return self._repository.moment()

    def carry(self, delta: Delta, moment: Moment) -> int:
        """Publish a delta, see that it is there, and return the bytes that were streamed.

        Args:
            delta: the steps, at least one.
            moment: what was published when they were planned.

        Raises:
            MovedOnError: something else is published by now; nothing was changed.
            BusyError: somebody else is publishing.
            PublishError: it failed, and what was published before is as it was.
        """
        left = [step.path for step in delta if isinstance(step, PutTree) and os.path.lexists(self._target.root / step.path)]
        if left:
            # Remains of a run that was killed, which no index names. One call cannot both remove a path and put it.
            self._same(moment)
            self._repository.remove([self._target.placed(path) for path in left])
            moment = self._next(moment, 1)
        streamed = 0
        parts = list(self._parts(delta))
        for number, part in enumerate(parts):
            streamed += self._ingest(part, moment)
            revisions = 1 + self._set_xattrs(part)
            if number < len(parts) - 1:
                moment = self._next(moment, revisions)
        self._verify(delta)
        return streamed

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
            stream = TarStream(write, self._target.path, leaves_out=self._target.leaves_out)
            try:
                for step in _each_path_once(part.steps):
                    if isinstance(step, ReplaceIndex) and stream.size:
                        self._same_by_now(moment, stream)
                    self._put(stream, step)
                self._same_by_now(moment, stream)
                stream.finish()
            except BaseException:
                with suppress(OSError):
                    stream.poison()
                raise
        return stream.size

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
        with self._repository.transaction() as writable:
            for step in trees:
                top = os.fsencode(writable / self._target.placed(step.path) / "diff")
                for entry, _ in step.tree.walk():
                    for name, value in entry.xattrs:
                        os.setxattr(top + b"/" + entry.path, name, value, follow_symlinks=False)
        return 1

    def _verify(self, delta: Delta) -> None:
        """See that what was published is there.

        Raises:
            PublishError: something is not.
        """
        for step in {step.path: step for step in delta}.values():
            place = self._target.root / step.path
            if not _is_done(step, place):
                raise PublishError(f"{place}: expected what was just published, found something else")


def _is_catalog(step: Step) -> bool:
    return CATALOG in step.files if isinstance(step, PutTree) else step.path.endswith(f"/{CATALOG}")


def _each_path_once(steps: Sequence[Step]) -> list[Step]:
    """Return the steps without those that a later one of the same path overtakes: a revision shows only the last."""
    last = {step.path: number for number, step in enumerate(steps)}
    return [step for number, step in enumerate(steps) if last[step.path] == number]


def _is_done(step: Step, place: Path) -> bool:
    try:
        if isinstance(step, PutTree):
            return (place / "diff").is_dir() and all((place / name).read_bytes() == data for name, data in step.files.items())
        if isinstance(step, PutFile):
            return place.lstat().st_size == step.size
        if isinstance(step, PutSymlink):
            return str(place.readlink()) == step.target
        if isinstance(step, ReplaceIndex):
            return place.read_bytes() == step.data
    except OSError:
        return False
    return not os.path.lexists(place)
