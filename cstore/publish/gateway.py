"""How a delta gets into a repository behind a gateway, where several hosts publish (spec C18 to C22)."""

from __future__ import annotations

import os
import stat
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from attrs import evolve

from cstore.delta import Delta, PutTree, Remove, Step, file_of
from cstore.errors import PublishError
from cstore.model.layout import CATALOG
from cstore.publish.carrier import Carried, Carrier, Target, in_the_way, is_unspeakable
from cstore.publish.repository import Moment
from cstore.publish.tarstream import TarStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["GatewayCarrier", "parse_published"]

_PATIENCE = 30.0


class GatewayCarrier(Carrier):
    """Carries deltas under a lease on the store's own path; other hosts publish elsewhere meanwhile."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._lease = target.path

    def moment(self) -> Moment:
        """Return what is published now, by the repository's own manifest: the mount here may be older (spec C21)."""
        url = self._repository.setting("CVMFS_STRATUM0") + "/.cvmfspublished"
        try:
            with urlopen(url, timeout=_PATIENCE) as answer:  # noqa: S310 - the address is the repository's own setting
                return parse_published(answer.read(1 << 16), url)
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise PublishError(f"{url}: expected the manifest of the repository, found: {str(error) or type(error).__name__}") from None

    def refresh(self) -> None:
        """See that what is mounted is what is published; a transaction that is opened and ended at once brings it up to date."""
        if self._repository.moment() != self.moment():
            self._repository.look(self._target.path)

    def carry(self, delta: Delta, moment: Moment) -> Carried:
        """Publish a delta: what is put first, then what is removed, a call for each path (spec C22).

        Others publish elsewhere meanwhile; the revision that is told is the first that is known to hold all of the delta.
        """
        self._make_base(moment)
        first = in_the_way(delta)
        self._remove(first, moment)
        marked = Delta(tuple(_marked(step) for step in delta if not (isinstance(step, Remove) and step.path in first)))
        puts = marked.puts
        streamed = sum(self._put_part(part, moment) for part in self._parts(puts)) if puts else 0
        self._remove([step.path for step in marked.removals], moment)
        self.refresh()
        self._verify(marked)
        return Carried(self.moment(), streamed)

    def _remove(self, paths: Sequence[str], moment: Moment) -> None:
        there = [path for path in paths if os.path.lexists(self._target.root / path)]
        if unspeakable := [path for path in there if is_unspeakable(path)]:
            self._take_away(unspeakable, moment)
        for path in there:
            if not is_unspeakable(path):
                self._repository.remove(self._target.placed(path))

    def _put_part(self, part: Delta, moment: Moment) -> int:
        with self._repository.ingest(base=self._target.path) as write:
            streamed = self._stream(write, part, moment)
        self._set_xattrs(part)
        return streamed

    def _stream(self, write: Callable[[bytes], object], part: Delta, moment: Moment) -> int:
        """Write a part, whose names are below the store's path, on which the lease is."""
        del moment
        with self._writing(TarStream(write, "", leaves_out=self._target.leaves_out)) as stream:
            for step in {step.path: step for step in part}.values():
                self._put(stream, step)
            # Now the transaction is open, and what is mounted is the newest state.
            stream.flush()
            self._target.check()
        return stream.size

    def _same(self, moment: Moment) -> None:
        """Look at nothing: others publish elsewhere meanwhile."""

    def _make_base(self, moment: Moment) -> None:
        """Make the store's directory with a catalog of its own, without which devices would be dropped (spec C19)."""
        if (self._target.root / CATALOG).exists():
            return
        with self._repository.ingest(base=self._target.path, keeps_owners=False) as write:
            self._stream(write, Delta((file_of(CATALOG, b""),)), moment)
        self.refresh()

    def _verify(self, delta: Delta) -> None:
        super()._verify(delta)
        for step in delta:
            if isinstance(step, PutTree) and step.tree.whiteouts and not _has_whiteout(self._target.root / step.top):
                raise PublishError(
                    f"{self._target.root / step.path}: expected the whiteouts of a layer, found that the gateway dropped them"
                )


def parse_published(data: bytes, at: str) -> Moment:
    """Read the manifest of a repository: lines of a letter and a value, up to `--`.

    Raises:
        PublishError: it tells no revision.
    """
    lines = data.partition(b"\n--")[0].decode("ascii", "replace").splitlines()
    values = {line[:1]: line[1:] for line in lines}
    if "C" not in values or not values.get("S", "").isdigit():
        raise PublishError(f"{at}: expected the root hash and the revision of a repository, found neither")
    return Moment(int(values["S"]), values["C"])


def _marked(step: Step) -> Step:
    """Return a step whose layer has a catalog of its own if it holds devices: removing it would do damage otherwise (spec C20)."""
    if isinstance(step, PutTree) and step.special:
        return evolve(step, files={**step.files, CATALOG: b""})
    return step


def _has_whiteout(top: Path) -> bool:
    for directory, _, names in os.walk(top):
        for name in names:
            found = (top / directory / name).lstat()
            if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
                return True
    return False
