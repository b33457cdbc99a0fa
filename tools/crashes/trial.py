"""One change on one ground: recorded once, then disturbed at each of its points, each time on a store of its own."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from attrs import field, frozen

from tests.publish.soundness import is_visible
from tests.publish.stores import sources
from tools.crashes.calls import Point, points
from tools.crashes.changes import STORE
from tools.crashes.disturbance import Kind, Recording, disturbance
from tools.crashes.grounds import CvmfsGround, DirectoryGround, Ground
from tools.crashes.judge import State, differences, held_locks, seen_by_podman, unlike_both
from tools.crashes.run import Ended, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cstore.model.layout import Form
    from tools.crashes.changes import Change
    from tools.crashes.disturbance import Disturbance
    from tools.crashes.grounds import Copy

__all__ = ["PUBLISHERS", "Case", "Disturbed", "Failing", "Outcome", "Trial", "Twice"]

PUBLISHERS = ("directory", "cvmfs", "gateway")
_FAILED = 3
_SYNCING = ("fsync", "fdatasync", "syncfs")
_PARTS = (0.1, 0.5, 0.9)
_HOW = ("before", "during", "after", "kill")


@frozen
class Disturbed:
    """A run that is disturbed at a point."""

    point: Point
    kind: Kind

    @property
    def column(self) -> str:
        """Where it is counted."""
        return self.kind.value

    def __str__(self) -> str:
        return f"{self.kind.value} at {self.point}"


@frozen
class Failing:
    """A run in which a call of `cvmfs_server` fails."""

    number: int
    how: str
    column: str = field(default="server", init=False)

    def __str__(self) -> str:
        return f"call {self.number} of cvmfs_server fails: {self.how}"


@frozen
class Twice:
    """A run that is killed at a point, and the next one killed at a part of its own points."""

    point: Point
    part: float
    """How far the second run is, from 0 to 1."""
    column: str = field(default="killed twice", init=False)

    def __str__(self) -> str:
        return f"killed at {self.point}, and again at {self.part:.0%} of the next run"


Case = Disturbed | Failing | Twice


@frozen
class Outcome:
    """What came of it."""

    has_happened: bool
    """Whether the run was disturbed; where threads take other turns than when it was recorded, it may have ended before."""
    wrong: tuple[str, ...]
    asked_podman: int = 0


@frozen(kw_only=True)
class Trial:
    """A change on a ground, with all that an undisturbed run has shown."""

    change: Change
    form: Form
    publisher: str
    place: Path
    ground: Ground
    made: dict[str, str] = field(repr=False)
    old: State = field(repr=False)
    new: State = field(repr=False)
    code: int
    """The exit code of the change."""
    code_again: int
    """The exit code of the same command line where the change is made already."""
    points: tuple[Point, ...] = field(repr=False)
    calls: int
    """How often it calls `cvmfs_server`."""
    seen: tuple[dict[str, str], ...] = field(repr=False)
    """What podman sees of the old store and of the new one; nothing where it is not asked."""

    @classmethod
    def prepare(cls, change: Change, form: Form, publisher: str, place: Path, *, podman: bool = False) -> Trial:
        """Make the store as it is before, and run the change undisturbed and recorded.

        Args:
            change: to be tried.
            form: of the store.
            publisher: one of PUBLISHERS.
            place: a directory for all of this, which must not be there.
            podman: whether podman is asked too.

        Raises:
            RuntimeError: the undisturbed change is not what it should be, so that nothing could be told from disturbing it.
        """
        top = place / "before"
        top.mkdir(parents=True)
        made = sources(place / "images")
        change.prepare(top / STORE, made, form)
        ground = DirectoryGround(top) if publisher == "directory" else CvmfsGround(top, "gw" if publisher == "gateway" else "local")
        with ground.copy("000000") as copy:
            old, seen = State.of(copy), [_seen(copy)] if podman else []
            arguments = change.arguments(copy.location, copy.beside, made, form)
            done = run(arguments, copy.environment, Recording(place / "log"))
            new = State.of(copy)
            seen += [_seen(copy)] if podman else []
            calls = len(copy.publisher.verbs) if copy.publisher else 0
            again = run(arguments, copy.environment)
            if "Traceback" in done.err or "\ncstore: " in done.err or new == old or State.of(copy) != new:
                raise RuntimeError(f"{change.name}: expected a change, and none the second time, found: {done}, {again}")
        return cls(
            change=change,
            form=form,
            publisher=publisher,
            place=place,
            ground=ground,
            made=made,
            old=old,
            new=new,
            code=done.code,
            code_again=again.code,
            points=tuple(points(place / "log")),
            calls=calls,
            seen=tuple(seen),
        )

    def __str__(self) -> str:
        return f"{self.change.name}, {self.form.value}, {self.publisher}"

    def sample(self, every: int, twice: int, first: int = 0) -> list[Case]:
        """Return what is to be tried, one kind after the other.

        Args:
            every: each how-manieth of all kinds is tried.
            twice: each how-manieth of the pairs of kills is among these kinds; 0 for none.
            first: where it begins, so that samples of several changes are not all of the same calls.
        """
        cases: list[Case] = [Disturbed(point, kind) for kind in Kind for point in self.points if kind.fits(point)]
        cases += [Failing(number + 1, how) for number, how in product(range(self.calls), _HOW)]
        pairs = [Twice(point, part) for point, part in product(self.points, _PARTS)]
        cases += pairs[::twice] if twice else []
        return cases[first % min(every, len(cases)) :: every]

    def attempt(self, case: Case, name: str) -> Outcome:
        """Try one case on a store of its own, and return what came of it.

        Args:
            case: what happens.
            name: of a directory for it, which must not be there.
        """
        with self.ground.copy(name) as copy:
            if isinstance(case, Failing):
                ended = self._run(copy, None, copy.failing(f"*:{case.number}:{case.how}"))
                found, has_happened = [*self._wrong_code(ended)], True
            elif isinstance(case, Twice):
                found, has_happened = self._killed_twice(copy, case, name)
            else:
                disturbing = disturbance(case.point, case.kind, self.place / f"{name}.log")
                ended = self._run(copy, disturbing)
                has_happened = disturbing.has_happened
                found = [*self._wrong_end(case, ended, copy)] if has_happened else [*self._wrong_code(ended)]
            found += self._wrong_store(copy)
            return Outcome(has_happened, (*found, *self._wrong_next(copy)), 2 * self._is_asked(copy))

    def _run(self, copy: Copy, disturbing: Disturbance | None = None, environment: Mapping[str, str] | None = None) -> Ended:
        arguments = self.change.arguments(copy.location, copy.beside, self.made, self.form)
        return run(arguments, environment or copy.environment, disturbing)

    def _killed_twice(self, copy: Copy, case: Twice, name: str) -> tuple[list[str], bool]:
        """Kill a run and the next one; where in the next one, a third one tells, on a copy that was killed likewise."""
        first = disturbance(case.point, Kind.KILL, self.place / f"{name}.log")
        self._run(copy, first)
        log = self.place / f"{name}.log"
        with self.ground.copy(f"{name}-recorded") as other:
            self._run(other, disturbance(case.point, Kind.KILL, log))
            self._run(other, Recording(log))
            there = points(log)
        if not there:
            return [], False
        second = disturbance(there[int(case.part * len(there))], Kind.KILL, log)
        found = [*self._wrong_store(copy)]
        self._run(copy, second)
        return found, first.has_happened and second.has_happened

    def _wrong_code(self, ended: Ended) -> Iterator[str]:
        if ended.code not in (self.code, _FAILED):
            yield f"it ends with {ended.code}: {ended.err}"
        if "Traceback" in ended.err:
            yield f"it ends with a traceback: {ended.err}"

    def _wrong_end(self, case: Disturbed, ended: Ended, copy: Copy) -> Iterator[str]:
        """Yield what is wrong with how a disturbed run ended, and with the store as that run has left it."""
        if case.kind is Kind.KILL:
            if ended.code != -9:
                yield f"it ends with {ended.code}"
            yield from held_locks(copy.locks)
            return
        yield from self._wrong_code(ended)
        is_done = ended.code == self.code
        if not is_done and not case.point.is_output:
            if len([line for line in ended.err.splitlines() if line.startswith("cstore: ")]) != 1:
                yield f"it does not tell its error in one sentence: {ended.err}"
            if self.publisher != "gateway":
                yield from differences(State.of(copy), self.old)
        if is_done and case.kind in (Kind.EIO, Kind.ENOSPC) and case.point.call in _SYNCING:
            yield "it ends well, though what it wrote may not be on the disk"
        if case.kind is Kind.SHORT:
            yield from [] if is_done else [f"it does not go on after a short write: {ended.err}"]
            yield from differences(State.of(copy), self.new)
        if is_done and State.of(copy).names != self.new.names:
            yield "it ends well, but the change is not made"

    def _wrong_store(self, copy: Copy) -> Iterator[str]:
        """Yield what readers stumble over."""
        yield from unlike_both(State.of(copy), self.old, self.new)
        yield from filter(None, [copy.complaint()])
        yield from self._unlike_for_podman(copy, self.seen)

    def _wrong_next(self, copy: Copy) -> Iterator[str]:
        """Run the change once more, undisturbed, and yield what is wrong then."""
        ended = self._run(copy)
        if ended.code not in (self.code, self.code_again):
            yield f"the next run ends with {ended.code}: {ended.err}"
        found = State.of(copy)
        yield from (f"after the next run: {wrong}" for wrong in differences(found, self.new))
        yield from filter(None, [copy.complaint()])
        yield from self._unlike_for_podman(copy, self.seen[-1:])

    def _unlike_for_podman(self, copy: Copy, expected: Sequence[dict[str, str]]) -> Iterator[str]:
        if self._is_asked(copy) and (seen := _seen(copy)) not in expected:
            yield f"podman sees something else: {seen}"

    def _is_asked(self, copy: Copy) -> bool:
        return bool(self.seen) and is_visible(copy.root)


def _seen(copy: Copy) -> dict[str, str]:
    """Return what podman sees of a store: nothing before both indexes are there; it would make them."""
    return seen_by_podman(copy) if is_visible(copy.root) else {}
