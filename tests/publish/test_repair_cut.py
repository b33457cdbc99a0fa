"""A repair that is cut short after any step: the next one finishes, as if nothing had been."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from cstore.delta import Delta, PutFile, Remove, file_of
from cstore.errors import PublishError
from cstore.mend.repair import plan_repair
from cstore.model.layout import Form
from cstore.publish.directory import apply, writing
from cstore.publish.repair import repair
from tests.publish import stores
from tests.publish.stores import copy, sources
from tools.crashes.changes import break_store

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.timedelta(0)
LATER = dt.date(2100, 1, 1)


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    """Return what is in a store, without the times of the symlinks that were put in the place of `diff`."""
    return {path: told if not path.endswith("/diff") else told[:-1] for path, told in stores.listing(root).items()}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A store with something for each kind of step."""
    root = tmp_path / "broken"
    break_store(root, sources(tmp_path / "images"), Form.DIRECT)
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
