"""A repair that is cut short, killed or refused something at any moment: the next one finishes, as if nothing had been.

The moments are the system calls that write below the store; a part is tried, the same at each run. CRASH_POINTS=9999 tries all.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from cstore.delta import Delta, PutFile, Remove, file_of
from cstore.errors import PublishError
from cstore.index.lock import announcement
from cstore.mend.repair import plan_repair
from cstore.publish.batch import publishing
from cstore.publish.directory import apply, writing
from cstore.publish.repair import repair
from tests.publish import stores
from tests.publish.disturb import killed, points, refused
from tests.publish.stores import DAY, NEW, OLD, TOOL, copy, sources

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.timedelta(0)
LATER = dt.date(2100, 1, 1)
AS_MANY = int(os.environ.get("CRASH_POINTS", "12"))
NOBODY = "f" * 64

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which kills a program at a chosen system call")


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    """Return what is in a store, without the times of the symlinks that were put in the place of `diff`."""
    return {path: told if not path.endswith("/diff") else told[:-1] for path, told in stores.listing(root).items()}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A store with something for each kind of step."""
    root = tmp_path / "broken"
    made = sources(tmp_path / "images")
    with publishing(root, today=DAY) as batch:
        for tag, name in (("old", OLD), ("new", NEW), ("tool", TOOL)):
            batch.add(made[tag], name=name)
    with publishing(root, today=DAY) as batch:
        batch.remove(TOOL)
    first, second = sorted(path.parent for path in root.glob("overlay/*/lower"))
    (base,) = (path.parent for path in root.glob("overlay/*/empty"))
    for name in ("lower", "lower-layers"):
        (first / name).write_text("nothing")
    (first / "work").mkdir()
    link = root / "overlay/l" / (second / "link").read_text()
    link.unlink()
    link.symlink_to("elsewhere")
    (second / "link").unlink()
    (base / "empty").rmdir()
    elsewhere = tmp_path / "layers"
    (first / "diff").rename(elsewhere)
    (first / "diff").symlink_to("../../../layers")
    (root / "overlay-layers" / f"{NOBODY}.tar-split.gz").touch()
    (root / "overlay" / NOBODY / "diff").mkdir(parents=True)
    (root / "overlay-layers/layers.lock").write_bytes(b"")
    index = root / "overlay-images/images.json"
    records = json.loads(index.read_bytes())
    for record in records:
        record["names"].append("both")
        item = f"manifest-{record.pop('digest')}"
        record["big-data-names"].remove(item)
    index.write_bytes(json.dumps(records).encode())
    (root / "overlay-images/images.lock").write_bytes(announcement(b"[]", own=False))
    return root


@pytest.fixture
def mended(broken: Path) -> Path:
    """The same store after a repair that nothing disturbs."""
    root = broken.with_name("mended")
    copy(broken, root)
    assert repair(root, NOW, LATER).delta
    assert not repair(root, NOW, LATER).delta
    return root


def test_cut_after_any_step(broken: Path, mended: Path) -> None:
    wanted = listing(mended)
    steps = plan_repair(broken, str(broken), NOW, LATER).steps
    assert {type(step).__name__ for step in steps} == {"PutDirectory", "PutFile", "PutSymlink", "ReplaceIndex", "Remove"}
    for number in range(len(steps) + 1):
        root = broken.with_name(f"cut-{number}")
        copy(broken, root)
        with writing(root):
            apply(Delta(steps[:number]), root)
        repair(root, NOW, LATER)
        assert listing(root) == wanted, steps[:number][-1:]


def test_undone_after_all_steps(broken: Path) -> None:
    before = listing(broken)
    steps = [step for step in plan_repair(broken, str(broken), NOW, LATER) if not isinstance(step, Remove)]
    refused = PutFile(path="overlay-layers/new", size=0, open=lambda: (broken / "nothing").open("rb"))
    with writing(broken), pytest.raises(PublishError, match="No such file"):
        apply(Delta((*steps, refused)), broken)
    assert listing(broken) == before


def test_a_directory_does_not_give_way_to_a_file(broken: Path) -> None:
    before = listing(broken)
    with writing(broken), pytest.raises(PublishError, match=r"/overlay: expected nothing that is not replaced, found a directory$"):
        apply(Delta((file_of("new", b""), file_of("overlay", b""))), broken)
    assert listing(broken) == before


@needs_strace
def test_killed_at_any_call(broken: Path, mended: Path) -> None:
    wanted = listing(mended)
    tried = broken.with_name("tried")
    copy(broken, tried)
    moments = points(["repair", str(tried), "--grace", "0d"], tried, broken.with_name("log"))
    for number in range(0, len(moments), max(len(moments) // AS_MANY, 1)):
        root = broken.with_name(f"killed-{number}")
        copy(broken, root)
        killed(["repair", str(root), "--grace", "0d"], moments[number], broken.with_name(f"log-{number}"))
        repair(root, NOW, LATER)
        assert listing(root) == wanted, moments[number]


@needs_strace
def test_refused_any_call(broken: Path, mended: Path) -> None:
    before, wanted = listing(broken), listing(mended)
    tried = broken.with_name("tried")
    copy(broken, tried)
    moments = points(["repair", str(tried), "--grace", "0d"], tried, broken.with_name("log"))
    for number in range(1, len(moments), max(len(moments) // AS_MANY, 1)):
        root, point = broken.with_name(f"refused-{number}"), moments[number]
        copy(broken, root)
        done = refused(["repair", str(root), "--grace", "0d"], point, point.errors[0], broken.with_name(f"log-{number}"))
        if done.code == 0:
            # Where only tidying was refused, the next run does it.
            repair(root, NOW, LATER)
        assert listing(root) == (before if done.code else wanted), point
