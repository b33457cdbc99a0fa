"""The long life of a store: operations at random, after each of which store and model agree.

A short life is tried with the other tests; CSTORE_LIFE says of how many operations instead, and CSTORE_SEED of which ones:

    CSTORE_LIFE=2000 CSTORE_SEED=1 python -m pytest -s tests/property/test_long_life.py
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from attrs import evolve, field, frozen
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from cstore.errors import NotFoundError
from cstore.model.layout import IMAGES_INDEX, IMAGES_LOCK, LAYERS_INDEX, LAYERS_LOCK, Form
from cstore.publish.batch import Batch, publishing
from cstore.publish.prune import prune
from cstore.publish.repair import repair
from cstore.store import Store
from cstore.verification.store import verify
from tests.images import Image, directory, file, opaque, tar, whiteout, write_layout
from tests.publish.soundness import unfinished
from tests.publish.stores import DAY, FORMS, copy, exact, listing

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATIONS = int(os.environ.get("CSTORE_LIFE", "120"))
SEED = int(os.environ.get("CSTORE_SEED", "1"))
RETIRED = "V86"
MOST_TO_SHRINK = 200
SHARED = Path("/dev/shm")  # noqa: S108 - directories in it are made by tempfile
MEMORY = SHARED if SHARED.is_dir() else None
"""A disk on which nothing is waited for."""
AT_ONCE = 8
"""Operations in a step: hypothesis has not the room for thousands of steps."""

A = tar(directory("etc"), file("etc/a", b"a" * 700), file("etc/gone", b"g"))
B = tar(directory("srv", 0o711), *(file(f"srv/{number}", b"b") for number in range(20)))
C = tar(whiteout("etc/gone"), file("etc/c", b"c"))
D = tar(opaque("srv"), file("srv/d", b"d" * 3000))
IMAGES = (
    Image(layers=(A,)),
    Image(layers=(A, B)),
    Image(layers=(A, B, C)),
    Image(layers=(A, B, D), compression=("gzip", "gzip", "zstd")),
    Image(layers=(A, B, D), compression=("gzip", "gzip", "zstd"), labels={"the same": "layers"}),
    Image(layers=(B, A)),
    Image(layers=(B, B, D)),
    Image(layers=(A, C, B, D)),
)


def chain(image: Image) -> tuple[str, ...]:
    """Return the IDs of an image's layers, base first."""
    made: list[str] = []
    for diff in image.diff_ids:
        digits = diff.removeprefix("sha256:")
        made.append(sha256(f"{made[-1]}+{digits}".encode()).hexdigest() if made else digits)
    return tuple(made)


CHAINS = tuple(map(chain, IMAGES))
BELOW = {layer: layers[:number] for layers in CHAINS for number, layer in enumerate(layers)}
NAMES = tuple(f"registry.example.org/life/{name}" for name in ("a:1", "a:2", "b:1", "b:2", "c:1"))


@frozen
class Operation:
    """One operation; what the numbers mean depends on its kind."""

    kind: str
    first: int = 0
    second: int = 0
    changes: tuple[Operation, ...] = ()
    """Of a batch."""


CHANGES = [
    *(Operation("add", image, name) for image in range(len(IMAGES)) for name in range(len(NAMES))),
    *(Operation("tag", name, other) for name in range(len(NAMES)) for other in range(len(NAMES))),
    *(Operation("remove", name) for name in range(len(NAMES))),
]
ALL = [
    *CHANGES,
    *(Operation("remove", name) for name in range(len(NAMES)) for _ in range(5)),
    *(Operation("prune", grace) for grace in (0, 0, 0, 1, 3, 7, 14) * 3),
    *(Operation("day", days) for days in (1, 1, 2, 5) * 3),
    *(Operation("batch", changes=tuple(CHANGES[(number * step) % len(CHANGES)] for step in (7, 31, 45))) for number in range(1, 20)),
    *([Operation("repair"), Operation("verify deeply"), Operation("compare")] * 2),
]


@frozen
class Model:
    """What a store must hold."""

    today: dt.date = DAY
    names: Mapping[str, int] = field(factory=dict)
    """The image behind each name."""
    retired: Mapping[str, dt.date] = field(factory=dict)
    """The layers that no image needs, with the day since when."""

    @property
    def used(self) -> set[str]:
        return {layer for image in self.names.values() for layer in CHAINS[image]}

    def after(self, *changes: Operation) -> Model:
        """Return what it must hold after a batch.

        Raises:
            KeyError: a change is of a name that is not there.
        """
        names = dict(self.names)
        for change in changes:
            if change.kind == "add":
                names[NAMES[change.second]] = change.first
            elif change.kind == "tag":
                names[NAMES[change.second]] = names[NAMES[change.first]]
            else:
                del names[NAMES[change.first]]
        made = evolve(self, names=names)
        there = self.used | made.used | self.retired.keys()
        return evolve(made, retired={layer: self.retired.get(layer, self.today) for layer in there - made.used})

    def pruned(self, grace: int) -> Model:
        """Return what it must hold after pruning."""
        young = {layer for layer, since in self.retired.items() if (self.today - since).days < grace}
        kept = {below for layer in young for below in BELOW[layer]} | young
        return evolve(self, retired={layer: since for layer, since in self.retired.items() if layer in kept})


class Life(RuleBasedStateMachine):
    """A store and the model of it. What is drawn are numbers of operations, several in each step."""

    form = Form.DIRECT
    sources: tuple[str, ...] = ()
    done: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="life-", dir=MEMORY))
        self.root = self.place / "store"
        self.model = Model()
        self.has_agreed = True
        with publishing(self.root, form=self.form, today=DAY) as batch:
            batch.add(self.sources[0], name=NAMES[0])
        self.model = self.model.after(Operation("add", 0, 0))

    def teardown(self) -> None:
        try:
            if self.has_agreed:
                self.is_no_larger_than_a_fresh_one()
        finally:
            shutil.rmtree(self.place)

    @rule(numbers=st.tuples(*[st.integers(0, len(ALL) - 1)] * AT_ONCE))
    def live(self, numbers: tuple[int, ...]) -> None:
        for operation in (ALL[number] for number in numbers):
            self.done[operation.kind] += 1
            self.has_agreed = False
            self.operate(operation)
            self.agree()
            self.has_agreed = True

    def is_no_larger_than_a_fresh_one(self) -> None:
        """Without what is retired, a store holds what one holds that was just made, but for the order of its records."""
        old, new = self.place / "old", self.place / "new"
        copy(self.root, old)
        prune(old, dt.timedelta(0), self.model.today)
        with publishing(new, form=self.form, today=DAY) as batch:
            batch.add(self.sources[0], name=NAMES[0])
            for name, image in self.model.names.items():
                batch.add(self.sources[image], name=name)
        if NAMES[0] not in self.model.names:
            with publishing(new, today=DAY) as batch:
                batch.remove(NAMES[0])
        prune(new, dt.timedelta(0), DAY)
        try:
            assert unordered(old) == unordered(new)
        finally:
            shutil.rmtree(old)
            shutil.rmtree(new)

    def operate(self, operation: Operation) -> None:
        """Do something to store and model."""
        if operation.kind == "prune":
            pruned = prune(self.root, dt.timedelta(operation.first), self.model.today)
            before, self.model = self.model, self.model.pruned(operation.first)
            assert bool(pruned.delta) == (before.retired != self.model.retired)
        elif operation.kind == "day":
            self.model = evolve(self.model, today=self.model.today + dt.timedelta(operation.first))
        elif operation.kind == "repair":
            before_repair = exact(self.root)
            assert not repair(self.root, dt.timedelta(14), self.model.today).delta
            assert exact(self.root) == before_repair
        elif operation.kind == "verify deeply":
            assert [str(problem) for problem in verify(self.root, deep=True) if problem.code != RETIRED] == []
        elif operation.kind == "compare":
            self.is_no_larger_than_a_fresh_one()
        else:
            self.change(*operation.changes or [operation])

    def change(self, *changes: Operation) -> None:
        """Publish changes in one batch; one of a name that is not there leaves everything as it was."""
        try:
            self.model = self.model.after(*changes)
        except KeyError:
            with pytest.raises(NotFoundError), publishing(self.root, today=self.model.today) as batch:
                self.put(batch, *changes)
            return
        with publishing(self.root, today=self.model.today) as batch:
            self.put(batch, *changes)

    def put(self, batch: Batch, *changes: Operation) -> None:
        for change in changes:
            if change.kind == "add":
                batch.add(self.sources[change.first], name=NAMES[change.second])
            elif change.kind == "tag":
                batch.tag(NAMES[change.first], NAMES[change.second])
            else:
                batch.remove(NAMES[change.first])

    def agree(self) -> None:
        """See that the store is what the model says, and that nothing else is in it."""
        store = Store.open(self.root)
        assert {name: image.id for image in store.all_images() for name in image.names} == {
            name: IMAGES[image].id for name, image in self.model.names.items()
        }
        assert {image.id for image in store.all_images()} == {IMAGES[image].id for image in self.model.names.values()}
        assert {layer.id for layer in store.all_layers()} == self.model.used | self.model.retired.keys()
        assert store.about.retired == self.model.retired
        assert [problem.code for problem in verify(self.root)] == [RETIRED] * len(self.model.retired)
        assert unfinished(self.root) == []


def unordered(root: Path) -> dict[str, object]:
    """Return all that a store holds but for the order of its records and of an image's names, and for the locks, which follow from it."""
    found: dict[str, object] = dict(listing(root))
    for path in (IMAGES_INDEX, LAYERS_INDEX):
        data = (root / path).read_bytes()
        records = json.loads(data)
        for record in records:
            record["names"] = sorted(record.get("names", []))
        found[path] = (len(data), sorted(records, key=lambda record: str(record["id"])))
    for path in (IMAGES_LOCK, LAYERS_LOCK):
        found[path] = (root / path).stat().st_size
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    layout = write_layout(tmp_path_factory.mktemp("life") / "images", {str(number): image for number, image in enumerate(IMAGES)})
    return tuple(f"{layout}:{number}" for number in range(len(IMAGES)))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.value))
def test_store_and_model_agree_for_all_their_life(sources: tuple[str, ...], form: Form) -> None:
    """Of two lives the first is one of the same operation again and again."""
    done: Counter[str] = Counter()
    life = seed(SEED)(type("Life", (Life,), {"form": form, "sources": sources, "done": done}))
    phases = (Phase.generate, Phase.shrink) if OPERATIONS <= MOST_TO_SHRINK else (Phase.generate,)
    start = time.monotonic()
    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=2,
            stateful_step_count=OPERATIONS // AT_ONCE,
            deadline=None,
            derandomize=False,
            database=None,
            phases=phases,
            suppress_health_check=[HealthCheck.large_base_example, HealthCheck.data_too_large, HealthCheck.too_slow],
        ),
    )
    sys.stdout.write(f"{form.value}: {dict(done)}, {time.monotonic() - start:.1f} s\n")
    assert done.total() >= OPERATIONS
